/* A list is entries as configured; an entry keeps the addresses of its last good look-up. What
 * loops see is the union in the order of the list, made anew after each round, with a version that
 * moves only when it differs: name servers rotate their answers, so an entry's are sorted.
 *
 * The mutex guards what is published, never a look-up: only the thread reads and writes the
 * entries. */
#include "common/http/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/thread.h"

struct entry {
    char host[256], port[16];
    bool numeric;
    size_t count;
    tg_address_t addresses[TG_RESOLVE_MAX];
};

struct list {
    size_t entry_count;
    struct entry *entries; /* written by the resolver's thread only */
    uint64_t version;      /* from here on: under the mutex */
    size_t count;
    tg_address_t addresses[TG_RESOLVE_MAX];
    tg_resolver_stats_t stats;
};

struct tg_resolver {
    tg_resolve_fn lookup;
    void *arg;
    uint64_t every_ms;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    bool has_thread, closed;
    bool busy; /* in a round: then the thread frees the resolver when it is closed */
    size_t list_count;
    struct list lists[];
};

/* --- reading a list --- */

/* getaddrinfo takes 70000 for 4464, and nothing for 0. */
static bool is_port(tg_str_t text)
{
    uint64_t port = 0;
    return text.len <= 5 && tg_str_to_u64(text, &port) == TG_OK && port > 0 && port <= UINT16_MAX;
}

static tg_status_t read_entry(tg_str_t text, struct entry *entry, tg_error_t *error)
{
    const char *colon = text.len == 0 ? NULL : memrchr(text.ptr, ':', text.len);
    size_t host = colon == NULL ? 0 : (size_t)(colon - text.ptr);
    tg_str_t port = host == 0 ? (tg_str_t){NULL, 0} : (tg_str_t){colon + 1, text.len - host - 1};
    if (host == 0 || host >= sizeof(entry->host) || !is_port(port))
        return tg_error_set(error, TG_INVALID,
                            "\"" TG_STR_FMT "\" is not an address like 127.0.0.1:8080.",
                            TG_STR_ARG(text));
    bool brackets = host >= 2 && text.ptr[0] == '[' && text.ptr[host - 1] == ']';
    memcpy(entry->host, text.ptr + brackets, host - 2 * (size_t)brackets);
    memcpy(entry->port, port.ptr, port.len);
    return TG_OK;
}

static tg_str_t trim(tg_str_t text)
{
    while (text.len > 0 && text.ptr[0] == ' ')
        text = (tg_str_t){text.ptr + 1, text.len - 1};
    while (text.len > 0 && text.ptr[text.len - 1] == ' ')
        text.len--;
    return text;
}

static tg_status_t read_list(struct list *list, const char *text, tg_error_t *error)
{
    list->entries = calloc(TG_RESOLVE_MAX, sizeof(*list->entries));
    if (list->entries == NULL)
        return tg_error_set(error, TG_NOMEM, "Out of memory.");
    for (const char *at = text; at != NULL;) {
        const char *comma = strchr(at, ',');
        tg_str_t part = {at, comma == NULL ? strlen(at) : (size_t)(comma - at)};
        if (list->entry_count == TG_RESOLVE_MAX)
            return tg_error_set(error, TG_INVALID, "More than %d instances: %s", TG_RESOLVE_MAX,
                                text);
        tg_status_t status = read_entry(trim(part), &list->entries[list->entry_count++], error);
        if (status != TG_OK)
            return status;
        at = comma == NULL ? NULL : comma + 1;
    }
    return TG_OK;
}

/* --- looking up --- */

static int lookup_plain(void *arg, const char *host, const char *port, struct addrinfo **out_list)
{
    (void)arg;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    return getaddrinfo(host, port, &hints, out_list);
}

static bool is_number(const struct entry *entry)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *list = NULL;
    bool number = getaddrinfo(entry->host, NULL, &hints, &list) == 0;
    if (number)
        freeaddrinfo(list);
    return number;
}

