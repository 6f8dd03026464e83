/* Kafka value to store row: the fields with a stored role go into the event, the rest becomes one
 * JSON object that PostgreSQL takes as jsonb (no U+0000, finite numbers, well-formed text).
 *
 * The bytes may come from anyone who can write to the topic: everything is checked again by
 * common/avro's reader, free-form JSON by the parser. */
#include <stdio.h>

#include "common/avro/value/cursor.h"
#include "common/event/internal.h"

/* Outer object and field of the payload stand around the free-form JSON. */
#define FREE_FORM_DEPTH (TG_EVENT_DEPTH_MAX + 2)
#define FREE_FORM_BYTES (TG_EVENT_BYTES_MAX * 8)

struct decode {
    tg_event_codec_t *codec;
    tg_avro_reader_t reader;
    tg_event_t *event;
    tg_buf_t *payload;
    bool first; /* nothing in the payload yet */
};

tg_status_t tg_event_wire_schema_id(tg_str_t value, uint32_t *out_id)
{
    assert(out_id != NULL);
    const unsigned char *at = (const unsigned char *)value.ptr;
    if (value.len < TG_EVENT_BODY_AT || at[0] != 0)
        return TG_INVALID;
    *out_id = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
    return TG_OK;
}

static void begin_member(struct decode *d, tg_str_t name)
{
    tg_avro_write_name(d->payload, name, d->first);
    d->first = false;
}

static tg_status_t read_free_form(struct decode *d, const tg_event_field_t *field)
{
    assert(field->json);
    tg_str_t text = {NULL, 0};
    tg_error_t why;
    const tg_json_node_t *nodes;
    size_t count;
    if (d->codec->parser == NULL)
        d->codec->parser = tg_json_parser_create(FREE_FORM_BYTES, FREE_FORM_DEPTH);
    if (d->codec->parser == NULL)
        return TG_NOMEM;
    tg_status_t status = tg_avro_read_text(&d->reader, &text);
    if (status != TG_OK)
        return status;
    if (tg_json_parse(d->codec->parser, text, &nodes, &count, &why) != TG_OK)
        return why.status == TG_NOMEM
                   ? TG_NOMEM
                   : tg_avro_reader_refuse(&d->reader, "free-form JSON: %.200s", why.text);
    for (size_t i = 0; i < count; i++) {
        if (tg_avro_has_nul(nodes[i].key) ||
            (nodes[i].type == TG_JSON_STRING && tg_avro_has_nul(nodes[i].value.text)))
            return tg_avro_reader_refuse(&d->reader, "free-form JSON with U+0000");
    }
    begin_member(d, field->avro->name);
    tg_buf_str(d->payload, text);
    return TG_OK;
}

static inline tg_status_t read_role_text(struct decode *d, const tg_avro_type_t *type,
                                         tg_str_t *out_text)
{
    tg_status_t status = type->kind == TG_AVRO_STRING
                             ? tg_avro_take_text(&d->reader, out_text)
                             : tg_avro_read_symbol(&d->reader, type, out_text);
    if (status == TG_OK && out_text->len > TG_EVENT_TEXT_MAX)
        return tg_avro_reader_refuse(&d->reader, "text of %zu bytes; at most %d are stored",
                                     out_text->len, TG_EVENT_TEXT_MAX);
    return status;
}

/* The id is in the headers; its text is kept where the UUID does not say it. */
static inline tg_status_t read_id(struct decode *d, const tg_event_field_t *field,
                                  const tg_avro_type_t *type)
{
    assert(field->role == TG_EVENT_ID);
    tg_str_t text = {NULL, 0};
    tg_uuid_t uuid;
    tg_status_t status = read_role_text(d, type, &text);
    if (status != TG_OK || (text.len == TG_UUID_TEXT_LEN && tg_uuid_parse(text, &uuid) == TG_OK))
        return status;
    begin_member(d, field->avro->name);
    tg_buf_json_string(d->payload, text);
    return TG_OK;
}

static tg_status_t read_plain(struct decode *d, const tg_event_field_t *field,
                              const tg_avro_type_t *type)
{
    if (field->json)
        return read_free_form(d, field);
    begin_member(d, field->avro->name);
    return tg_avro_read_json(&d->reader, type, d->payload);
}

