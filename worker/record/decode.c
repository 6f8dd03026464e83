/* The steps of a record in order; each either goes on or buries the record. */
#include "worker/record/decode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/table.h"
#include "common/event/wire.h"

#define PAYLOAD_MAX ((size_t)16 << 20)
/* Times that can be written at all: up to the end of the year 9999. */
#define TIME_MAX_US  (INT64_C(253402300800) * TG_US_PER_SECOND)
#define TYPE_KEY_MAX (TG_EVENT_TENANT_MAX + TG_EVENT_TYPE_MAX + 8)

struct tg_decoder {
    tg_schema_fn schema;
    void *arg;
    tg_event_codec_t *codec;
    tg_table_t *types; /* tenant NUL type NUL id → type reference */
    tg_buf_t payload;
};

static void unref_type(void *type)
{
    tg_event_type_unref(type);
}

tg_decoder_t *tg_decoder_create(tg_schema_fn schema, void *arg)
{
    assert(schema != NULL);
    tg_decoder_t *decoder = calloc(1, sizeof(*decoder));
    if (decoder == NULL)
        return NULL;
    decoder->schema = schema;
    decoder->arg = arg;
    decoder->payload = tg_buf_make(PAYLOAD_MAX);
    decoder->codec = tg_event_codec_create();
    decoder->types = tg_table_create(TG_DECODER_TYPES_MAX, unref_type);
    if (decoder->codec == NULL || decoder->types == NULL) {
        tg_decoder_destroy(decoder);
        return NULL;
    }
    return decoder;
}

void tg_decoder_destroy(tg_decoder_t *decoder)
{
    if (decoder == NULL)
        return;
    tg_table_destroy(decoder->types);
    tg_event_codec_destroy(decoder->codec);
    tg_buf_dispose(&decoder->payload);
    free(decoder);
}

/* Keeps the reference; at the limit all are forgotten, which costs one look-up each. */
static tg_status_t remember_type(tg_decoder_t *decoder, tg_str_t key, tg_event_type_t *type)
{
    tg_status_t status = tg_table_put(decoder->types, key, type);

    if (status == TG_FULL) {
        tg_table_t *empty = tg_table_create(TG_DECODER_TYPES_MAX, unref_type);
        if (empty == NULL)
            return TG_NOMEM;
        tg_table_destroy(decoder->types);
        decoder->types = empty;
        status = tg_table_put(decoder->types, key, type);
    }
    return status;
}

/* Borrows the type from the cache, fetching it first if need be and allowed. */
static tg_status_t find_type(tg_decoder_t *decoder, const tg_event_t *event, uint32_t schema_id,
                             bool may_ask, const tg_event_type_t **out_type)
{
    char text[TYPE_KEY_MAX];
    size_t len = 0;
    memcpy(text, event->tenant.ptr, event->tenant.len);
    len = event->tenant.len;
    text[len++] = '\0';
    memcpy(text + len, event->type.ptr, event->type.len);
    len += event->type.len;
    text[len++] = '\0';
    memcpy(text + len, &schema_id, sizeof(schema_id));
    tg_str_t key = {text, len + sizeof(schema_id)};

    *out_type = tg_table_get(decoder->types, key);
    if (*out_type != NULL)
        return TG_OK;
    if (!may_ask)
        return TG_UNAVAILABLE;
    tg_event_type_t *type = NULL;
    tg_status_t status =
        decoder->schema(decoder->arg, event->tenant, event->type, schema_id, &type);
    if (status != TG_OK)
        return status;
    status = remember_type(decoder, key, type);
    if (status != TG_OK) {
        tg_event_type_unref(type);
        return TG_NOMEM;
    }
    *out_type = type;
    return TG_OK;
}

static tg_status_t bury(tg_record_t *record, tg_dead_reason_t reason, const char *text)
{
    tg_record_bury(record, reason, text);
    return TG_OK;
}

/* The headers' part of the row; with the series it is all that a dead letter of this record can
 * say. */
static void keep_headers(tg_record_t *record, const tg_event_t *event)
{
    record->row.id = event->id;
    record->row.occurred_at = event->occurred_at;
    record->row.received_at = event->received_at;
    record->row.time_own = event->time_own;
    record->row.tenant = event->tenant; /* in the message, which the record keeps */
    record->row.type = event->type;
    record->has_event = true;
}

