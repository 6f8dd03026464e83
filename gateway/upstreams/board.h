/* What the process's threads know of the upstreams' instances, in one place: for metrics, for
 * /admin/v1/breakers, and for an operator's hand on a breaker.
 *
 * Each thread has breakers of its own, so that no call waits for another thread, and pins a copy of
 * its figures here five times a second. What an operator wants is written here as well; each thread
 * compares it with what it has at each visit, so it also outlives an instance whose name goes
 * elsewhere and comes back.
 *
 * Limits: TG_METRIC_SHARDS_MAX threads, TG_RESOLVE_MAX instances of an upstream and thread,
 * TG_BOARD_HOLDS_MAX instances that are held; for one more, one that is no longer there is let go.
 * Threads: any; one mutex, never held while anybody waits. */
#ifndef TG_GATEWAY_BOARD_H
#define TG_GATEWAY_BOARD_H

#include "common/http/client.h"
#include "gateway/routes.h"

#define TG_BOARD_VISIT_MS  200
#define TG_BOARD_HOLDS_MAX 64

typedef struct tg_board tg_board_t;
typedef struct tg_board_place tg_board_place_t; /* a thread's */

/* `resolver` is borrowed. NULL when out of memory. */
tg_board_t *tg_board_create(tg_resolver_t *resolver);
void tg_board_destroy(tg_board_t *board); /* all places are left; NULL is allowed */

/* NULL when out of memory or places. */
tg_board_place_t *tg_board_enter(tg_board_t *board);
void tg_board_leave(tg_board_place_t *place); /* NULL is allowed */

/* Pins the clients' figures and does what operators want of their breakers. */
void tg_board_visit(tg_board_place_t *place, tg_http_client_t *const clients[TG_UP_COUNT],
                    uint64_t now_ms);

/* Whether an upstream has such an instance, or had one that is still held, and how that is. */
bool tg_board_find(tg_board_t *board, tg_str_t upstream, tg_str_t instance,
                   tg_http_hold_t *out_hold);

/* TG_NOT_FOUND without such an instance, TG_FULL beyond TG_BOARD_HOLDS_MAX. */
TG_NODISCARD tg_status_t tg_board_hold(tg_board_t *board, tg_str_t upstream, tg_str_t instance,
                                       tg_http_hold_t hold);

/* "auto", "open", "closed", and back; false when the text is none. */
const char *tg_board_hold_name(tg_http_hold_t hold);
bool tg_board_hold_read(tg_str_t text, tg_http_hold_t *out_hold);

/* Appends one JSON object for each instance, comma separated. */
void tg_board_write_json(tg_board_t *board, tg_buf_t *out);

/* A collector (common/observe/metrics.h); `arg` is the board. */
void tg_board_collect(void *arg, tg_buf_t *out);

#endif
