/* The watch's thread: connect, compare the version, load, swap; and the counted snapshots.
 *
 * Snapshots stand in a short list under a mutex: the current one and those that readers still hold.
 * A reader keeps its reference and looks at the version, so the mutex is taken per change and
 * reader, not per request. The version is read again inside the transaction of the load, so it
 * always belongs to what was read. */
#include "common/watch/watch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/thread.h"
#include "common/base/time.h"
#include "common/observe/log.h"

#define DELAY_MAX_MS 5000

static const char version_sql[] = "SELECT version FROM control.config_version";

struct snapshot {
    struct snapshot *next;
    void *data;
    size_t refs; /* the current one has one more, the watch's own */
};

struct tg_config_watch {
    tg_config_watch_config_t config; /* dsn is owned */
    pthread_t thread;
    pthread_mutex_t mutex;  /* over the members down to `snapshots` */
    pthread_cond_t changed; /* the first snapshot came, or `stopping` */
    bool stopping;
    int socket; /* of `pg`, so that close can cut a wait short; -1: none */
    struct snapshot *current;
    struct snapshot *snapshots;
    _Atomic uint64_t version;
    _Atomic uint64_t confirmed_ms; /* monotonic; 0: never */
    PGconn *pg;                    /* the thread's own from here on */
    bool said_down;
};

/* --- snapshots --- */

/* Unlinks the snapshot if its last reference is gone; gives the data to release, or NULL. */
static void *drop_reference(tg_config_watch_t *watch, struct snapshot *snapshot)
{
    assert(snapshot->refs > 0);
    if (--snapshot->refs > 0)
        return NULL;
    struct snapshot **link = &watch->snapshots;
    while (*link != snapshot)
        link = &(*link)->next;
    *link = snapshot->next;
    void *data = snapshot->data;
    free(snapshot);
    return data;
}

/* Takes `data` as the current snapshot. */
static tg_status_t swap_in(tg_config_watch_t *watch, void *data, uint64_t version)
{
    struct snapshot *fresh = calloc(1, sizeof(*fresh));
    if (fresh == NULL) {
        watch->config.release(data, watch->config.arg);
        return TG_NOMEM;
    }
    fresh->data = data;
    fresh->refs = 1;

    pthread_mutex_lock(&watch->mutex);
    struct snapshot *old = watch->current;
    fresh->next = watch->snapshots;
    watch->snapshots = watch->current = fresh;
    atomic_store(&watch->version, version);
    atomic_store(&watch->confirmed_ms, tg_time_mono_ms());
    void *garbage = old != NULL ? drop_reference(watch, old) : NULL;
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->mutex);

    if (garbage != NULL)
        watch->config.release(garbage, watch->config.arg);
    return TG_OK;
}

void *tg_config_watch_get(tg_config_watch_t *watch)
{
    assert(watch != NULL);
    void *data = NULL;
    pthread_mutex_lock(&watch->mutex);
    if (watch->current != NULL) {
        watch->current->refs++;
        data = watch->current->data;
    }
    pthread_mutex_unlock(&watch->mutex);
    return data;
}

void tg_config_watch_put(tg_config_watch_t *watch, void *snapshot)
{
    if (snapshot == NULL)
        return;
    pthread_mutex_lock(&watch->mutex);
    struct snapshot *found = watch->snapshots;
    while (found != NULL && found->data != snapshot)
        found = found->next;
    assert(found != NULL);
    void *garbage = drop_reference(watch, found);
    pthread_mutex_unlock(&watch->mutex);
    if (garbage != NULL)
        watch->config.release(garbage, watch->config.arg);
}

uint64_t tg_config_watch_version(const tg_config_watch_t *watch)
{
    return atomic_load(&watch->version);
}

uint64_t tg_config_watch_age_ms(const tg_config_watch_t *watch)
{
    uint64_t confirmed = atomic_load(&watch->confirmed_ms);
    uint64_t now = tg_time_mono_ms();
    if (confirmed == 0)
        return UINT64_MAX;
    return now > confirmed ? now - confirmed : 0;
}

/* --- the connection --- */

static void set_socket(tg_config_watch_t *watch, int socket)
{
    pthread_mutex_lock(&watch->mutex);
    watch->socket = socket;
    if (watch->stopping && socket >= 0)
        shutdown(socket, SHUT_RDWR);
    pthread_mutex_unlock(&watch->mutex);
}

