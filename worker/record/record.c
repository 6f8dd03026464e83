/* Records are a free list; a dead letter is described from the message as it came. */
#include "worker/record/record.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXTS_MAX   ((size_t)16 << 20) /* far above the largest event */
#define HEADERS_MAX 1000               /* of one record, noted in its dead letter */

static const char *const reason_codes[] = {
    [TG_DEAD_HEADERS] = "bad_headers",    [TG_DEAD_FRAMING] = "bad_framing",
    [TG_DEAD_SCHEMA] = "unknown_schema",  [TG_DEAD_DECODE] = "undecodable",
    [TG_DEAD_STORE] = "refused_by_store", [TG_DEAD_INGESTION] = "invalid_event",
};

/* Fixed for good: a dead letter's id must be the same whoever makes it. */
static const tg_uuid_t dead_letter_space = {{0x4f, 0x2d, 0x67, 0x9e, 0x0a, 0x1c, 0x5b, 0x71, 0x9a,
                                             0x3e, 0x54, 0x8b, 0xd2, 0x06, 0xc7, 0xe1}};

struct tg_record_pool {
    tg_record_t *spent; /* released, with their messages */
    tg_record_t *unused;
    size_t unused_count;
};

tg_record_pool_t *tg_record_pool_create(void)
{
    return calloc(1, sizeof(tg_record_pool_t));
}

static void record_free(tg_record_t *record)
{
    tg_buf_dispose(&record->texts);
    free(record);
}

void tg_record_pool_destroy(tg_record_pool_t *pool)
{
    if (pool == NULL)
        return;
    tg_record_pool_sweep(pool);
    while (pool->unused != NULL) {
        tg_record_t *record = pool->unused;
        pool->unused = record->next;
        record_free(record);
    }
    free(pool);
}

tg_record_t *tg_record_make(tg_record_pool_t *pool, const tg_record_source_t *source,
                            uint64_t now_ms)
{
    assert(source != NULL);
    if (pool->unused == NULL)
        tg_record_pool_sweep(pool);
    tg_record_t *record = pool->unused;

    if (record != NULL) {
        pool->unused = record->next;
        pool->unused_count--;
    } else {
        record = calloc(1, sizeof(*record));
        if (record == NULL)
            return NULL;
        record->texts = tg_buf_make(TEXTS_MAX);
    }
    tg_buf_t texts = record->texts;
    tg_buf_clear(&texts);
    *record = (tg_record_t){.source = *source,
                            .arrived_ms = now_ms,
                            .bytes = sizeof(*record) + source->value.len + source->key.len,
                            .texts = texts};
    return record;
}

tg_record_t *tg_record_take(tg_record_pool_t *pool, rd_kafka_message_t *message, uint64_t now_ms)
{
    assert(message != NULL);
    const tg_record_source_t source = {.topic = tg_str_from(rd_kafka_topic_name(message->rkt)),
                                       .partition = message->partition,
                                       .offset = message->offset,
                                       .key = {message->key, message->key_len},
                                       .value = {message->payload, message->len}};
    tg_record_t *record = tg_record_make(pool, &source, now_ms);
    if (record != NULL)
        record->message = message;
    return record;
}

void tg_record_release(tg_record_pool_t *pool, tg_record_t *record)
{
    assert(record->next == NULL);
    record->next = pool->spent;
    pool->spent = record;
}

static void empty(tg_record_pool_t *pool, tg_record_t *record)
{
    if (record->message != NULL)
        rd_kafka_message_destroy(record->message);
    free(record->error);
    record->message = NULL;
    record->error = NULL;
    if (pool->unused_count >= TG_RECORD_POOL_MAX || record->texts.cap > TG_RECORD_KEEP_BYTES) {
        record_free(record);
        return;
    }
    record->next = pool->unused;
    pool->unused = record;
    pool->unused_count++;
}

