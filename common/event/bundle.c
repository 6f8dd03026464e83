/* Writing appends, reading cuts views off the front; a length that points behind the end is the one
 * way in which bytes can be wrong, besides a malformed traceparent. */
#include "common/event/bundle.h"

/* --- writing --- */

static void put_number(tg_buf_t *out, size_t value, unsigned bytes)
{
    assert(bytes == sizeof(value) || value >> (8 * bytes) == 0);
    for (unsigned i = bytes; i > 0; i--)
        tg_buf_byte(out, (char)(uint8_t)(value >> (8 * (i - 1))));
}

static void put_text(tg_buf_t *out, tg_str_t text, unsigned length_bytes)
{
    put_number(out, text.len, length_bytes);
    tg_buf_str(out, text);
}

size_t tg_bundle_event_size(const tg_bundle_event_t *event)
{
    return 5 + event->tenant.len + event->type.len + event->idempotency_key.len +
           TG_TRACE_TEXT_LEN + 4 + event->body.len;
}

void tg_bundle_put_event(const tg_bundle_event_t *event, tg_buf_t *out)
{
    assert(event->idempotency_key.len <= TG_BUNDLE_KEY_MAX);
    assert(event->body.len <= TG_BUNDLE_BODY_MAX);
    char trace[TG_TRACE_TEXT_LEN];
    tg_trace_format(&event->trace, trace);
    put_text(out, event->tenant, 1);
    put_text(out, event->type, 1);
    put_text(out, event->idempotency_key, 1);
    put_number(out, event->retention_days, 2);
    tg_buf_append(out, trace, sizeof(trace));
    put_text(out, event->body, 4);
}

void tg_bundle_put_outcome(const tg_bundle_outcome_t *outcome, tg_buf_t *out)
{
    put_number(out, (size_t)outcome->http_code, 2);
    put_text(out, outcome->code, 1);
    put_text(out, outcome->field, 1);
    put_text(out, outcome->message, 2);
    put_text(out, outcome->body, 2);
}

/* --- reading --- */

static tg_status_t take_bytes(tg_str_t *rest, size_t count, tg_str_t *out_bytes)
{
    if (rest->len < count)
        return TG_INVALID;
    *out_bytes = (tg_str_t){rest->ptr, count};
    *rest = (tg_str_t){rest->ptr + count, rest->len - count};
    return TG_OK;
}

static tg_status_t take_number(tg_str_t *rest, unsigned bytes, size_t *out_value)
{
    tg_str_t digits;
    if (take_bytes(rest, bytes, &digits) != TG_OK)
        return TG_INVALID;
    *out_value = 0;
    for (size_t i = 0; i < digits.len; i++)
        *out_value = *out_value << 8 | (uint8_t)digits.ptr[i];
    return TG_OK;
}

static tg_status_t take_text(tg_str_t *rest, unsigned length_bytes, tg_str_t *out_text)
{
    size_t len;
    tg_status_t status = take_number(rest, length_bytes, &len);
    return status == TG_OK ? take_bytes(rest, len, out_text) : status;
}

tg_status_t tg_bundle_take_event(tg_str_t *rest, tg_bundle_event_t *out_event)
{
    assert(rest->len > 0);
    tg_str_t trace;
    size_t days;
    if (take_text(rest, 1, &out_event->tenant) != TG_OK ||
        take_text(rest, 1, &out_event->type) != TG_OK ||
        take_text(rest, 1, &out_event->idempotency_key) != TG_OK ||
        take_number(rest, 2, &days) != TG_OK ||
        take_bytes(rest, TG_TRACE_TEXT_LEN, &trace) != TG_OK ||
        tg_trace_parse(trace, &out_event->trace) != TG_OK)
        return TG_INVALID;
    out_event->retention_days = (uint16_t)days;
    return take_text(rest, 4, &out_event->body);
}

tg_status_t tg_bundle_take_outcome(tg_str_t *rest, tg_bundle_outcome_t *out_outcome)
{
    assert(rest->len > 0);
    size_t code;
    if (take_number(rest, 2, &code) != TG_OK || take_text(rest, 1, &out_outcome->code) != TG_OK ||
        take_text(rest, 1, &out_outcome->field) != TG_OK ||
        take_text(rest, 2, &out_outcome->message) != TG_OK)
        return TG_INVALID;
    out_outcome->http_code = (int)code;
    return take_text(rest, 2, &out_outcome->body);
}
