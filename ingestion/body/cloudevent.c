/* The attributes in one table; each way of reading first notes the texts by row and then checks
 * them all, so that both refuse the same with the same words. */
#include "ingestion/body/cloudevent.h"

#include <stdio.h>
#include <strings.h>

#define HEADER_PREFIX "ce-"

enum attribute { SPECVERSION, ID, SOURCE, TYPE, TIME, CONTENT_TYPE, SUBJECT, SCHEMA, TRACE, COUNT };

/* What came, by row. */
struct given {
    tg_str_t text[COUNT]; /* ptr NULL: absent */
    size_t data;
    tg_str_t base64;
};

static tg_status_t refuse(tg_event_error_t *error, const char *code, const char *field,
                          const char *message)
{
    error->code = code;
    (void)snprintf(error->field, sizeof(error->field), "%s", field);
    (void)snprintf(error->message, sizeof(error->message), "%s: %s", field, message);
    return TG_INVALID;
}

/* --- the rows --- */

static bool is_1_0(tg_str_t text)
{
    return tg_str_eq(text, TG_STR("1.0"));
}

static bool is_id(tg_str_t text)
{
    return text.len <= TG_EVENT_TEXT_MAX;
}

static bool is_any(tg_str_t text)
{
    (void)text;
    return true;
}

static bool is_time(tg_str_t text)
{
    int64_t time;
    return tg_time_parse(text, &time) == TG_OK;
}

/* application/json, with or without parameters. */
static bool is_json(tg_str_t text)
{
    static const tg_str_t json = TG_STR("application/json");
    if (text.len < json.len || strncasecmp(text.ptr, json.ptr, json.len) != 0)
        return false;
    return text.len == json.len || strchr("; \t", text.ptr[json.len]) != NULL;
}

static const struct row {
    const char *name, *header;
    bool required;
    bool (*ok)(tg_str_t text); /* of a text that is neither empty nor too long */
    const char *expectation;
} rows[COUNT] = {
    [SPECVERSION] = {"specversion", HEADER_PREFIX "specversion", true, is_1_0, "expected \"1.0\""},
    [ID] = {"id", HEADER_PREFIX "id", true, is_id, "expected 1 to 256 bytes"},
    [SOURCE] = {"source", HEADER_PREFIX "source", true, is_any, "expected a URI reference"},
    [TYPE] = {"type", HEADER_PREFIX "type", true, is_any, "expected the name of an event type"},
    [TIME] = {"time", HEADER_PREFIX "time", false, is_time, "expected an RFC 3339 time"},
    [CONTENT_TYPE] = {"datacontenttype", HEADER_PREFIX "datacontenttype", false, is_json,
                      "only application/json is taken"},
    [SUBJECT] = {"subject", HEADER_PREFIX "subject", false, is_any, "expected text"},
    [SCHEMA] = {"dataschema", HEADER_PREFIX "dataschema", false, is_any, "expected a URI"},
    [TRACE] = {"traceparent", HEADER_PREFIX "traceparent", false, is_any, "expected text"},
};

static tg_status_t check_row(enum attribute which, tg_str_t text, bool header,
                             tg_event_error_t *error)
{
    const struct row *row = &rows[which];
    const char *name = header ? row->header : row->name;
    if (text.ptr == NULL)
        return row->required
                   ? refuse(error, "missing_field", name, "a CloudEvent must have this attribute")
                   : TG_OK;
    if (text.len == 0 || text.len > TG_CLOUDEVENT_TEXT_MAX ||
        memchr(text.ptr, '\0', text.len) != NULL || !row->ok(text))
        return refuse(error, "invalid_value", name, row->expectation);
    return TG_OK;
}

/* "order" of "order", and of the registry's subject "order-value". */
static tg_str_t type_name(tg_str_t text)
{
    static const tg_str_t suffix = TG_STR("-value");
    if (text.len > suffix.len &&
        memcmp(text.ptr + text.len - suffix.len, suffix.ptr, suffix.len) == 0)
        text.len -= suffix.len;
    return text;
}

static tg_status_t finish(const struct given *given, bool header, tg_cloudevent_t *out_event,
                          tg_event_error_t *error)
{
    for (unsigned i = 0; i < COUNT; i++) {
        tg_status_t status = check_row(i, given->text[i], header, error);
        if (status != TG_OK)
            return status;
    }
    *out_event = (tg_cloudevent_t){.type = type_name(given->text[TYPE]),
                                   .id = given->text[ID],
                                   .source = given->text[SOURCE],
                                   .time = given->text[TIME],
                                   .traceparent = given->text[TRACE],
                                   .data = given->data,
                                   .base64 = given->base64};
    return TG_OK;
}

/* --- structured mode --- */

static tg_status_t take_data(const tg_json_node_t *node, size_t index, struct given *given,
                             tg_event_error_t *error)
{
    bool base64 = tg_str_eq(node->key, TG_STR("data_base64"));
    if (given->data != 0 || given->base64.ptr != NULL)
        return refuse(error, "invalid_event", base64 ? "data_base64" : "data",
                      "an event has one of \"data\" and \"data_base64\", and once");
    if (!base64 && node->type != TG_JSON_OBJECT)
        return refuse(error, "wrong_type", "data", "expected an object, the event");
    if (base64 && (node->type != TG_JSON_STRING || node->value.text.len == 0))
        return refuse(error, "wrong_type", "data_base64", "expected base64 text");
    if (base64)
        given->base64 = node->value.text;
    else
        given->data = index;
    return TG_OK;
}

