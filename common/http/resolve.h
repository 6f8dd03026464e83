/* Where the instances of upstreams are: their names' addresses, looked up again and again.
 *
 * One thread of its own does the looking up, because getaddrinfo blocks for seconds when a name
 * server is away; loops fetch what has changed. A name with several addresses is several instances.
 * A name that cannot be looked up keeps the addresses it had: a name server's trouble must not take
 * working instances away. Where all hosts are numbers there is no thread and nothing is repeated.
 *
 * Limits: TG_RESOLVE_MAX entries of a list, and as many addresses of it; further ones are left out,
 * the same ones each time.
 * A closed resolver whose thread is inside getaddrinfo is freed by that thread, later.
 *
 * Threads: open and close on one; get and stats on any. */
#ifndef TG_RESOLVE_H
#define TG_RESOLVE_H

#include <sys/socket.h>

#include "common/base/str.h"

#define TG_RESOLVE_MAX      16
#define TG_RESOLVE_TEXT_MAX 96 /* "[" IPv6 with scope "]:" port */

typedef struct tg_address {
    char text[TG_RESOLVE_TEXT_MAX]; /* in numbers: "127.0.0.1:8082", "[::1]:8082" */
    struct sockaddr_storage where;
    socklen_t len;
} tg_address_t;

/* As getaddrinfo: 0 and a list for freeaddrinfo, or a code for gai_strerror. */
struct addrinfo;
typedef int (*tg_resolve_fn)(void *arg, const char *host, const char *port,
                             struct addrinfo **out_list);

typedef struct tg_resolver_config {
    const char *const *lists; /* "query-a:8082,query-b:8082"; one for each upstream */
    size_t list_count;
    uint64_t every_ms;    /* 0: once, at the start */
    tg_resolve_fn lookup; /* NULL: getaddrinfo */
    void *arg;            /* its own; outlives a look-up that is under way at close */
} tg_resolver_config_t;

typedef struct tg_resolver tg_resolver_t;

/* Looks everything up once, which may block; a name that has no address now is an error. */
TG_NODISCARD tg_status_t tg_resolver_open(const tg_resolver_config_t *config,
                                          tg_resolver_t **out_resolver, tg_error_t *error);
void tg_resolver_close(
    tg_resolver_t *resolver); /* never waits for a name server; NULL is allowed */

/* Writes the addresses of list `list` and their number if they have changed since `*version` (0 at
 * first), and returns whether they have. */
bool tg_resolver_get(tg_resolver_t *resolver, size_t list, uint64_t *version,
                     tg_address_t out[TG_RESOLVE_MAX], size_t *out_count);

/* Look-ups so far after the start, over all names of the list. */
typedef struct tg_resolver_stats {
    uint64_t done, failed;
} tg_resolver_stats_t;
tg_resolver_stats_t tg_resolver_get_stats(tg_resolver_t *resolver, size_t list);

/* The addresses of one list now, for who has no resolver. */
TG_NODISCARD tg_status_t tg_resolve_once(const char *list, tg_address_t out[TG_RESOLVE_MAX],
                                         size_t *out_count, tg_error_t *error);

#endif
