/* The thread beside a producer handle.
 *
 * A probe's answer counts only if no newer sign of trouble came while it was under way: each
 * suspicion takes a new number, and the probe remembers the one it started with.
 *
 * Threads: `mutex` guards all fields below it; `finished` is read without it. */
#include "common/kafka/warden.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/time.h"

#define PROBE_TIMEOUT_MS 1000

struct tg_warden {
    rd_kafka_t *rk; /* owned; NULL once destroyed by the thread */
    int wake_fd;
    pthread_t thread;
    atomic_bool finished;
    bool retired; /* loop thread's own view */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stop;
    uint64_t suspicion; /* number of the newest sign of trouble */
    uint64_t answered;  /* number of the newest one that has been answered */
    uint64_t since_ms;  /* when the unanswered ones began */
};

static bool probe(rd_kafka_t *rk)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, NULL, &metadata, PROBE_TIMEOUT_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    bool any = metadata->broker_cnt > 0;
    rd_kafka_metadata_destroy(metadata);
    return any;
}

/* Sleeps until asked to stop, at most PROBE_MS. The mutex is held. */
static void pause_between_probes(tg_warden_t *warden)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += TG_WARDEN_PROBE_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (!warden->stop) {
        if (pthread_cond_timedwait(&warden->changed, &warden->mutex, &until) != 0)
            return;
    }
}

/* One probe without the mutex, which is held before and after. */
static void probe_once(tg_warden_t *warden)
{
    uint64_t number = warden->suspicion;
    pthread_mutex_unlock(&warden->mutex);
    bool good = probe(warden->rk);
    pthread_mutex_lock(&warden->mutex);
    if (!good) {
        pause_between_probes(warden);
        return;
    }
    if (warden->answered < number)
        warden->answered = number;
    uint64_t one = 1;
    ssize_t ignored =
        write(warden->wake_fd, &one, sizeof(one)); /* full: the loop is awake anyway */
    (void)ignored;
}

static void *warden_main(void *arg)
{
    tg_warden_t *warden = arg;

    pthread_mutex_lock(&warden->mutex);
    while (!warden->stop) {
        if (warden->answered < warden->suspicion)
            probe_once(warden);
        else
            pthread_cond_wait(&warden->changed, &warden->mutex);
    }
    pthread_mutex_unlock(&warden->mutex);

    /* Nobody polls this handle any more, so no report of what is purged can reach anyone. */
    (void)rd_kafka_purge(warden->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                         RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_destroy(warden->rk);
    atomic_store(&warden->finished, true);
    return NULL;
}

tg_status_t tg_warden_create(rd_kafka_t *rk, int wake_fd, tg_warden_t **out_warden)
{
    assert(rk != NULL);
    assert(wake_fd >= 0);
    tg_warden_t *warden = calloc(1, sizeof(*warden));
    if (warden == NULL)
        return TG_NOMEM;
    warden->rk = rk;
    warden->wake_fd = wake_fd;
    pthread_mutex_init(&warden->mutex, NULL);
    pthread_cond_init(&warden->changed, NULL);
    if (pthread_create(&warden->thread, NULL, warden_main, warden) != 0) {
        pthread_cond_destroy(&warden->changed);
        pthread_mutex_destroy(&warden->mutex);
        free(warden);
        return TG_NOMEM;
    }
    *out_warden = warden;
    return TG_OK;
}

rd_kafka_t *tg_warden_handle(tg_warden_t *warden)
{
    assert(warden != NULL);
    assert(!warden->retired);
    return warden->rk;
}

void tg_warden_suspect(tg_warden_t *warden)
{
    assert(!warden->retired);
    pthread_mutex_lock(&warden->mutex);
    assert(warden->answered <= warden->suspicion);
    if (warden->answered == warden->suspicion)
        warden->since_ms = tg_time_mono_ms();
    warden->suspicion++;
    pthread_cond_signal(&warden->changed);
    pthread_mutex_unlock(&warden->mutex);
}

void tg_warden_trust(tg_warden_t *warden)
{
    assert(!warden->retired);
    pthread_mutex_lock(&warden->mutex);
    warden->answered = warden->suspicion;
    pthread_mutex_unlock(&warden->mutex);
}

bool tg_warden_available(tg_warden_t *warden, uint64_t *out_since_ms)
{
    pthread_mutex_lock(&warden->mutex);
    bool available = warden->answered == warden->suspicion;
    if (!available)
        *out_since_ms = warden->since_ms;
    pthread_mutex_unlock(&warden->mutex);
    return available;
}

void tg_warden_retire(tg_warden_t *warden)
{
    assert(warden != NULL);
    assert(!warden->retired);
    warden->retired = true;
    pthread_mutex_lock(&warden->mutex);
    warden->stop = true;
    pthread_cond_signal(&warden->changed);
    pthread_mutex_unlock(&warden->mutex);
}

bool tg_warden_finished(const tg_warden_t *warden)
{
    assert(warden->retired);
    return atomic_load(&warden->finished);
}

void tg_warden_destroy(tg_warden_t *warden)
{
    if (warden == NULL)
        return;
    if (!warden->retired)
        tg_warden_retire(warden);
    pthread_join(warden->thread, NULL);
    assert(atomic_load(&warden->finished));
    pthread_cond_destroy(&warden->changed);
    pthread_mutex_destroy(&warden->mutex);
    free(warden);
}
