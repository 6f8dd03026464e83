/* The registry's JSON answers: {"subject","version","id","schema"} of a version, {"schema"} of an
 * id.
 *
 * Limits: bytes and depth of the parser. Threads: a parser belongs to one. */
#ifndef TG_REGISTRY_CLIENT_ANSWER_H
#define TG_REGISTRY_CLIENT_ANSWER_H

#include "common/base/str.h"

typedef struct tg_registry_answer_parser tg_registry_answer_parser_t;

typedef struct tg_registry_answer {
    uint32_t id;
    tg_str_t schema; /* borrowed until the next parse */
} tg_registry_answer_t;

/* Returns an owned parser of answers up to `max_bytes`, or NULL. */
tg_registry_answer_parser_t *tg_registry_answer_parser_create(size_t max_bytes);
void tg_registry_answer_parser_destroy(tg_registry_answer_parser_t *parser);

/* `asked_id` is the id in the request's path, or 0 when the newest version was asked for and the
 * answer must name its id. TG_INVALID for anything else than an AVRO schema. */
TG_NODISCARD tg_status_t tg_registry_answer_parse(tg_registry_answer_parser_t *parser,
                                                  tg_str_t body, uint32_t asked_id,
                                                  tg_registry_answer_t *out_answer,
                                                  tg_error_t *error);

#endif
