/* What the board and its report share: the instances, joined over the threads.
 *
 * Threads: values. */
#ifndef TG_GATEWAY_BOARD_PRIVATE_H
#define TG_GATEWAY_BOARD_PRIVATE_H

#include "gateway/upstreams/board.h"

#define STATES     (TG_BREAKER_HALF_OPEN + 1)
#define JOINED_MAX ((size_t)TG_UP_COUNT * TG_RESOLVE_MAX)

struct row {
    char address[TG_RESOLVE_TEXT_MAX];
    int64_t since_us, next_us; /* next_us 0: not by time */
    tg_http_instance_stats_t stats;
};

/* An instance, joined over the threads. */
struct joined {
    unsigned upstream, threads, in_state[STATES], unhealthy, ejected;
    tg_http_hold_t hold;
    struct row worst; /* whose counters are the sums */
};

/* By upstream; the number of instances. */
size_t tg_board_join(tg_board_t *board, struct joined all[JOINED_MAX]);

tg_resolver_t *tg_board_resolver(const tg_board_t *board); /* NULL: names stay as they were */

#endif
