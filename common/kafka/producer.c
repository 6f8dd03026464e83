/* Durable producer on one event loop.
 *
 * Each record in flight has a slot, whose address is librdkafka's per-message opaque. All slots are
 * one array made at open, so that sending allocates nothing here and a FATAL error can answer
 * everything by walking it. A handle that went FATAL is never polled again: whatever reports it
 * still holds die with it, and its slots may be used anew at once.
 *
 *   live --FATAL--> backing off --timer--> live
 *
 * The retired handles (at most RETIRED_MAX) are destroyed by their wardens' threads meanwhile.
 *
 * Threads: belongs to its loop's thread. */
#include "common/kafka/producer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/time.h"
#include "common/kafka/conf.h"
#include "common/kafka/warden.h"
#include "common/observe/log.h"

#define RETIRED_MAX    4
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define CROWD          16 /* records in flight */
#define DRAIN_MS       1
#define SLOT_NONE      UINT32_MAX

struct slot {
    tg_producer_done_fn done; /* NULL while free */
    void *arg;
    tg_producer_t *producer;
    uint32_t bytes;
    uint32_t next_free;
};

struct topic {
    char *name; /* owned */
    rd_kafka_topic_t *handle;
};

struct tg_producer {
    tg_loop_t *loop;
    tg_producer_config_t config; /* its texts are owned copies */
    int wake_fd;
    tg_watch_t *watch;
    tg_timer_t drain;

    tg_warden_t *warden; /* the live handle; NULL while backing off */
    rd_kafka_queue_t *queue;
    struct topic topics[TG_PRODUCER_TOPICS_MAX];
    size_t topic_count;

    struct slot *slots;  /* config.max_inflight_records of them */
    uint32_t slots_used; /* slots from here on were never touched */
    uint32_t first_free;

    bool suspicious; /* the warden has an unanswered suspicion, as far as this thread knows */
    bool fatal;      /* the live handle is beyond use */
    bool acked;      /* something was acknowledged in this poll */
    bool polling;
    tg_timer_t recreate;
    uint64_t backoff_ms;
    tg_warden_t *retired[RETIRED_MAX];

    tg_producer_stats_t stats;
};

/* --- slots --- */

static struct slot *slot_take(tg_producer_t *producer)
{
    uint32_t index = producer->first_free;
    if (index != SLOT_NONE) {
        producer->first_free = producer->slots[index].next_free;
        return &producer->slots[index];
    }
    if (producer->slots_used == producer->config.max_inflight_records)
        return NULL;
    return &producer->slots[producer->slots_used++];
}

static void slot_put(tg_producer_t *producer, struct slot *slot)
{
    slot->done = NULL;
    slot->next_free = producer->first_free;
    producer->first_free = (uint32_t)(slot - producer->slots);
}

/* Frees the slot before the callback, which may send again. */
static void slot_finish(tg_producer_t *producer, struct slot *slot, tg_status_t status)
{
    assert(slot->done != NULL);
    assert(producer->stats.inflight_records > 0);
    assert(producer->stats.inflight_bytes >= slot->bytes);
    tg_producer_done_fn done = slot->done;
    void *arg = slot->arg;

    producer->stats.inflight_records--;
    producer->stats.inflight_bytes -= slot->bytes;
    if (status == TG_OK)
        producer->stats.acknowledged_total++;
    else
        producer->stats.failed_total++;
    slot_put(producer, slot);
    done(arg, status);
}

static void finish_all(tg_producer_t *producer, tg_status_t status)
{
    assert(producer->warden == NULL); /* so that the callbacks cannot take new slots */
    for (uint32_t i = 0; i < producer->slots_used; i++) {
        if (producer->slots[i].done != NULL)
            slot_finish(producer, &producer->slots[i], status);
    }
    assert(producer->stats.inflight_records == 0);
}

/* --- what librdkafka reports, all inside rd_kafka_poll or rd_kafka_flush --- */