static bool write_address(const struct addrinfo *info, tg_address_t *out)
{
    char host[64], port[16];
    *out = (tg_address_t){.len = info->ai_addrlen};
    if (info->ai_addrlen > sizeof(out->where) ||
        (info->ai_family != AF_INET && info->ai_family != AF_INET6) ||
        getnameinfo(info->ai_addr, info->ai_addrlen, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    memcpy(&out->where, info->ai_addr, info->ai_addrlen);
    bool six = info->ai_family == AF_INET6;
    (void)snprintf(out->text, sizeof(out->text), "%s%s%s:%s", six ? "[" : "", host, six ? "]" : "",
                   port);
    return true;
}

/* Keeps the TG_RESOLVE_MAX that come first by their text, in that order: which ones may not depend
 * on the order in which the name server has them this time. */
static void keep_first(const tg_address_t *one, tg_address_t kept[TG_RESOLVE_MAX],
                       size_t *inout_count)
{
    size_t at = 0;
    while (at < *inout_count && strcmp(kept[at].text, one->text) < 0)
        at++;
    if (at == TG_RESOLVE_MAX || (at < *inout_count && strcmp(kept[at].text, one->text) == 0))
        return;
    size_t stay = *inout_count < TG_RESOLVE_MAX ? *inout_count : TG_RESOLVE_MAX - 1;
    memmove(&kept[at + 1], &kept[at], (stay - at) * sizeof(kept[0]));
    kept[at] = *one;
    *inout_count = stay + 1;
}

/* The code of gai_strerror; on 0 the entry has the new addresses, else the old ones. */
static int look_up(const struct tg_resolver *resolver, struct entry *entry)
{
    struct addrinfo *list = NULL;
    int code = resolver->lookup(resolver->arg, entry->host, entry->port, &list);
    if (code != 0)
        return code;
    tg_address_t found[TG_RESOLVE_MAX], one;
    size_t count = 0;
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next)
        if (write_address(at, &one))
            keep_first(&one, found, &count);
    freeaddrinfo(list);
    if (count == 0)
        return EAI_NONAME;
    memcpy(entry->addresses, found, count * sizeof(found[0]));
    entry->count = count;
    return 0;
}

/* --- publishing --- */

static bool has_address(const tg_address_t *list, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].text, text) == 0)
            return true;
    return false;
}

static size_t join(const struct list *list, tg_address_t out[TG_RESOLVE_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < list->entry_count; i++) {
        const struct entry *entry = &list->entries[i];
        for (size_t k = 0; k < entry->count && count < TG_RESOLVE_MAX; k++)
            if (!has_address(out, count, entry->addresses[k].text))
                out[count++] = entry->addresses[k];
    }
    return count;
}

static bool are_equal(const tg_address_t *a, const tg_address_t *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(a[i].text, b[i].text) != 0)
            return false;
    return true;
}

static void publish(struct tg_resolver *resolver, struct list *list, tg_resolver_stats_t round)
{
    tg_address_t all[TG_RESOLVE_MAX];
    size_t count = join(list, all);
    pthread_mutex_lock(&resolver->mutex);
    list->stats.done += round.done;
    list->stats.failed += round.failed;
    if (count != list->count || !are_equal(all, list->addresses, count)) {
        memcpy(list->addresses, all, count * sizeof(all[0]));
        list->count = count;
        list->version++;
    }
    pthread_mutex_unlock(&resolver->mutex);
}

static bool is_closed(struct tg_resolver *resolver)
{
    pthread_mutex_lock(&resolver->mutex);
    bool closed = resolver->closed;
    pthread_mutex_unlock(&resolver->mutex);
    return closed;
}

static void refresh(struct tg_resolver *resolver, struct list *list)
{
    tg_resolver_stats_t round = {0};
    for (size_t i = 0; i < list->entry_count && !is_closed(resolver); i++) {
        if (list->entries[i].numeric)
            continue;
        bool failed = look_up(resolver, &list->entries[i]) != 0;
        round.failed += failed;
        round.done += !failed;
    }
    if (round.done + round.failed > 0)
        publish(resolver, list, round);
}

/* --- life --- */

static void resolver_free(tg_resolver_t *resolver)
{
    for (size_t i = 0; i < resolver->list_count; i++)
        free(resolver->lists[i].entries);
    (void)pthread_mutex_destroy(&resolver->mutex);
    (void)pthread_cond_destroy(&resolver->wake);
    free(resolver);
}

/* Under the mutex; false when the resolver is closed. */
static bool wait_for_round(tg_resolver_t *resolver)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(resolver->every_ms / 1000);
    at.tv_nsec += (long)(resolver->every_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    while (!resolver->closed &&
           pthread_cond_timedwait(&resolver->wake, &resolver->mutex, &at) == 0) {
    }
    return !resolver->closed;
}

static void *run(void *arg)
{
    tg_resolver_t *resolver = arg;
    pthread_mutex_lock(&resolver->mutex);
    while (wait_for_round(resolver)) {
        resolver->busy = true;
        pthread_mutex_unlock(&resolver->mutex);
        for (size_t i = 0; i < resolver->list_count; i++)
            refresh(resolver, &resolver->lists[i]);
        pthread_mutex_lock(&resolver->mutex);
        resolver->busy = false;
        if (resolver->closed) { /* nobody waits for this thread */
            pthread_mutex_unlock(&resolver->mutex);
            resolver_free(resolver);
            return NULL;
        }
    }
    pthread_mutex_unlock(&resolver->mutex);
    return NULL;
}

