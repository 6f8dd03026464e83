/* How urgent a request is, where several wait for the same service: health, then events, then reads
 * that somebody looks at, then exports.
 *
 * Health is answered by the gateway itself and never waits. Events have a service, and so a queue,
 * of their own. What is left to decide are reads: one that asks for many rows or a long range is
 * an export, whoever sends it; a person waits for the others. An export is put off, never refused,
 * for being one.
 *
 * Threads: any. */
#ifndef TG_OVERLOAD_BAND_H
#define TG_OVERLOAD_BAND_H

#include "gateway/overload/fair.h"
#include "gateway/routes.h"

/* A read beyond one of these is an export. */
#define TG_BAND_ROWS_MAX 2000
#define TG_BAND_DAYS_MAX 7

/* The band of a request to `route`. `query` is as it came; `now` is in µs; decoded text goes to
 * `arena`. What cannot be read is for the service to refuse, at once. */
tg_fair_band_t tg_band_of(const tg_public_route_t *route, tg_str_t query, int64_t now,
                          tg_arena_t *arena);

#endif
