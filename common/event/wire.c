/* Headers of an event record. Numbers are big endian, as everything else on Kafka's wire. */
#include "common/event/wire.h"

/* Times outside the years 1 to 9999 cannot be stored; they can only come from a foreign producer.
 */
#define TIME_MIN (INT64_C(-719162) * TG_US_PER_DAY)
#define TIME_MAX (INT64_C(2932897) * TG_US_PER_DAY - 1)

static const char header_tenant[] = "tg-tenant";
static const char header_type[] = "tg-type";
static const char header_id[] = "tg-event-id";
static const char header_occurred[] = "tg-occurred-at";
static const char header_received[] = "tg-received-at";
static const char header_own[] = "tg-time-own";
static const char header_trace[] = "traceparent";

static void put_i64(int64_t value, char out[8])
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (char)((uint64_t)value >> (56 - 8 * i));
}

static int64_t get_i64(const char *at)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value = value << 8 | (unsigned char)at[i];
    return (int64_t)value;
}

static bool add(rd_kafka_headers_t *headers, const char *name, const void *value, size_t len)
{
    return rd_kafka_header_add(headers, name, -1, value, (ssize_t)len) ==
           RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_headers_t *tg_event_headers(const tg_event_t *event, const tg_trace_t *trace)
{
    assert(event != NULL);
    assert(event->tenant.len > 0);
    assert(event->type.len > 0);
    char occurred[8], received[8], own = event->time_own ? 1 : 0;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(7);
    if (headers == NULL)
        return NULL;
    put_i64(event->occurred_at, occurred);
    put_i64(event->received_at, received);
    bool ok = add(headers, header_tenant, event->tenant.ptr, event->tenant.len) &&
              add(headers, header_type, event->type.ptr, event->type.len) &&
              add(headers, header_id, event->id.bytes, sizeof(event->id.bytes)) &&
              add(headers, header_occurred, occurred, sizeof(occurred)) &&
              add(headers, header_received, received, sizeof(received)) &&
              add(headers, header_own, &own, 1);
    if (ok && trace != NULL) {
        char text[TG_TRACE_TEXT_LEN];
        tg_trace_format(trace, text);
        ok = add(headers, header_trace, text, sizeof(text));
    }
    if (ok)
        return headers;
    rd_kafka_headers_destroy(headers);
    return NULL;
}

tg_str_t tg_event_header(const rd_kafka_headers_t *headers, const char *name)
{
    const void *value = NULL;
    size_t len = 0;
    if (rd_kafka_header_get_last(headers, name, &value, &len) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        value == NULL)
        return (tg_str_t){NULL, 0};
    return (tg_str_t){value, len};
}

static tg_status_t refuse(tg_error_t *error, const char *name, tg_str_t came)
{
    return came.len == 0 ? tg_error_set(error, TG_INVALID, "header %s is missing", name)
                         : tg_error_set(error, TG_INVALID, "header %s of %zu bytes is malformed",
                                        name, came.len);
}

static tg_status_t read_time(const rd_kafka_headers_t *headers, const char *name, int64_t *out_us,
                             tg_error_t *error)
{
    tg_str_t bytes = tg_event_header(headers, name);
    if (bytes.len != 8)
        return refuse(error, name, bytes);
    int64_t us = get_i64(bytes.ptr);
    if (us < TIME_MIN || us > TIME_MAX)
        return refuse(error, name, bytes);
    *out_us = us;
    return TG_OK;
}

tg_status_t tg_event_read_headers(const rd_kafka_message_t *message, tg_event_t *event,
                                  tg_error_t *error)
{
    assert(message != NULL);
    assert(event != NULL);
    rd_kafka_headers_t *headers;
    tg_event_t read = *event;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tg_error_set(error, TG_INVALID, "record without headers");
    read.tenant = tg_event_header(headers, header_tenant);
    read.type = tg_event_header(headers, header_type);
    tg_str_t id = tg_event_header(headers, header_id), own = tg_event_header(headers, header_own);
    if (!tg_event_tenant_ok(read.tenant))
        return refuse(error, header_tenant, read.tenant);
    if (!tg_event_type_name_ok(read.type))
        return refuse(error, header_type, read.type);
    if (id.len != sizeof(read.id.bytes))
        return refuse(error, header_id, id);
    if (own.len != 1 || (unsigned char)own.ptr[0] > 1)
        return refuse(error, header_own, own);
    tg_status_t status = read_time(headers, header_occurred, &read.occurred_at, error);
    if (status == TG_OK)
        status = read_time(headers, header_received, &read.received_at, error);
    if (status != TG_OK)
        return status;
    memcpy(read.id.bytes, id.ptr, sizeof(read.id.bytes));
    read.time_own = own.ptr[0] == 1;
    *event = read;
    return TG_OK;
}