static tg_status_t status_of(rd_kafka_resp_err_t err)
{
    switch (err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return TG_OK;
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
        return TG_TIMEOUT;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return TG_TOO_LARGE;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return TG_FULL;
    default: /* purged records too: librdkafka purges by itself when it goes FATAL */
        return TG_UNAVAILABLE;
    }
}

static void suspect(tg_producer_t *producer)
{
    if (producer->warden == NULL)
        return;
    producer->suspicious = true;
    tg_warden_suspect(producer->warden);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    tg_producer_t *producer = opaque;
    struct slot *slot = message->_private;
    assert(slot->producer == producer);

    tg_status_t status = status_of(message->err);
    if (status == TG_OK)
        producer->acked = true;
    else if (status == TG_TIMEOUT && !producer->suspicious)
        suspect(producer);
    slot_finish(producer, slot, status);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    (void)rk;
    tg_producer_t *producer = opaque;

    tg_log_debug("kafka_error", TG_F_TEXT("error", rd_kafka_err2name((rd_kafka_resp_err_t)err)),
                 TG_F_TEXT("text", reason));
    if (err == RD_KAFKA_RESP_ERR__FATAL)
        producer->fatal = true;
    else if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        suspect(producer);
}

/* --- the handle's life --- */

static void drop_topics(tg_producer_t *producer)
{
    for (size_t i = 0; i < producer->topic_count; i++) {
        rd_kafka_topic_destroy(producer->topics[i].handle);
        free(producer->topics[i].name);
    }
    producer->topic_count = 0;
}

/* Gives up the live handle without waiting for it; the caller keeps the retired warden. */
static tg_warden_t *detach(tg_producer_t *producer)
{
    assert(producer->warden != NULL);
    tg_warden_t *warden = producer->warden;

    rd_kafka_queue_io_event_enable(producer->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(producer->queue);
    producer->queue = NULL;
    drop_topics(producer);
    producer->warden = NULL;
    producer->suspicious = false;
    tg_warden_retire(warden);
    return warden;
}

static tg_status_t configure(tg_producer_t *producer, rd_kafka_conf_t *conf, tg_error_t *error)
{
    const tg_producer_config_t *c = &producer->config;
    uint64_t reply_ms = c->delivery_timeout_ms / 2 < 1000 ? 1000 : c->delivery_timeout_ms / 2;
    tg_kafka_number_t linger = tg_kafka_number(c->linger_ms);
    tg_kafka_number_t records = tg_kafka_number(c->max_inflight_records);
    tg_kafka_number_t kbytes = tg_kafka_number(c->max_inflight_bytes / 512 + 1024);
    tg_kafka_number_t delivery = tg_kafka_number(c->delivery_timeout_ms);
    tg_kafka_number_t reply = tg_kafka_number(reply_ms);
    const tg_kafka_property_t properties[] = {
        {"bootstrap.servers", c->brokers},
        {"client.id", c->client_id},
        {"acks", "all"},
        {"enable.idempotence", "true"},
        {"partitioner", "murmur2"}, /* as the Java client, so that others may produce as well */
        {"compression.codec", "lz4"},
        {"linger.ms", linger.text},
        {"batch.size", "1000000"}, /* 16 KB batches cost four times the CPU */
        {"message.max.bytes", "1048576"},
        {"message.timeout.ms", delivery.text},
        /* Our own budgets are the ones that refuse; librdkafka's are twice as wide. */
        {"queue.buffering.max.messages", records.text},
        {"queue.buffering.max.kbytes", kbytes.text},
        /* Back within half a second of the broker. */
        {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "500"},
        {"socket.connection.setup.timeout.ms", "3000"},
        {"socket.timeout.ms", reply.text},
        {"request.timeout.ms", reply.text},
        {"socket.keepalive.enable", "true"},
        {"topic.metadata.refresh.interval.ms", "60000"},
    };
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, tg_kafka_log);
    return tg_kafka_conf_set(conf, properties, TG_ARRAY_LEN(properties), c->extra, error);
}

