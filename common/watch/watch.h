/* Configuration watch: polls the version number of the control tables and swaps in a new immutable
 * snapshot when it has moved. That poll interval is the bound of a revocation.
 *
 * It has a thread and a blocking connection of its own. `load` reads a whole new snapshot in one
 * REPEATABLE READ transaction; readers on any thread take a reference to the current one.
 * PostgreSQL away: the last snapshot goes on serving; tg_watch_age_ms says since when, for /ready.
 *
 * Nothing can hang it for long: connecting takes at most 2 s per address, each statement at most
 * TG_CONFIG_WATCH_QUERY_MS if `load` asks through tg_config_watch_query, and a failed round is
 * tried again after a delay that doubles from poll_ms to 5 s. Any failure costs the connection.
 *
 * Threads: tg_config_watch_get and _put from any thread. */
#ifndef TG_CONFIG_WATCH_H
#define TG_CONFIG_WATCH_H

#include <libpq-fe.h>

#include "common/base/str.h"

typedef struct tg_config_watch tg_config_watch_t;

typedef struct tg_config_watch_config {
    const char *dsn;
    uint64_t poll_ms; /* 300 */
    /* Reads a new snapshot, on the watch's thread, inside the transaction; returns NULL and fills
     * `error` on failure (the old one stays). */
    void *(*load)(PGconn *connection, void *arg, tg_error_t *error);
    void (*release)(void *snapshot, void *arg); /* when the last reference is gone */
    void *arg;
} tg_config_watch_config_t;

/* Starts the thread and waits at most `first_ms` for the first snapshot; starting without one is
 * not an error (tg_config_watch_get gives NULL until PostgreSQL is there). */
TG_NODISCARD tg_status_t tg_config_watch_open(const tg_config_watch_config_t *config,
                                              uint64_t first_ms, tg_config_watch_t **out_watch,
                                              tg_error_t *error);
void tg_config_watch_close(
    tg_config_watch_t *watch); /* all snapshots must be put back; NULL is allowed */

/* Runs one statement without parameters for `load`, within TG_CONFIG_WATCH_QUERY_MS whatever the
 * server does. Returns an owned result (tuples or command), or NULL and fills `error`; the
 * connection is then of no more use, so `load` returns NULL. */
#define TG_CONFIG_WATCH_QUERY_MS 5000
PGresult *tg_config_watch_query(PGconn *connection, const char *sql, tg_error_t *error);

/* References the current snapshot; NULL before the first. Give it back with _put. */
void *tg_config_watch_get(tg_config_watch_t *watch);
void tg_config_watch_put(tg_config_watch_t *watch, void *snapshot);

/* Version of the current snapshot, 0 before the first; cheap (one atomic load), so that a thread
 * can keep a reference and look whether it is still the newest. */
uint64_t tg_config_watch_version(const tg_config_watch_t *watch);

/* ms since the database last confirmed the snapshot; UINT64_MAX before the first. */
uint64_t tg_config_watch_age_ms(const tg_config_watch_t *watch);

#endif
