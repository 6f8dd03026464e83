/* See peers.h. */
#include "common/http/shell/peers.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/hash.h"

#define NETWORK_LEN 8 /* bytes of an IPv6 address that name a network */

struct tg_http_peers {
    _Atomic uint32_t counts[TG_HTTP_PEER_PLACES];
};
_Static_assert(TG_HTTP_PEER_PLACES <= (size_t)UINT16_MAX + 1, "a place fits its type");

tg_http_peers_t *tg_http_peers_create(void)
{
    return calloc(1, sizeof(tg_http_peers_t));
}

void tg_http_peers_destroy(tg_http_peers_t *peers)
{
    free(peers);
}

static uint16_t place_of(const struct sockaddr *from)
{
    tg_str_t bytes = {NULL, 0};
    if (from->sa_family == AF_INET) {
        bytes = (tg_str_t){(const char *)&((const struct sockaddr_in *)from)->sin_addr, 4};
    } else if (from->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)from)->sin6_addr;
        bytes = (tg_str_t){(const char *)v6, NETWORK_LEN};
        if (IN6_IS_ADDR_V4MAPPED(v6)) /* as if it had come by IPv4 */
            bytes = (tg_str_t){(const char *)v6 + 12, 4};
    }
    return (uint16_t)(tg_hash_table(bytes) % TG_HTTP_PEER_PLACES);
}

bool tg_http_peers_enter(tg_http_peers_t *peers, const struct sockaddr *from, uint64_t limit,
                         uint16_t *out_place)
{
    assert(peers != NULL);
    uint16_t place = place_of(from);
    if (atomic_fetch_add_explicit(&peers->counts[place], 1, memory_order_relaxed) >= limit) {
        atomic_fetch_sub_explicit(&peers->counts[place], 1, memory_order_relaxed);
        return false;
    }
    *out_place = place;
    return true;
}

void tg_http_peers_leave(tg_http_peers_t *peers, uint16_t place)
{
    uint32_t before = atomic_fetch_sub_explicit(&peers->counts[place], 1, memory_order_relaxed);
    assert(before > 0);
}
