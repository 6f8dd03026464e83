/* traceparent by the columns of W3C Trace Context, section 3.2. Versions above 00 may be longer,
 * and are read as far as 00 goes; we always write 00. */
#include "common/observe/trace.h"

#include "common/base/hash.h"

#define AT_TRACE_ID 3
#define AT_SPAN_ID  36
#define AT_FLAGS    53

/* Lower-case hex only, as the specification demands. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool all_zero(const uint8_t *bytes, size_t count)
{
    uint8_t any = 0;
    for (size_t i = 0; i < count; i++)
        any |= bytes[i];
    return any == 0;
}

static bool has_shape(tg_str_t text, uint8_t version)
{
    const char *t = text.ptr;
    if (t[2] != '-' || t[35] != '-' || t[52] != '-' || version == 0xff)
        return false;
    if (text.len == TG_TRACE_TEXT_LEN)
        return true;
    return version != 0 && t[TG_TRACE_TEXT_LEN] == '-';
}

tg_status_t tg_trace_parse(tg_str_t text, tg_trace_t *out_trace)
{
    assert(out_trace != NULL);
    uint8_t version = 0;
    tg_trace_t trace;
    if (text.len < TG_TRACE_TEXT_LEN || !read_hex(text.ptr, 1, &version) ||
        !has_shape(text, version))
        return TG_INVALID;
    if (!read_hex(text.ptr + AT_TRACE_ID, sizeof(trace.trace_id), trace.trace_id) ||
        !read_hex(text.ptr + AT_SPAN_ID, sizeof(trace.span_id), trace.span_id) ||
        !read_hex(text.ptr + AT_FLAGS, 1, &trace.flags))
        return TG_INVALID;
    if (all_zero(trace.trace_id, sizeof(trace.trace_id)) ||
        all_zero(trace.span_id, sizeof(trace.span_id)))
        return TG_INVALID;
    *out_trace = trace;
    return TG_OK;
}

static void random_id(uint8_t *id, size_t len)
{
    do {
        tg_hash_random(id, len);
    } while (all_zero(id, len)); /* all zeros would mean "no id" */
}

void tg_trace_start(tg_trace_t *out_trace)
{
    assert(out_trace != NULL);
    random_id(out_trace->trace_id, sizeof(out_trace->trace_id));
    random_id(out_trace->span_id, sizeof(out_trace->span_id));
    out_trace->flags = 0;
}

void tg_trace_child(const tg_trace_t *parent, tg_trace_t *out_child)
{
    assert(parent != NULL);
    assert(out_child != NULL);
    *out_child = *parent;
    random_id(out_child->span_id, sizeof(out_child->span_id));
}

void tg_trace_format(const tg_trace_t *trace, char out[TG_TRACE_TEXT_LEN])
{
    assert(trace != NULL);
    assert(out != NULL);
    out[0] = out[1] = '0';
    out[2] = '-';
    tg_hash_hex(trace->trace_id, sizeof(trace->trace_id), out + AT_TRACE_ID);
    out[AT_SPAN_ID - 1] = '-';
    tg_hash_hex(trace->span_id, sizeof(trace->span_id), out + AT_SPAN_ID);
    out[AT_FLAGS - 1] = '-';
    tg_hash_hex(&trace->flags, 1, out + AT_FLAGS);
}