/* Copies the row's texts into the record's memory. */
static tg_status_t keep_texts(tg_record_t *record, const tg_event_t *event, tg_str_t payload,
                              const tg_event_type_t *type)
{
    tg_str_t state = tg_event_type_state(type);
    size_t size = event->tenant.len + event->type.len + event->kind.len + event->entity.len + 3 +
                  event->user.len + payload.len + state.len;
    char *at = tg_buf_reserve(&record->texts, size + 1);
    tg_row_t *row = &record->row;

    if (at == NULL)
        return TG_NOMEM;
    record->texts.len += size;
    record->bytes += size;
    row->series.ptr = at;
    tg_str_t *const texts[] = {&row->tenant, &row->type,    &row->kind, &row->entity,
                               &row->user,   &row->payload, &row->state};
    const tg_str_t sources[] = {event->tenant, event->type, event->kind, event->entity,
                                event->user,   payload,     state};
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++) {
        if (sources[i].len > 0)
            memcpy(at, sources[i].ptr, sources[i].len);
        *texts[i] = (tg_str_t){at, sources[i].len};
        at += sources[i].len;
        if (i < 3)
            *at++ = '\0';
        if (i == 3)
            row->series.len = (size_t)(at - row->series.ptr);
    }
    return TG_OK;
}

static bool has_nul(tg_str_t text)
{
    return text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL;
}

static tg_status_t decode_body(tg_decoder_t *decoder, tg_record_t *record, tg_event_t *event,
                               const tg_event_type_t *type)
{
    const tg_str_t value = record->source.value;
    tg_error_t error = {0};

    tg_buf_clear(&decoder->payload);
    tg_status_t status =
        tg_event_decode(decoder->codec, type, value, event, &decoder->payload, &error);
    if (status == TG_NOMEM)
        return TG_NOMEM;
    if (status != TG_OK)
        return bury(record, TG_DEAD_DECODE, error.text);
    if (decoder->payload.failed)
        return bury(record, TG_DEAD_DECODE, "the payload is larger than the limit");
    if (has_nul(event->kind) || has_nul(event->entity) || has_nul(event->user))
        return bury(record, TG_DEAD_DECODE, "NUL in kind, entity or user");
    if (event->has_value && !isfinite(event->value))
        return bury(record, TG_DEAD_DECODE, "the value is not finite");
    status = keep_texts(record, event, tg_buf_view(&decoder->payload), type);
    if (status != TG_OK)
        return status;
    record->row.has_value = event->has_value;
    record->row.value = event->value;
    record->row.delta = record->row.state.len > 0 ? tg_event_type_delta(type, event->kind) : 0;
    record->state = TG_RECORD_ROW;
    return TG_OK;
}

static tg_status_t with_schema(tg_decoder_t *decoder, tg_record_t *record, tg_event_t *event,
                               uint32_t schema_id, bool may_ask)
{
    const tg_event_type_t *type = NULL;
    tg_status_t status = find_type(decoder, event, schema_id, may_ask, &type);
    char text[64];

    switch (status) {
    case TG_OK:
        return decode_body(decoder, record, event, type);
    case TG_NOT_FOUND:
    case TG_INVALID:
        snprintf(text, sizeof(text), "schema id %u %s", schema_id,
                 status == TG_INVALID ? "is not an event type" : "is unknown to the registry");
        return bury(record, TG_DEAD_SCHEMA, text);
    case TG_NOMEM:
        return TG_NOMEM;
    default:
        return TG_UNAVAILABLE;
    }
}

tg_status_t tg_decoder_run(tg_decoder_t *decoder, tg_record_t *record, bool may_ask)
{
    assert(record->state == TG_RECORD_RAW);
    const tg_str_t value = record->source.value;
    tg_event_t event = {0};
    tg_error_t error = {0};
    uint32_t schema_id = 0;

    if (tg_event_read_headers(record->message, &event, &error) != TG_OK)
        return bury(record, TG_DEAD_HEADERS, error.text);
    if (!tg_event_tenant_ok(event.tenant) || !tg_event_type_name_ok(event.type))
        return bury(record, TG_DEAD_HEADERS, "tg-tenant or tg-type is not a valid name");
    if (event.occurred_at < 0 || event.occurred_at >= TIME_MAX_US || event.received_at < 0 ||
        event.received_at >= TIME_MAX_US)
        return bury(record, TG_DEAD_HEADERS, "a time in tg-event is out of range");
    keep_headers(record, &event);
    if (value.ptr == NULL || tg_event_wire_schema_id(value, &schema_id) != TG_OK)
        return bury(record, TG_DEAD_FRAMING, "the value does not start with 0x00 and a schema id");
    return with_schema(decoder, record, &event, schema_id, may_ask);
}
