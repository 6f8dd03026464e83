/* A dead letter's key and headers. */
#include "ingestion/record/letter.h"

#include <stdio.h>

#define HEADER_NAMES 160 /* bytes of the names and fixed values, for the byte budget */

/* Fixed for good: the table of dead letters depends on it. */
static const tg_uuid_t space = {{0x1c, 0x9b, 0x5e, 0x07, 0x3f, 0x62, 0x5a, 0xd4, 0x8e, 0x11, 0x6a,
                                 0xf0, 0x27, 0xb3, 0xc8, 0x95}};

void tg_letter_name(const tg_event_rules_t *rules, tg_uuid_t *out_id)
{
    char index[24];
    int len = snprintf(index, sizeof(index), "/%llu", (unsigned long long)rules->index);
    if (rules->idempotency_key.len == 0) {
        tg_uuid_v7(rules->now / TG_US_PER_MS, out_id);
        return;
    }
    const tg_str_t parts[] = {rules->tenant,
                              TG_STR("/"),
                              rules->idempotency_key,
                              {index, (size_t)len}};
    tg_uuid_v5(&space, parts, TG_ARRAY_LEN(parts), out_id);
}

struct headers {
    rd_kafka_headers_t *list;
    size_t bytes;
    bool failed;
};

static void add(struct headers *headers, const char *name, tg_str_t value)
{
    headers->bytes += value.len;
    headers->failed |= rd_kafka_header_add(headers->list, name, -1, value.len == 0 ? "" : value.ptr,
                                           (ssize_t)value.len) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void add_attributes(struct headers *headers, const tg_cloudevent_t *attributes)
{
    add(headers, "ce_specversion", TG_STR("1.0"));
    add(headers, "ce_id", attributes->id);
    add(headers, "ce_source", attributes->source);
    add(headers, "ce_type", attributes->type);
    if (attributes->time.len > 0)
        add(headers, "ce_time", attributes->time);
}

static void add_error(struct headers *headers, const tg_letter_t *letter)
{
    char id[TG_UUID_TEXT_LEN];
    tg_uuid_format(&letter->id, id);
    add(headers, "tg-dlq-origin", TG_STR("ingestion"));
    add(headers, "tg-dlq-id", (tg_str_t){id, sizeof(id)});
    add(headers, "tg-dlq-code", tg_str_from(letter->error->code));
    add(headers, "tg-dlq-text", tg_str_from(letter->error->message));
    add(headers, "tg-dlq-field", tg_str_from(letter->error->field));
    add(headers, "tg-dlq-form", tg_str_from(letter->form));
}

static void add_all(struct headers *headers, const tg_letter_t *letter, const tg_trace_t *trace)
{
    char received[8], text[TG_TRACE_TEXT_LEN];
    for (unsigned i = 0; i < 8; i++)
        received[i] = (char)((uint64_t)letter->received_at >> (56 - 8 * i));
    tg_trace_format(trace, text);
    add_error(headers, letter);
    add(headers, "tg-tenant", letter->tenant);
    if (tg_event_type_name_ok(letter->type))
        add(headers, "tg-type", letter->type);
    add(headers, "tg-received-at", (tg_str_t){received, sizeof(received)});
    add(headers, "traceparent", (tg_str_t){text, sizeof(text)});
    if (letter->attributes != NULL)
        add_attributes(headers, letter->attributes);
}

tg_status_t tg_letter_produce(tg_ingestion_thread_t *thread, const tg_letter_t *letter,
                              const tg_trace_t *trace, tg_producer_done_fn done, void *arg)
{
    assert(letter->tenant.len > 0);
    struct headers headers = {.list = rd_kafka_headers_new(16), .bytes = HEADER_NAMES};
    if (headers.list == NULL)
        return TG_NOMEM;
    add_all(&headers, letter, trace);
    const tg_producer_record_t record = {.topic = thread->config->dead_letter_topic,
                                         .key = letter->tenant,
                                         .value = letter->bytes,
                                         .headers = headers.list,
                                         .header_bytes = headers.bytes,
                                         .timestamp_ms = letter->received_at / TG_US_PER_MS};
    tg_status_t status =
        headers.failed ? TG_NOMEM : tg_producer_send(thread->producer, &record, done, arg);
    if (status != TG_OK)
        rd_kafka_headers_destroy(headers.list);
    return status;
}
