/* One statement on a blocking connection, with a deadline: libpq's own PQexec has none, and a
 * frozen server keeps its TCP connection alive.
 *
 * Threads: the one that owns the connection. */
#include <errno.h>
#include <poll.h>

#include "common/base/time.h"
#include "common/watch/watch.h"

/* Waits until the whole answer has been read or the time is over. */
static tg_status_t wait_answer(PGconn *pg, uint64_t end_ms, tg_error_t *error)
{
    while (PQisBusy(pg)) {
        uint64_t now = tg_time_mono_ms();
        if (now >= end_ms)
            return tg_error_set(error, TG_TIMEOUT, "PostgreSQL gave no answer within %d ms",
                                TG_CONFIG_WATCH_QUERY_MS);
        struct pollfd wait = {.fd = PQsocket(pg), .events = POLLIN};
        if (poll(&wait, 1, (int)(end_ms - now)) < 0 && errno != EINTR)
            return tg_error_set(error, TG_INTERNAL, "poll failed with errno %d", errno);
        if (wait.revents != 0 && PQconsumeInput(pg) != 1)
            break; /* the error is in the result */
    }
    return TG_OK;
}

static tg_status_t set_libpq_error(tg_error_t *error, const char *text)
{
    return tg_error_set(error, TG_UNAVAILABLE, "PostgreSQL: %.*s", (int)strcspn(text, "\n"), text);
}

PGresult *tg_config_watch_query(PGconn *connection, const char *sql, tg_error_t *error)
{
    assert(connection != NULL);
    assert(sql != NULL);
    uint64_t end_ms = tg_time_mono_ms() + TG_CONFIG_WATCH_QUERY_MS;
    PGresult *kept = NULL, *result = NULL;
    if (PQsendQuery(connection, sql) != 1) {
        (void)set_libpq_error(error, PQerrorMessage(connection));
        return NULL;
    }
    do { /* the result, then the NULL behind it */
        if (wait_answer(connection, end_ms, error) != TG_OK)
            goto fail;
        result = PQgetResult(connection);
        if (result != NULL) {
            PQclear(kept);
            kept = result;
        }
    } while (result != NULL);

    ExecStatusType status = PQresultStatus(kept);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return kept;
    (void)set_libpq_error(error,
                          kept != NULL ? PQresultErrorMessage(kept) : PQerrorMessage(connection));
fail:
    PQclear(kept);
    return NULL;
}
