/* The event of a POST /emit: a generated one with some fields as given.
 *
 *   {"type":"stream","event_type":"donation","amount_usd":25}   the fields beside the type, or
 *   {"type":"signal","data":{"type":"login","user_id":"u-1"}}   in `data`, as in a batch: a
 *                                                               signal has a field `type` itself
 *
 * A given field replaces the generated one; one that the type does not have is sent all the same,
 * for the gateway to judge.
 *
 * Limits: TG_EMIT_BODY_MAX bytes, TG_EMIT_FIELDS_MAX fields.
 *
 * Threads: an emitter belongs to one thread. */
#ifndef TG_SIM_EMIT_H
#define TG_SIM_EMIT_H

#include "loadtest/simulator/generator.h"
#include "loadtest/simulator/ledger.h"

#define TG_EMIT_BODY_MAX   ((size_t)64 << 10)
#define TG_EMIT_FIELDS_MAX 64

typedef struct tg_emitter tg_emitter_t;

/* Returns an owned emitter, or NULL when out of memory. Its events' ids come from `seed`. */
tg_emitter_t *tg_emitter_create(uint64_t seed);
void tg_emitter_destroy(tg_emitter_t *emitter); /* NULL is allowed */

/* Appends the flat event that `given` asks for to `out`, and says what it is to the store; the
 * entry's texts are borrowed until the next call. TG_INVALID with the reason for the client. */
TG_NODISCARD tg_status_t tg_emitter_make(tg_emitter_t *emitter, tg_str_t given, int64_t now_us,
                                         tg_buf_t *out, tg_ledger_entry_t *out_entry,
                                         tg_error_t *error);

#endif