static tg_status_t open_handle(tg_producer_t *producer, tg_error_t *error)
{
    assert(producer->warden == NULL);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    tg_status_t status = configure(producer, conf, error);
    if (status != TG_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    char reason[256];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return tg_error_set(error, TG_INVALID, "kafka producer: %s", reason);
    }
    status = tg_warden_create(rk, producer->wake_fd, &producer->warden);
    if (status != TG_OK) {
        rd_kafka_destroy(rk);
        return tg_error_set(error, status, "kafka producer: no thread for it");
    }
    producer->fatal = false;
    producer->queue = rd_kafka_queue_get_main(rk);
    uint64_t one = 1;
    rd_kafka_queue_io_event_enable(producer->queue, producer->wake_fd, &one, sizeof(one));
    suspect(producer); /* available only once a broker has answered */
    return TG_OK;
}

static void on_recreate(void *arg);

static void recreate_later(tg_producer_t *producer)
{
    tg_timer_start(producer->loop, &producer->recreate, producer->backoff_ms, on_recreate,
                   producer);
    producer->backoff_ms *= 2;
    if (producer->backoff_ms > BACKOFF_MAX_MS)
        producer->backoff_ms = BACKOFF_MAX_MS;
}

static tg_warden_t **retired_place(tg_producer_t *producer)
{
    for (size_t i = 0; i < RETIRED_MAX; i++) {
        tg_warden_t **place = &producer->retired[i];
        if (*place != NULL && tg_warden_finished(*place)) {
            tg_warden_destroy(*place);
            *place = NULL;
        }
        if (*place == NULL)
            return place;
    }
    return NULL;
}

static void on_recreate(void *arg)
{
    tg_producer_t *producer = arg;
    assert(producer->warden == NULL);

    /* A place must be free for this handle as well, should it go the same way. */
    tg_error_t error = {0};
    if (retired_place(producer) == NULL || open_handle(producer, &error) != TG_OK) {
        tg_log_warn("kafka_producer_waits", TG_F_TEXT("reason", error.text));
        recreate_later(producer);
        return;
    }
    producer->stats.recreated_total++;
    tg_log_warn("kafka_producer_recreated",
                TG_F_INT("recreated_total", producer->stats.recreated_total));
}

static void on_fatal(tg_producer_t *producer)
{
    char reason[256] = "";
    rd_kafka_resp_err_t err =
        rd_kafka_fatal_error(tg_warden_handle(producer->warden), reason, sizeof(reason));
    tg_log_warn("kafka_producer_fatal", TG_F_TEXT("error", rd_kafka_err2name(err)),
                TG_F_TEXT("reason", reason),
                TG_F_INT("answered_unavailable", producer->stats.inflight_records));

    tg_warden_t **place = retired_place(producer);
    assert(place != NULL);
    *place = detach(producer);
    recreate_later(producer);
    finish_all(producer, TG_UNAVAILABLE);
}

static void poll_handle(tg_producer_t *producer)
{
    assert(!producer->polling);
    if (producer->warden == NULL)
        return;
    rd_kafka_t *rk = tg_warden_handle(producer->warden);
    producer->acked = false;
    producer->polling = true;
    rd_kafka_poll(rk, 0);
    producer->polling = false;

    if (producer->acked) {
        producer->backoff_ms = BACKOFF_MIN_MS;
        if (producer->suspicious)
            tg_warden_trust(producer->warden);
    }
    uint64_t since;
    if (producer->suspicious && tg_warden_available(producer->warden, &since))
        producer->suspicious = false;
    if (producer->fatal)
        on_fatal(producer);
}

static void on_drain(void *arg)
{
    poll_handle(arg);
}