static tg_status_t first_round(tg_resolver_t *resolver, bool *out_names, tg_error_t *error)
{
    for (size_t i = 0; i < resolver->list_count; i++) {
        struct list *list = &resolver->lists[i];
        for (size_t k = 0; k < list->entry_count; k++) {
            struct entry *entry = &list->entries[k];
            entry->numeric = is_number(entry);
            int code = look_up(resolver, entry);
            if (code != 0)
                return tg_error_set(error, TG_INVALID, "Cannot resolve %s:%s: %s.", entry->host,
                                    entry->port, gai_strerror(code));
            *out_names |= !entry->numeric;
        }
        publish(resolver, list, (tg_resolver_stats_t){0});
    }
    return TG_OK;
}

static tg_status_t start(tg_resolver_t *resolver, const tg_resolver_config_t *config,
                         tg_error_t *error)
{
    bool names = false;
    tg_status_t status = TG_OK;
    for (size_t i = 0; status == TG_OK && i < config->list_count; i++)
        status = read_list(&resolver->lists[i], config->lists[i], error);
    if (status == TG_OK)
        status = first_round(resolver, &names, error);
    if (status != TG_OK || !names || config->every_ms == 0)
        return status;
    if (tg_thread_start(&resolver->thread, run, resolver) != 0)
        return tg_error_set(error, TG_UNAVAILABLE, "Cannot start the resolver's thread.");
    resolver->has_thread = true;
    return TG_OK;
}

tg_status_t tg_resolver_open(const tg_resolver_config_t *config, tg_resolver_t **out_resolver,
                             tg_error_t *error)
{
    assert(config != NULL && out_resolver != NULL);
    tg_resolver_t *resolver =
        calloc(1, sizeof(*resolver) + config->list_count * sizeof(resolver->lists[0]));
    if (resolver == NULL)
        return tg_error_set(error, TG_NOMEM, "Out of memory.");
    resolver->lookup = config->lookup == NULL ? lookup_plain : config->lookup;
    resolver->arg = config->arg;
    resolver->every_ms = config->every_ms;
    resolver->list_count = config->list_count;
    pthread_condattr_t clock;
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&resolver->mutex, NULL);
    (void)pthread_cond_init(&resolver->wake, &clock);
    (void)pthread_condattr_destroy(&clock);
    tg_status_t status = start(resolver, config, error);
    if (status != TG_OK) {
        tg_resolver_close(resolver);
        return status;
    }
    *out_resolver = resolver;
    return TG_OK;
}

void tg_resolver_close(tg_resolver_t *resolver)
{
    if (resolver == NULL)
        return;
    pthread_mutex_lock(&resolver->mutex);
    resolver->closed = true;
    bool left = resolver->busy, joinable = resolver->has_thread && !left;
    pthread_t thread = resolver->thread;
    (void)pthread_cond_signal(&resolver->wake);
    if (left)
        (void)pthread_detach(thread);
    pthread_mutex_unlock(&resolver->mutex);
    if (joinable)
        (void)pthread_join(thread, NULL);
    if (!left)
        resolver_free(resolver);
}

bool tg_resolver_get(tg_resolver_t *resolver, size_t list_index, uint64_t *version,
                     tg_address_t out[TG_RESOLVE_MAX], size_t *out_count)
{
    assert(resolver != NULL && version != NULL);
    assert(list_index < resolver->list_count);
    struct list *list = &resolver->lists[list_index];
    pthread_mutex_lock(&resolver->mutex);
    bool changed = list->version != *version;
    if (changed) {
        memcpy(out, list->addresses, list->count * sizeof(out[0]));
        *out_count = list->count;
        *version = list->version;
    }
    pthread_mutex_unlock(&resolver->mutex);
    return changed;
}

tg_resolver_stats_t tg_resolver_get_stats(tg_resolver_t *resolver, size_t list)
{
    assert(list < resolver->list_count);
    pthread_mutex_lock(&resolver->mutex);
    tg_resolver_stats_t stats = resolver->lists[list].stats;
    pthread_mutex_unlock(&resolver->mutex);
    return stats;
}

tg_status_t tg_resolve_once(const char *list, tg_address_t out[TG_RESOLVE_MAX], size_t *out_count,
                            tg_error_t *error)
{
    const tg_resolver_config_t config = {.lists = &list, .list_count = 1};
    tg_resolver_t *resolver = NULL;
    uint64_t version = 0;
    tg_status_t status = tg_resolver_open(&config, &resolver, error);
    if (status == TG_OK)
        (void)tg_resolver_get(resolver, 0, &version, out, out_count);
    tg_resolver_close(resolver);
    return status;
}
