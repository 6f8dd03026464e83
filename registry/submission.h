/* What a client submits: the body of a registration or look-up, and the schema in it, read with
 * what it refers to.
 *
 * A schema has two texts: the one that was registered, which is kept byte for byte, and the one
 * that clients see (common/avro/print.h), which is also what it is identified by: two spellings of
 * one schema are the same schema, another doc is another one. References and metadata belong to it.
 *
 * A subject "<type>-value" whose record carries roles holds an event type and is checked as such;
 * any other schema is plain Avro.
 *
 * Limits: body TG_REQUEST_BODY_MAX; the schema's own are those of common/avro.
 * Threads: any; the parser belongs to one. */
#ifndef TG_REGISTRY_SUBMISSION_H
#define TG_REGISTRY_SUBMISSION_H

#include "registry/references.h"

#define TG_SUBMISSION_DEPTH_MAX 16
#define TG_IDENTITY_LEN         64 /* hex digits of a SHA-256 */
#define TG_GUID_LEN             36

/* The body; all texts in the arena. */
typedef struct tg_submission {
    tg_str_t schema;
    tg_str_t metadata; /* as JSON; ptr NULL: none was given */
    tg_references_t references;
    uint32_t id, version; /* of an import; 0: none */
} tg_submission_t;

/* The event type of "<type>-value"; empty if the subject names none. */
tg_str_t tg_subject_type(tg_str_t subject);

/* Reads a body; `within` is the context that references are relative to. TG_INVALID, TG_TOO_LARGE
 * and TG_DENIED say what is wrong; TG_NOMEM. */
TG_NODISCARD tg_status_t tg_submission_read(tg_json_parser_t *parser, tg_str_t body,
                                            const tg_viewer_t *viewer, tg_str_t within,
                                            tg_arena_t *arena, tg_submission_t *out,
                                            tg_error_t *error);

/* Parses the schema with the closure of its references (NULL: it has none). Gives an owned schema.
 */
TG_NODISCARD tg_status_t tg_submission_parse(tg_str_t schema, const tg_closure_t *closure,
                                             tg_avro_schema_t **out_schema, tg_error_t *error);

/* Whether the schema is an event type in this subject and, if so, a good one: TG_INVALID. */
TG_NODISCARD tg_status_t tg_submission_check_type(tg_str_t subject, const tg_avro_schema_t *schema,
                                                  bool *out_is_type, tg_error_t *error);

/* What a schema is called by. Not NUL-terminated. */
typedef struct tg_identity {
    char hex[TG_IDENTITY_LEN]; /* one per context */
    char guid[TG_GUID_LEN];    /* the same in every context */
} tg_identity_t;

/* Prints the schema and identifies it; references are resolved or none, metadata in the one form of
 * registry/metadata.h or ptr NULL. */
TG_NODISCARD tg_status_t tg_submission_identify(const tg_avro_schema_t *schema, bool normalize,
                                                const tg_references_t *references,
                                                tg_str_t metadata, tg_buf_t *out_printed,
                                                tg_identity_t *out_identity);

#endif