static void disconnect(tg_config_watch_t *watch)
{
    set_socket(watch, -1);
    PQfinish(watch->pg);
    watch->pg = NULL;
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static tg_status_t connect_now(tg_config_watch_t *watch, tg_error_t *error)
{
    /* Later words win: the DSN may say otherwise than those before it. */
    const char *const names[] = {"connect_timeout",  "options",
                                 "keepalives_idle",  "keepalives_interval",
                                 "keepalives_count", "tcp_user_timeout",
                                 "dbname",           "fallback_application_name",
                                 "client_encoding",  NULL};
    const char *const values[] = {"2",
                                  "-c statement_timeout=5000",
                                  "10",
                                  "5",
                                  "3",
                                  "10000",
                                  watch->config.dsn,
                                  "tidegate-watch",
                                  "UTF8",
                                  NULL};
    _Static_assert(TG_ARRAY_LEN(names) == TG_ARRAY_LEN(values), "one value per name");

    watch->pg = PQconnectdbParams(names, values, 1);
    if (watch->pg == NULL || PQstatus(watch->pg) != CONNECTION_OK) {
        const char *text = PQerrorMessage(watch->pg);
        return tg_error_set(error, TG_UNAVAILABLE, "%.*s", (int)strcspn(text, "\n"), text);
    }
    PQsetNoticeProcessor(watch->pg, ignore_notice, NULL);
    set_socket(watch, PQsocket(watch->pg));
    return TG_OK;
}

/* --- a round --- */

static tg_status_t run(PGconn *pg, const char *sql, tg_error_t *error)
{
    PGresult *result = tg_config_watch_query(pg, sql, error);
    PQclear(result);
    return result != NULL ? TG_OK : TG_UNAVAILABLE;
}

static tg_status_t read_version(PGconn *pg, uint64_t *out_version, tg_error_t *error)
{
    PGresult *result = tg_config_watch_query(pg, version_sql, error);
    tg_status_t status = TG_UNAVAILABLE;
    if (result != NULL) {
        status = TG_INVALID;
        if (PQntuples(result) == 1 && PQnfields(result) == 1)
            status = tg_str_to_u64(tg_str_from(PQgetvalue(result, 0, 0)), out_version);
        if (status != TG_OK)
            (void)tg_error_set(error, status, "control.config_version holds no version");
    }
    PQclear(result);
    return status;
}

static tg_status_t reload(tg_config_watch_t *watch, tg_error_t *error)
{
    uint64_t version = 0;
    tg_status_t status = run(watch->pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", error);
    if (status == TG_OK)
        status = read_version(watch->pg, &version, error);
    if (status != TG_OK)
        return status;
    void *data = watch->config.load(watch->pg, watch->config.arg, error);
    if (data == NULL)
        return TG_UNAVAILABLE;
    status = swap_in(watch, data, version);
    if (status != TG_OK)
        return tg_error_set(error, status, "out of memory");
    return run(watch->pg, "COMMIT", error);
}

static tg_status_t look(tg_config_watch_t *watch, tg_error_t *error)
{
    uint64_t version = 0;
    tg_status_t status = watch->pg != NULL ? TG_OK : connect_now(watch, error);
    if (status == TG_OK)
        status = read_version(watch->pg, &version, error);
    /* Only this thread writes `current`, so it may look at it without the mutex. */
    if (status == TG_OK && (watch->current == NULL || version != atomic_load(&watch->version)))
        status = reload(watch, error);
    if (status == TG_OK)
        atomic_store(&watch->confirmed_ms, tg_time_mono_ms());
    else
        disconnect(watch);
    return status;
}

/* There is no caller to tell: said once when it fails, and once when it works again. */
static void say(tg_config_watch_t *watch, tg_status_t status, const tg_error_t *error)
{
    if (status != TG_OK && !watch->said_down)
        tg_log_warn("config_watch_failed", TG_F_TEXT("error", error->text),
                    TG_F_TEXT("action", "the last snapshot goes on serving; trying again"));
    if (status == TG_OK && watch->said_down)
        tg_log_info("config_watch_recovered", TG_F_INT("version", atomic_load(&watch->version)));
    watch->said_down = status != TG_OK;
}

static struct timespec in_ms(uint64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* False when the watch is being closed. */
static bool sleep_ms(tg_config_watch_t *watch, uint64_t ms)
{
    struct timespec end = in_ms(ms);
    pthread_mutex_lock(&watch->mutex);
    while (!watch->stopping && pthread_cond_timedwait(&watch->changed, &watch->mutex, &end) == 0) {
    }
    bool go_on = !watch->stopping;
    pthread_mutex_unlock(&watch->mutex);
    return go_on;
}

static void *run_thread(void *arg)
{
    tg_config_watch_t *watch = arg;
    uint64_t delay_ms = watch->config.poll_ms;
    do {
        tg_error_t error = {.text = "unknown"};
        tg_status_t status = look(watch, &error);
        say(watch, status, &error);
        uint64_t doubled = delay_ms * 2 < DELAY_MAX_MS ? delay_ms * 2 : DELAY_MAX_MS;
        delay_ms = status == TG_OK ? watch->config.poll_ms : doubled;
    } while (sleep_ms(watch, delay_ms));
    disconnect(watch);
    return NULL;
}

/* --- life cycle --- */

static void wait_first(tg_config_watch_t *watch, uint64_t first_ms)
{
    struct timespec end = in_ms(first_ms);
    pthread_mutex_lock(&watch->mutex);
    while (watch->current == NULL &&
           pthread_cond_timedwait(&watch->changed, &watch->mutex, &end) == 0) {
    }
    pthread_mutex_unlock(&watch->mutex);
}

static void free_watch(tg_config_watch_t *watch)
{
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->mutex);
    free((char *)watch->config.dsn);
    free(watch);
}

tg_status_t tg_config_watch_open(const tg_config_watch_config_t *config, uint64_t first_ms,
                                 tg_config_watch_t **out_watch, tg_error_t *error)
{
    assert(config != NULL && config->dsn != NULL);
    assert(config->load != NULL && config->release != NULL);
    assert(config->poll_ms > 0);
    tg_config_watch_t *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&watch->mutex, NULL);
    watch->socket = -1;
    watch->config = *config;
    watch->config.dsn = strdup(config->dsn);
    if (watch->config.dsn == NULL || tg_thread_start(&watch->thread, run_thread, watch) != 0) {
        free_watch(watch);
        return tg_error_set(error, TG_NOMEM, "no memory or thread for the configuration watch");
    }
    wait_first(watch, first_ms);
    *out_watch = watch;
    return TG_OK;
}

void tg_config_watch_close(tg_config_watch_t *watch)
{
    if (watch == NULL)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->stopping = true;
    if (watch->socket >= 0)
        shutdown(watch->socket, SHUT_RDWR); /* ends a wait for the server at once */
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    if (watch->current != NULL) {
        assert(watch->snapshots == watch->current && watch->current->next == NULL);
        assert(watch->current->refs == 1);
        void *data = drop_reference(watch, watch->current);
        watch->config.release(data, watch->config.arg);
    }
    free_watch(watch);
}
