/* How many connections each client address has open, so that one of them cannot take all places.
 *
 * An address (IPv6: its /64, which is what one customer gets) has a counter by its keyed hash; two
 * may share one, so with TG_HTTP_PEER_PLACES counters a stranger meets a hog's by a chance of 1 in
 * 16384. For that the count needs no lock, no memory per client and no cleaning up.
 *
 * Threads: any. */
#ifndef TG_HTTP_PEERS_H
#define TG_HTTP_PEERS_H

#include <netinet/in.h>

#include "common/base/str.h"

#define TG_HTTP_PEER_PLACES ((size_t)1 << 14)

typedef struct tg_http_peers tg_http_peers_t;

/* NULL when out of memory. */
tg_http_peers_t *tg_http_peers_create(void);
void tg_http_peers_destroy(tg_http_peers_t *peers); /* NULL is allowed */

/* Counts a connection from `from`; false when it would be more than `limit`. When true,
 * *out_place is given back by tg_http_peers_leave. */
TG_NODISCARD bool tg_http_peers_enter(tg_http_peers_t *peers, const struct sockaddr *from,
                                      uint64_t limit, uint16_t *out_place);
void tg_http_peers_leave(tg_http_peers_t *peers, uint16_t place);

#endif
