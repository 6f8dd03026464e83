/* From a raw record to a row: headers, schema by id, body, and the copy of the texts that the row
 * keeps.
 *
 * A record that cannot become a row becomes a dead one here, with what is wrong with it. The one
 * other outcome is that its schema cannot be fetched because the registry is away: then it stays
 * raw and its partition waits, as an unreachable registry says nothing about the record.
 *
 * Types by id are immutable, so each thread keeps those it has seen (at most TG_DECODER_TYPES_MAX)
 * and asks the shared client once.
 *
 * Threads: a decoder belongs to one thread. */
#ifndef TG_WORKER_RECORD_DECODE_H
#define TG_WORKER_RECORD_DECODE_H

#include "common/event/event.h"
#include "worker/record/record.h"

#define TG_DECODER_TYPES_MAX 4096

typedef struct tg_decoder tg_decoder_t;

/* Where schemas come from: the registry's client, or a test's own. As tg_registry_schema_wait. */
typedef tg_status_t (*tg_schema_fn)(void *arg, tg_str_t tenant, tg_str_t type, uint32_t schema_id,
                                    tg_event_type_t **out_type);

tg_decoder_t *tg_decoder_create(tg_schema_fn schema, void *arg); /* NULL when out of memory */
void tg_decoder_destroy(tg_decoder_t *decoder);                  /* NULL is allowed */

/* Turns a raw record into a row or a dead record (TG_OK), or leaves it raw: TG_UNAVAILABLE the
 * registry is away, or its schema is not known and may not be asked for now; TG_NOMEM. */
TG_NODISCARD tg_status_t tg_decoder_run(tg_decoder_t *decoder, tg_record_t *record, bool may_ask);

#endif
