/* What a client submits: the body of a registration or look-up, and the check of its schema.
 *
 * A subject "<type>-value" whose type is a name that an event type may have must hold an event
 * type; any other subject holds any Avro schema. Two schemas are the same if their JSON is: white
 * space and the order of members do not matter, documentation and custom attributes do.
 *
 * Limits: body 1 MiB; the schema's own are those of common/avro.
 * Threads: any; the parser belongs to one. */
#ifndef TG_REGISTRY_SUBMISSION_H
#define TG_REGISTRY_SUBMISSION_H

#include "common/base/arena.h"
#include "common/json/json.h"

#define TG_SUBMISSION_BODY_MAX  ((size_t)1 << 20)
#define TG_SUBMISSION_DEPTH_MAX 16
#define TG_SUBJECT_MAX          255 /* bytes */
#define TG_FINGERPRINT_LEN      64  /* hex digits of a SHA-256 */

/* A subject: 1..TG_SUBJECT_MAX bytes of UTF-8 without control characters, without a context
 * of its own (":.context:name"), since the tenant is the context. */
bool tg_subject_ok(tg_str_t subject);

/* The event type of "<type>-value"; empty if the subject names none. */
tg_str_t tg_subject_type(tg_str_t subject);

/* Reads the schema's text out of a body; copied into the arena. TG_INVALID says what is wrong. */
TG_NODISCARD tg_status_t tg_submission_read(tg_json_parser_t *parser, tg_str_t body,
                                            tg_arena_t *arena, tg_str_t *out_schema,
                                            tg_error_t *error);

/* Checks the schema for the subject and fills its fingerprint, no NUL. TG_INVALID and TG_TOO_LARGE
 * name the place in the schema; TG_NOMEM. */
TG_NODISCARD tg_status_t tg_submission_check(tg_str_t subject, tg_str_t schema,
                                             char out_fingerprint[TG_FINGERPRINT_LEN],
                                             tg_error_t *error);

#endif