void tg_record_pool_sweep(tg_record_pool_t *pool)
{
    while (pool->spent != NULL) {
        tg_record_t *record = pool->spent;
        pool->spent = record->next;
        empty(pool, record);
    }
}

void tg_record_bury(tg_record_t *record, tg_dead_reason_t reason, const char *text)
{
    assert(record->state != TG_RECORD_DEAD);
    size_t len = strlen(text);

    record->state = TG_RECORD_DEAD;
    record->reason = reason;
    record->error = malloc(len + 1);
    for (size_t i = 0; record->error != NULL && i <= len; i++)
        record->error[i] = i == len ? '\0' : text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
}

static void append_base64(tg_buf_t *out, const void *bytes, size_t len)
{
    if (len > TEXTS_MAX) {
        out->failed = true;
        return;
    }
    char *at = tg_buf_reserve(out, (len + 2) / 3 * 4 + 1);
    if (at != NULL)
        out->len += (size_t)EVP_EncodeBlock((unsigned char *)at, bytes, (int)len);
}

/* The record's headers as JSON, in their order. */
static void append_headers(const rd_kafka_message_t *message, tg_buf_t *out)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;

    tg_buf_byte(out, '[');
    if (message != NULL &&
        rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        for (size_t i = 0;
             i < HEADERS_MAX && rd_kafka_header_get_all(headers, i, &name, &value, &len) == 0;
             i++) {
            tg_buf_str(out, i == 0 ? TG_STR("{\"name\":") : TG_STR(",{\"name\":"));
            tg_buf_json_string(out, tg_str_from(name));
            tg_buf_str(out, value == NULL ? TG_STR(",\"value\":null}") : TG_STR(",\"value\":\""));
            if (value == NULL)
                continue;
            append_base64(out, value, len);
            tg_buf_str(out, TG_STR("\"}"));
        }
    }
    tg_buf_byte(out, ']');
}

static void dead_letter_id(const tg_record_t *record, tg_str_t topic_id, tg_uuid_t *out_id)
{
    char place[64];
    int len = snprintf(place, sizeof(place), "/%d/%lld/", (int)record->source.partition,
                       (long long)record->source.offset);
    const tg_str_t parts[] = {record->source.topic, {place, (size_t)len}, topic_id};
    tg_uuid_v5(&dead_letter_space, parts, TG_ARRAY_LEN(parts), out_id);
}

/* What ingestion said of it. */
static void describe_letter(const tg_record_t *record, tg_dead_letter_t *dead)
{
    const tg_record_letter_t *letter = &record->letter;
    dead->id = letter->id;
    dead->tenant = record->row.tenant;
    dead->type = record->row.type;
    dead->text = letter->text;
    dead->field = letter->field;
    if (letter->code.len > 0)
        dead->code = letter->code;
}

void tg_record_dead_letter(const tg_record_t *record, tg_str_t topic_id, tg_buf_t *headers,
                           tg_dead_letter_t *out_dead)
{
    assert(record->state == TG_RECORD_DEAD);
    tg_dead_letter_t dead = {
        .topic = record->source.topic,
        .topic_id = topic_id,
        .partition = record->source.partition,
        .offset = record->source.offset,
        .has_event = record->has_event,
        .code = tg_str_from(reason_codes[record->reason]),
        .text = record->error == NULL ? TG_STR("") : tg_str_from(record->error),
        .key = record->source.key,
        .value = record->source.value,
    };
    if (record->has_event) {
        dead.tenant = record->row.tenant;
        dead.type = record->row.type;
        dead.event_id = record->row.id;
        dead.occurred_at = record->row.occurred_at;
    }
    dead_letter_id(record, topic_id, &dead.id);
    dead.published = record->published;
    if (record->reason == TG_DEAD_INGESTION)
        describe_letter(record, &dead);
    append_headers(record->message, headers);
    dead.headers = headers->failed ? TG_STR("[]") : tg_buf_view(headers);
    *out_dead = dead;
}
