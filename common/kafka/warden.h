/* A librdkafka producer handle together with the thread that does what may block for it: asking a
 * broker for metadata (is anyone there?) and destroying the handle.
 *
 * Why a thread: rd_kafka_metadata and rd_kafka_destroy wait for network and for other threads, and
 * 2.0.2 has no asynchronous form of either; an event loop must not wait. The thread sleeps on a
 * condition while all is well.
 *
 * Threads: all functions belong to the producer's loop thread. */
#ifndef TG_KAFKA_WARDEN_H
#define TG_KAFKA_WARDEN_H

#include <librdkafka/rdkafka.h>

#include "common/base/str.h"

typedef struct tg_warden tg_warden_t;

/* Takes `rk` on TG_OK. `wake_fd` (an eventfd, borrowed) is written to when a broker answered. */
TG_NODISCARD tg_status_t tg_warden_create(rd_kafka_t *rk, int wake_fd, tg_warden_t **out_warden);

rd_kafka_t *tg_warden_handle(tg_warden_t *warden);

/* Notes a sign that no broker can be reached: metadata is asked for, each TG_WARDEN_PROBE_MS, until
 * one answers. */
#define TG_WARDEN_PROBE_MS 250
void tg_warden_suspect(tg_warden_t *warden);

/* Ends the suspicion without a probe: a record was acknowledged. */
void tg_warden_trust(tg_warden_t *warden);

/* Whether a broker is believed to be reachable; *out_since_ms (monotonic) tells since when not. */
bool tg_warden_available(tg_warden_t *warden, uint64_t *out_since_ms);

/* Lets the thread purge and destroy the handle, without waiting. */
void tg_warden_retire(tg_warden_t *warden);

/* Whether a retired warden has finished, so that destroy will not wait. */
bool tg_warden_finished(const tg_warden_t *warden);

/* Retires if need be, waits for the thread, frees. NULL is allowed. */
void tg_warden_destroy(tg_warden_t *warden);

#endif
