/* Bounded cache of answers to "schema by id", by (context, id): they never change, except that a
 * permanent deletion takes them away.
 *
 * Two generations: what is asked for moves into the young one; when that has half of the bytes, the
 * old one is forgotten and the young one becomes the old. So what was not asked for lately goes, at
 * the cost of neither a list nor a clock.
 *
 * Limits: bytes, overhead included; an answer of more than an eighth of them is not kept.
 * Threads: one. */
#ifndef TG_REGISTRY_ANSWERS_H
#define TG_REGISTRY_ANSWERS_H

#include "common/base/str.h"

typedef struct tg_answers tg_answers_t;

/* NULL when out of memory. */
tg_answers_t *tg_answers_create(size_t max_bytes);
void tg_answers_destroy(tg_answers_t *answers); /* NULL is allowed */

/* The cache is good for this number of permanent deletions: forgets everything when a higher one is
 * seen. Returns whether what was read under `deletions` may be put. */
bool tg_answers_see(tg_answers_t *answers, uint64_t deletions);

/* After a permanent deletion of our own, whose number is not known. */
void tg_answers_deleted(tg_answers_t *answers);

/* Borrowed until the next put or see; ptr NULL when it is not there. */
tg_str_t tg_answers_get(tg_answers_t *answers, tg_str_t context, uint32_t id);

/* Best effort. */
void tg_answers_put(tg_answers_t *answers, tg_str_t context, uint32_t id, tg_str_t body);

size_t tg_answers_bytes(const tg_answers_t *answers);

#endif
