/* The long pieces of maintenance, on a connection of their own: rolling up touched hours and days,
 * compressing and removing old days.
 *
 * Plain PostgreSQL rolls up by functions that take as many touched (tenant, hour)s as they are
 * allowed in one transaction. TimescaleDB refreshes a continuous aggregate, for all tenants at
 * once, by a CALL that must not stand in a transaction; so there each hour is four steps: which
 * hours are due, number their marks, refresh, delete the marks of that number. Whatever fails in
 * between leaves the marks, which send readers to the level below: late, never wrong.
 *
 * A statement may take minutes (15 at most). While one runs the `wait` of the caller is called,
 * every 200 ms at least, so that it can renew its lease. Threads: one. */
#ifndef TG_REFRESH_H
#define TG_REFRESH_H

#include "worker/pg/conn.h"

typedef struct tg_refresh tg_refresh_t;

typedef enum tg_engine { TG_ENGINE_PLAIN, TG_ENGINE_TIMESCALE } tg_engine_t;

enum { TG_REFRESH_HOURS, TG_REFRESH_DAYS, TG_REFRESH_LEVELS };

typedef struct tg_refresh_config {
    const char *dsn;
    tg_engine_t engine;
    uint64_t connect_timeout_ms;
    uint64_t compress_after_ms; /* 0: never */
    /* Spends a moment of waiting; false gives up what is running. */
    bool (*wait)(void *arg);
    /* One refresh of that level has been done; NULL is allowed. */
    void (*refreshed)(void *arg, unsigned level, double seconds);
    void *arg;
} tg_refresh_config_t;

/* Gives an unconnected one; NULL when out of memory. */
tg_refresh_t *tg_refresh_create(const tg_refresh_config_t *config);
void tg_refresh_destroy(tg_refresh_t *refresh); /* NULL is allowed */

/* Refreshes what is due at that level until nothing is left or the time is spent. */
TG_NODISCARD tg_status_t tg_refresh_level(tg_refresh_t *refresh, unsigned level,
                                          uint64_t budget_ms);

/* Compresses what is old enough, removes what is beyond the horizon, with the same limit of time.
 */
TG_NODISCARD tg_status_t tg_refresh_compress(tg_refresh_t *refresh, uint64_t budget_ms);
TG_NODISCARD tg_status_t tg_refresh_drop(tg_refresh_t *refresh, uint64_t budget_ms);

/* How many closed (tenant, hour)s and (tenant, day)s wait to be refreshed. */
TG_NODISCARD tg_status_t tg_refresh_backlog(tg_refresh_t *refresh,
                                            int64_t out_waiting[TG_REFRESH_LEVELS]);

/* The connection, for what its last failure says. Borrowed. */
const tg_conn_t *tg_refresh_conn(const tg_refresh_t *refresh);

#endif
