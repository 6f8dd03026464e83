/* Headers of an event record. Numbers are big endian, as everything else on Kafka's wire. */
#include "common/event/wire.h"

/* Times outside the years 1 to 9999 cannot be stored; they can only come from a foreign producer.
 */
#define TIME_MIN (INT64_C(-719162) * TG_US_PER_DAY)
#define TIME_MAX (INT64_C(2932897) * TG_US_PER_DAY - 1)

static const char header_tenant[] = "tg-tenant";
static const char header_type[] = "tg-type";
static const char header_event[] = "tg-event";
static const char header_trace[] = "traceparent";

/* Where the fields of tg-event stand. */
enum { AT_ID = 0, AT_OCCURRED = 16, AT_RECEIVED = 24, AT_OWN = 32, EVENT_LEN = 33 };

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
    char fixed[EVENT_LEN];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    if (headers == NULL)
        return NULL;
    memcpy(fixed + AT_ID, event->id.bytes, sizeof(event->id.bytes));
    put_i64(event->occurred_at, fixed + AT_OCCURRED);
    put_i64(event->received_at, fixed + AT_RECEIVED);
    fixed[AT_OWN] = event->time_own ? 1 : 0;
    bool ok = add(headers, header_tenant, event->tenant.ptr, event->tenant.len) &&
              add(headers, header_type, event->type.ptr, event->type.len) &&
              add(headers, header_event, fixed, sizeof(fixed));
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

/* The fixed part, into `event`; false when it is malformed. */
static bool read_fixed(tg_str_t fixed, tg_event_t *event)
{
    if (fixed.len != EVENT_LEN || (unsigned char)fixed.ptr[AT_OWN] > 1)
        return false;
    memcpy(event->id.bytes, fixed.ptr + AT_ID, sizeof(event->id.bytes));
    event->occurred_at = get_i64(fixed.ptr + AT_OCCURRED);
    event->received_at = get_i64(fixed.ptr + AT_RECEIVED);
    event->time_own = fixed.ptr[AT_OWN] == 1;
    return event->occurred_at >= TIME_MIN && event->occurred_at <= TIME_MAX &&
           event->received_at >= TIME_MIN && event->received_at <= TIME_MAX;
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
    tg_str_t fixed = tg_event_header(headers, header_event);
    if (!tg_event_tenant_ok(read.tenant))
        return refuse(error, header_tenant, read.tenant);
    if (!tg_event_type_name_ok(read.type))
        return refuse(error, header_type, read.type);
    if (!read_fixed(fixed, &read))
        return refuse(error, header_event, fixed);
    *event = read;
    return TG_OK;
}