/* Brokers acknowledge partition by partition. With many records under way the first report is given
 * a moment, in which those of other partitions come along: fewer wake-ups, and fuller ones, here
 * and for those whom we answer. */
static void on_wake(void *arg, unsigned ready)
{
    (void)ready;
    tg_producer_t *producer = arg;
    uint64_t count;
    if (read(producer->wake_fd, &count, sizeof(count)) < 0)
        assert(errno == EAGAIN || errno == EINTR);
    if (producer->stats.inflight_records < CROWD)
        poll_handle(producer);
    else if (producer->drain.loop == NULL)
        tg_timer_start(producer->loop, &producer->drain, DRAIN_MS, on_drain, producer);
}

/* --- open and close --- */

static tg_status_t copy_config(tg_producer_t *producer, const tg_producer_config_t *config)
{
    producer->config = *config;
    producer->config.brokers = strdup(config->brokers);
    producer->config.client_id = strdup(config->client_id);
    producer->config.extra = config->extra == NULL ? NULL : strdup(config->extra);
    bool failed = producer->config.brokers == NULL || producer->config.client_id == NULL ||
                  (config->extra != NULL && producer->config.extra == NULL);
    return failed ? TG_NOMEM : TG_OK;
}

static tg_status_t open_parts(tg_producer_t *producer, const tg_producer_config_t *config,
                              tg_error_t *error)
{
    if (copy_config(producer, config) != TG_OK)
        return tg_error_set(error, TG_NOMEM, "kafka producer: out of memory");
    /* Untouched pages of a large zeroed block cost nothing. */
    producer->slots = calloc(config->max_inflight_records, sizeof(*producer->slots));
    producer->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (producer->slots == NULL || producer->wake_fd < 0)
        return tg_error_set(error, TG_NOMEM, "kafka producer: out of memory or descriptors");
    producer->watch = tg_watch_open(producer->loop, producer->wake_fd, on_wake, producer);
    if (producer->watch == NULL)
        return tg_error_set(error, TG_NOMEM, "kafka producer: out of memory or descriptors");
    tg_watch_set(producer->watch, TG_WATCH_READ);
    return open_handle(producer, error);
}

tg_status_t tg_producer_open(tg_loop_t *loop, const tg_producer_config_t *config,
                             tg_producer_t **out_producer, tg_error_t *error)
{
    assert(loop != NULL);
    assert(config->brokers != NULL && config->client_id != NULL);
    assert(config->max_inflight_records > 0 && config->max_inflight_records < SLOT_NONE);
    tg_producer_t *producer = calloc(1, sizeof(*producer));
    if (producer == NULL)
        return tg_error_set(error, TG_NOMEM, "kafka producer: out of memory");
    producer->loop = loop;
    producer->wake_fd = -1;
    producer->first_free = SLOT_NONE;
    producer->backoff_ms = BACKOFF_MIN_MS;

    tg_status_t status = open_parts(producer, config, error);
    if (status != TG_OK) {
        tg_producer_close(producer, 0);
        return status;
    }
    *out_producer = producer;
    return TG_OK;
}

void tg_producer_close(tg_producer_t *producer, uint64_t flush_ms)
{
    if (producer == NULL)
        return;
    assert(!producer->polling);
    tg_timer_stop(&producer->recreate);
    tg_timer_stop(&producer->drain);
    tg_warden_t *last = NULL;
    if (producer->warden != NULL) {
        if (producer->stats.inflight_records > 0)
            (void)rd_kafka_flush(tg_warden_handle(producer->warden), (int)flush_ms);
        last = detach(producer);
    }
    finish_all(producer, TG_CANCELLED);
    tg_watch_close(producer->watch);
    tg_warden_destroy(last);
    for (size_t i = 0; i < RETIRED_MAX; i++)
        tg_warden_destroy(producer->retired[i]);
    if (producer->wake_fd >= 0)
        close(producer->wake_fd);
    free(producer->slots);
    free((char *)producer->config.brokers);
    free((char *)producer->config.client_id);
    free((char *)producer->config.extra);
    free(producer);
}

