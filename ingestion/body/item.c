/* The forms come together here. */
#include "ingestion/body/item.h"

#include <stdio.h>

#include "ingestion/body/envelope.h"
#include "ingestion/record/record.h"

/* What its attributes mean for the event. */
static void apply(const tg_item_source_t *source, tg_item_t *item)
{
    const tg_cloudevent_t *cloud = &item->cloud;
    if (source->type.len == 0)
        item->type = cloud->type;
    item->has_trace =
        cloud->traceparent.len > 0 && tg_trace_parse(cloud->traceparent, &item->trace) == TG_OK;
}

static tg_status_t refuse_base64(tg_event_error_t *error, const char *message)
{
    error->code = "invalid_value";
    (void)snprintf(error->field, sizeof(error->field), "data_base64");
    (void)snprintf(error->message, sizeof(error->message), "data_base64: %s", message);
    return TG_INVALID;
}

static tg_status_t read_base64(tg_item_source_t *source, tg_str_t base64, tg_item_t *item,
                               tg_event_error_t *error)
{
    tg_buf_clear(&source->texts);
    tg_status_t status = tg_cloudevent_decode_base64(base64, &source->texts);
    if (status == TG_INVALID)
        return refuse_base64(error, "expected base64 (RFC 4648, padded)");
    if (status == TG_OK)
        status =
            tg_record_parse_inner(source->thread, tg_buf_view(&source->texts), &item->nodes, error);
    if (status == TG_INVALID)
        (void)snprintf(error->field, sizeof(error->field), "data_base64");
    return status;
}

static tg_status_t read_structured(tg_item_source_t *source, tg_item_t *item,
                                   tg_event_error_t *error)
{
    tg_status_t status = tg_cloudevent_read(item->nodes, &item->cloud, error);
    if (status != TG_OK)
        return status;
    apply(source, item);
    item->at = item->cloud.data;
    item->within_data = true;
    return item->at != 0 ? TG_OK : read_base64(source, item->cloud.base64, item, error);
}

static tg_status_t read_envelope(tg_item_t *item, tg_event_error_t *error)
{
    tg_envelope_t envelope;
    tg_status_t status = tg_envelope_read(item->nodes, &envelope, error);
    if (status != TG_OK)
        return status;
    item->type = envelope.type;
    item->at = envelope.data;
    item->within_data = true;
    return TG_OK;
}

/* The attributes come first, so that an event whose body is broken still has its type. */
static tg_status_t read_binary(tg_item_source_t *source, tg_item_t *item, tg_event_error_t *error)
{
    tg_buf_clear(&source->texts);
    tg_status_t status = tg_cloudevent_read_headers(tg_form_header, source->req, &source->texts,
                                                    &item->cloud, error);
    if (status == TG_OK)
        apply(source, item);
    return status;
}

tg_status_t tg_item_read(tg_item_source_t *source, tg_str_t text, tg_item_t *out_item,
                         tg_event_error_t *error)
{
    *out_item = (tg_item_t){.type = source->type};
    tg_status_t status = TG_OK;
    if (source->form == TG_FORM_BINARY)
        status = read_binary(source, out_item, error);
    if (status == TG_OK)
        status = tg_record_parse(source->thread, text, &out_item->nodes, error);
    if (status != TG_OK || source->form == TG_FORM_BINARY)
        return status;
    if (source->form == TG_FORM_CLOUDEVENT || source->form == TG_FORM_CLOUDEVENTS)
        return read_structured(source, out_item, error);
    return source->type.len > 0 ? TG_OK : read_envelope(out_item, error);
}

void tg_item_blame(const tg_item_source_t *source, const tg_item_t *item, tg_event_error_t *error)
{
    char field[sizeof(error->field)];
    if (error->given && source->form == TG_FORM_BINARY) {
        memcpy(field, error->field, sizeof(field));
        (void)snprintf(error->field, sizeof(error->field), "ce-%.*s", (int)(sizeof(field) - 4),
                       field);
    } else if (!error->given && item->within_data) {
        tg_envelope_prefix(error);
    }
}