static inline tg_status_t read_value(struct decode *d, const tg_avro_type_t *type)
{
    d->event->has_value = true;
    if (type->kind == TG_AVRO_DOUBLE)
        return tg_avro_read_double(&d->reader, &d->event->value);
    return tg_event_read_value(&d->reader, type, &d->event->value);
}

/* Inline, with the branch seen here: one call less for each field of each event. */
static inline tg_status_t read_field(struct decode *d, const tg_event_field_t *field)
{
    const tg_avro_type_t *type = field->avro->type;
    if (type->kind == TG_AVRO_UNION) {
        size_t branch = 0;
        if (type->count == 0)
            return tg_avro_read_branch(&d->reader, type, &type); /* refuses */
        tg_status_t status = tg_avro_take_index(&d->reader, type->count, "union branch", &branch);
        if (status != TG_OK)
            return status;
        type = type->branches[branch];
    }
    if (type->kind == TG_AVRO_NULL)
        return TG_OK;
    switch (field->role) {
    case TG_EVENT_ID:
        return read_id(d, field, type);
    case TG_EVENT_TIME: /* fixed at ingestion, stands in the headers */
        return tg_avro_skip_long(&d->reader);
    case TG_EVENT_KIND:
        return read_role_text(d, type, &d->event->kind);
    case TG_EVENT_ENTITY:
        return read_role_text(d, type, &d->event->entity);
    case TG_EVENT_USER:
        return read_role_text(d, type, &d->event->user);
    case TG_EVENT_VALUE:
        return read_value(d, type);
    default:
        return read_plain(d, field, type);
    }
}

static tg_status_t read_event(struct decode *d, const tg_event_type_t *type)
{
    assert(d->first);
    tg_buf_byte(d->payload, '{');
    for (uint32_t i = 0; i < type->record->count; i++) {
        const tg_event_field_t *field = &type->fields[i];
        tg_status_t status = read_field(d, field);
        if (status != TG_OK) {
            tg_avro_error_within(d->reader.error, field->avro->name, 0);
            return status;
        }
    }
    tg_buf_byte(d->payload, '}');
    if (d->payload->failed)
        return TG_NOMEM;
    if (d->reader.at != d->reader.end)
        return tg_avro_reader_refuse(&d->reader, "%zu bytes left over",
                                     (size_t)(d->reader.end - d->reader.at));
    return TG_OK;
}

tg_status_t tg_event_decode(tg_event_codec_t *codec, const tg_event_type_t *type, tg_str_t value,
                            tg_event_t *event, tg_buf_t *out_payload, tg_error_t *error)
{
    assert(codec != NULL);
    assert(event != NULL);
    uint32_t schema_id;
    if (tg_event_wire_schema_id(value, &schema_id) != TG_OK)
        return tg_error_set(error, TG_INVALID, "not in the wire format (magic byte 0, schema id)");
    if (schema_id != type->schema_id)
        return tg_error_set(error, TG_INVALID, "written by schema %u, not by %u",
                            (unsigned)schema_id, (unsigned)type->schema_id);
    tg_event_t read = *event;
    read.kind = read.entity = read.user = (tg_str_t){NULL, 0};
    read.has_value = false;
    read.value = 0;
    struct decode d = {.codec = codec, .event = &read, .payload = out_payload, .first = true};
    tg_str_t body = {value.ptr + TG_EVENT_BODY_AT, value.len - TG_EVENT_BODY_AT};
    tg_avro_reader_init(&d.reader, body, TG_AVRO_REFUSE_NUL, &codec->why);
    size_t before = out_payload->len;
    tg_status_t status = read_event(&d, type);
    if (status == TG_OK) {
        *event = read;
        return TG_OK;
    }
    out_payload->len = before;
    if (status != TG_INVALID) {
        out_payload->failed = false;
        return tg_error_set(error, status, "out of memory for a payload");
    }
    const tg_avro_error_t *why = &codec->why;
    return tg_error_set(error, TG_INVALID, "%s%sat byte %zu: %s", why->path,
                        why->path[0] == '\0' ? "" : " ", why->offset + TG_EVENT_BODY_AT,
                        why->message);
}
