/* Headers to a dead letter. They come from our own ingestion, and are checked as any bytes. */
#include "worker/letters/inbox.h"

#include "common/event/wire.h"

static bool from_ingestion(const rd_kafka_headers_t *headers)
{
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;
    return rd_kafka_header_get_all(headers, 0, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR &&
           value != NULL && strcmp(name, "tg-dlq-origin") == 0 &&
           tg_str_eq((tg_str_t){value, len}, TG_STR("ingestion"));
}

/* Text that the store takes, and no longer than allowed; else none. */
static tg_str_t sane(tg_str_t text, size_t max)
{
    bool ok = text.len > 0 && text.len <= max && tg_str_is_utf8(text) &&
              memchr(text.ptr, '\0', text.len) == NULL;
    return ok ? text : TG_STR("");
}

void tg_inbox_read(tg_record_t *record)
{
    assert(record->state == TG_RECORD_RAW);
    rd_kafka_headers_t *headers = NULL;
    record->state = TG_RECORD_SKIP;
    if (record->message == NULL ||
        rd_kafka_message_headers(record->message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        !from_ingestion(headers))
        return;
    record->state = TG_RECORD_RAW;
    record->published = true;
    tg_str_t tenant = tg_event_header(headers, "tg-tenant"),
             type = tg_event_header(headers, "tg-type");
    if (!tg_event_tenant_ok(tenant) ||
        tg_uuid_parse(tg_event_header(headers, "tg-dlq-id"), &record->letter.id) != TG_OK) {
        tg_record_bury(record, TG_DEAD_HEADERS, "a dead letter without its tenant or id");
        return;
    }
    tg_record_bury(record, TG_DEAD_INGESTION, "");
    record->row.tenant = tenant; /* in the message, which the record keeps */
    if (tg_event_type_name_ok(type))
        record->row.type = type;
    record->letter.code = sane(tg_event_header(headers, "tg-dlq-code"), TG_EVENT_TEXT_MAX);
    record->letter.text = sane(tg_event_header(headers, "tg-dlq-text"), TG_INBOX_TEXT_MAX);
    record->letter.field = sane(tg_event_header(headers, "tg-dlq-field"), TG_INBOX_FIELD_MAX);
}
