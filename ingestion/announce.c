/* Each load of the watch asks for the changes behind the version that the last one saw. The first
 * load, and one that finds the version gone back (a restored database), know of none: then
 * everything counts as changed. */
#include "ingestion/announce.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/watch/watch.h"

#define SILENT_MS 5000 /* without an answer of PostgreSQL for longer, /ready's detail says so */

struct tg_announce {
    tg_registry_client_t *registry;
    tg_config_watch_t *watch;
    uint64_t seen; /* version of the latest load; the watch's thread */
    atomic_uint_fast64_t total;
};

static tg_str_t cell(const PGresult *rows, int row, int column)
{
    return (tg_str_t){PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
}

static tg_status_t read_version(PGconn *connection, uint64_t *out_version, tg_error_t *error)
{
    PGresult *rows =
        tg_config_watch_query(connection, "SELECT version FROM control.config_version", error);
    tg_status_t status = TG_UNAVAILABLE;
    if (rows != NULL) {
        status = TG_INVALID;
        if (PQntuples(rows) == 1)
            status = tg_str_to_u64(cell(rows, 0, 0), out_version);
        if (status != TG_OK)
            (void)tg_error_set(error, status, "control.config_version holds no version");
    }
    PQclear(rows);
    return status;
}

static tg_status_t announce_changes(tg_announce_t *announce, PGconn *connection, tg_error_t *error)
{
    char sql[160];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT context, type FROM control.event_types WHERE changed > %llu LIMIT %d",
                   (unsigned long long)announce->seen, TG_ANNOUNCE_MAX + 1);
    PGresult *rows = tg_config_watch_query(connection, sql, error);
    if (rows == NULL)
        return TG_UNAVAILABLE;
    int count = PQntuples(rows);
    if (count > TG_ANNOUNCE_MAX)
        tg_registry_client_announce_all(announce->registry);
    for (int i = 0; i < count && count <= TG_ANNOUNCE_MAX; i++)
        tg_registry_client_announce(announce->registry, cell(rows, i, 0), cell(rows, i, 1));
    atomic_fetch_add(&announce->total, (uint64_t)count);
    PQclear(rows);
    return TG_OK;
}

/* The snapshot holds nothing: what it says has been said. */
static void *load(PGconn *connection, void *arg, tg_error_t *error)
{
    tg_announce_t *announce = arg;
    uint64_t version = 0;
    if (read_version(connection, &version, error) != TG_OK)
        return NULL;
    if (announce->seen == 0 || version < announce->seen)
        tg_registry_client_announce_all(announce->registry);
    else if (announce_changes(announce, connection, error) != TG_OK)
        return NULL;
    void *snapshot = calloc(1, 1);
    if (snapshot == NULL)
        (void)tg_error_set(error, TG_NOMEM, "out of memory");
    else
        announce->seen = version;
    return snapshot;
}

static void release(void *snapshot, void *arg)
{
    (void)arg;
    free(snapshot);
}

tg_status_t tg_announce_open(const char *dsn, uint64_t poll_ms, tg_registry_client_t *registry,
                             tg_announce_t **out_announce, tg_error_t *error)
{
    assert(dsn != NULL);
    assert(registry != NULL);
    tg_announce_t *announce = calloc(1, sizeof(*announce));
    if (announce == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    announce->registry = registry;
    const tg_config_watch_config_t watch = {
        .dsn = dsn, .poll_ms = poll_ms, .load = load, .release = release, .arg = announce};
    tg_status_t status = tg_config_watch_open(&watch, 0, &announce->watch, error);
    if (status != TG_OK) {
        free(announce);
        return status;
    }
    *out_announce = announce;
    return TG_OK;
}

void tg_announce_close(tg_announce_t *announce)
{
    if (announce == NULL)
        return;
    tg_config_watch_close(announce->watch);
    free(announce);
}

uint64_t tg_announce_total(const tg_announce_t *announce)
{
    return atomic_load(&announce->total);
}

bool tg_announce_current(const tg_announce_t *announce, tg_buf_t *out_detail)
{
    bool current = tg_config_watch_age_ms(announce->watch) < SILENT_MS;
    tg_buf_str(out_detail, current ? TG_STR("changed event types are announced")
                                   : TG_STR("PostgreSQL is away; types are refreshed by asking"));
    return current;
}