static int find_row(tg_str_t name)
{
    for (int i = 0; i < COUNT; i++) {
        if (tg_str_eq(name, tg_str_from(rows[i].name)))
            return i;
    }
    return -1;
}

/* null stands for absence (JSON event format, section 2.2). */
static tg_status_t take_member(const tg_json_node_t *node, size_t index, struct given *given,
                               tg_event_error_t *error)
{
    if (node->type == TG_JSON_NULL)
        return TG_OK;
    if (tg_str_eq(node->key, TG_STR("data")) || tg_str_eq(node->key, TG_STR("data_base64")))
        return take_data(node, index, given, error);
    int row = find_row(node->key);
    if (row < 0)
        return TG_OK; /* an extension */
    if (given->text[row].ptr != NULL)
        return refuse(error, "invalid_event", rows[row].name, "given twice");
    if (node->type != TG_JSON_STRING)
        return refuse(error, "wrong_type", rows[row].name, "expected text");
    given->text[row] = node->value.text;
    if (given->text[row].ptr == NULL)
        given->text[row].ptr = ""; /* there, and empty */
    return TG_OK;
}

tg_status_t tg_cloudevent_read(const tg_json_node_t *nodes, tg_cloudevent_t *out_event,
                               tg_event_error_t *error)
{
    assert(nodes != NULL);
    struct given given = {0};
    error->given = false;
    if (nodes[0].type != TG_JSON_OBJECT) {
        (void)refuse(error, "invalid_event", "", "");
        (void)
            snprintf(error->message, sizeof(error->message),
                     "A CloudEvent must be an object with specversion, id, source, type and data.");
        return TG_INVALID;
    }
    for (size_t i = 1; i < nodes[0].next; i = nodes[i].next) {
        tg_status_t status = take_member(&nodes[i], i, &given, error);
        if (status != TG_OK)
            return status;
    }
    tg_status_t status = finish(&given, false, out_event, error);
    if (status == TG_OK && given.data == 0 && given.base64.ptr == NULL)
        return refuse(error, "missing_field", "data", "it holds the event's own fields");
    return status;
}

/* --- binary mode --- */

static int hex(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* HTTP binding 1.0.2, section 3.1.3.2: quotes first, then escapes. A percent sign that begins no
 * escape stays, since there are producers that do not encode. */
static tg_str_t decode_header(tg_str_t value, tg_buf_t *texts)
{
    size_t start = texts->len;
    bool quoted = value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"';
    size_t end = value.len - (quoted ? 1 : 0);
    for (size_t i = quoted ? 1 : 0; i < end; i++) {
        char byte = value.ptr[i];
        if (quoted && byte == '\\' && i + 1 < end)
            byte = value.ptr[++i];
        int high = byte == '%' && i + 2 < end ? hex(value.ptr[i + 1]) : -1;
        int low = high >= 0 ? hex(value.ptr[i + 2]) : -1;
        if (low >= 0) {
            byte = (char)(high << 4 | low);
            i += 2;
        }
        tg_buf_byte(texts, byte);
    }
    return (tg_str_t){texts->data + start, texts->len - start};
}

bool tg_cloudevent_is_binary(tg_cloudevent_header_fn header, void *arg)
{
    return header(arg, rows[SPECVERSION].header).ptr != NULL ||
           header(arg, rows[TYPE].header).ptr != NULL || header(arg, rows[ID].header).ptr != NULL;
}

tg_status_t tg_cloudevent_read_headers(tg_cloudevent_header_fn header, void *arg, tg_buf_t *texts,
                                       tg_cloudevent_t *out_event, tg_event_error_t *error)
{
    struct given given = {0};
    tg_str_t values[COUNT];
    size_t size = 1;
    error->given = false;
    for (unsigned i = 0; i < COUNT; i++) {
        values[i] = header(arg, rows[i].header);
        size += values[i].len;
    }
    if (tg_buf_reserve(texts, size) == NULL) /* all of it, so that no text moves */
        return TG_NOMEM;
    for (unsigned i = 0; i < COUNT; i++) {
        if (values[i].ptr == NULL)
            continue;
        given.text[i] = decode_header(values[i], texts);
        if (!tg_str_is_utf8(given.text[i]))
            return refuse(error, "invalid_value", rows[i].header,
                          "expected UTF-8, percent-encoded");
    }
    return finish(&given, true, out_event, error);
}

/* --- base64 --- */

/* Each character's six bits plus one; 0: not of the alphabet. */
static unsigned sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A') + 1;
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 27;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 53;
    return c == '+' ? 63 : c == '/' ? 64 : 0;
}

tg_status_t tg_cloudevent_decode_base64(tg_str_t text, tg_buf_t *out)
{
    size_t padding = 0;
    if (text.len == 0 || text.len % 4 != 0)
        return TG_INVALID;
    while (padding < 2 && text.ptr[text.len - 1 - padding] == '=')
        padding++;
    char *to = tg_buf_reserve(out, text.len / 4 * 3);
    if (to == NULL)
        return TG_NOMEM;
    for (size_t i = 0; i < text.len; i += 4) {
        size_t digits = i + 4 == text.len ? 4 - padding : 4;
        uint32_t word = 0;
        for (size_t k = 0; k < 4; k++) {
            unsigned six = k < digits ? sextet(text.ptr[i + k]) : 1;
            if (six == 0)
                return TG_INVALID;
            word = word << 6 | (six - 1);
        }
        *to++ = (char)(word >> 16);
        *to++ = (char)(word >> 8);
        *to++ = (char)word;
    }
    out->len += text.len / 4 * 3 - padding;
    return TG_OK;
}
