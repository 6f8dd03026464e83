/* What the ops of avro-verdict share. */
#ifndef TG_AVRO_VERDICT_H
#define TG_AVRO_VERDICT_H

#include <jansson.h>

#include "common/base/str.h"

/* {"ok": false, "error": reason} */
json_t *tg_verdict_refusal(const char *reason);

/* A text of the question; empty when it is absent. */
tg_str_t tg_verdict_text(const json_t *question, const char *name);

/* The ops "resolve" and "encode". */
json_t *tg_verdict_resolve(const json_t *question);
json_t *tg_verdict_encode(const json_t *question);

#endif