/* --- sending --- */

static rd_kafka_topic_t *topic_handle(tg_producer_t *producer, const char *name)
{
    for (size_t i = 0; i < producer->topic_count; i++) {
        if (strcmp(producer->topics[i].name, name) == 0)
            return producer->topics[i].handle;
    }
    if (producer->topic_count == TG_PRODUCER_TOPICS_MAX)
        return NULL;
    char *copy = strdup(name);
    if (copy == NULL)
        return NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(tg_warden_handle(producer->warden), name, NULL);
    if (handle == NULL) {
        free(copy);
        return NULL;
    }
    producer->topics[producer->topic_count++] = (struct topic){copy, handle};
    return handle;
}

/* Whether a record may be tried at all. */
static bool usable(tg_producer_t *producer)
{
    if (producer->warden == NULL || producer->fatal)
        return false;
    if (!producer->suspicious)
        return true;
    uint64_t since = 0;
    if (tg_warden_available(producer->warden, &since)) {
        producer->suspicious = false;
        return true;
    }
    return tg_time_mono_ms() < since + producer->config.unavailable_ms;
}

static rd_kafka_resp_err_t produce(tg_producer_t *producer, rd_kafka_topic_t *topic,
                                   const tg_producer_record_t *record, struct slot *slot)
{
    /* librdkafka partitions by the key's bytes and wants a pointer even for an empty key. */
    const char *key = record->key.len == 0 ? "" : record->key.ptr;
    rd_kafka_t *rk = tg_warden_handle(producer->warden);
    if (record->headers == NULL)
        return rd_kafka_producev(rk, RD_KAFKA_V_RKT(topic),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                 RD_KAFKA_V_KEY(key, record->key.len),
                                 RD_KAFKA_V_VALUE((void *)record->value.ptr, record->value.len),
                                 RD_KAFKA_V_TIMESTAMP(record->timestamp_ms),
                                 RD_KAFKA_V_OPAQUE(slot), RD_KAFKA_V_END);
    return rd_kafka_producev(rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_KEY(key, record->key.len),
                             RD_KAFKA_V_VALUE((void *)record->value.ptr, record->value.len),
                             RD_KAFKA_V_TIMESTAMP(record->timestamp_ms), RD_KAFKA_V_OPAQUE(slot),
                             RD_KAFKA_V_HEADERS(record->headers), RD_KAFKA_V_END);
}

tg_status_t tg_producer_send(tg_producer_t *producer, const tg_producer_record_t *record,
                             tg_producer_done_fn done, void *arg)
{
    assert(record->topic != NULL);
    assert(done != NULL);
    if (!usable(producer))
        return TG_UNAVAILABLE;
    size_t bytes = record->key.len + record->value.len + record->header_bytes;
    if (bytes > producer->config.max_inflight_bytes - producer->stats.inflight_bytes)
        return TG_FULL;
    rd_kafka_topic_t *topic = topic_handle(producer, record->topic);
    if (topic == NULL)
        return TG_FULL;
    struct slot *slot = slot_take(producer);
    if (slot == NULL)
        return TG_FULL;

    rd_kafka_resp_err_t err = produce(producer, topic, record, slot);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        slot_put(producer, slot); /* FATAL also comes as an error event, which ends this handle */
        return status_of(err);
    }
    slot->done = done;
    slot->arg = arg;
    slot->producer = producer;
    slot->bytes = (uint32_t)bytes;
    producer->stats.inflight_records++;
    producer->stats.inflight_bytes += bytes;
    return TG_OK;
}

void tg_producer_get_stats(const tg_producer_t *producer, tg_producer_stats_t *out_stats)
{
    assert(out_stats != NULL);
    *out_stats = producer->stats;
    out_stats->available = producer->warden != NULL && !producer->suspicious && !producer->fatal;
}
