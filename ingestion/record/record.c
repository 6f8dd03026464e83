/* The steps from JSON to a Kafka record. */
#include "ingestion/record/record.h"

#include "common/event/wire.h"
#include "ingestion/metrics.h"

/* tg-tenant, tg-type and their values aside: names, fixed values and the trace of wire.h. */
#define HEADER_BYTES   210
#define MEDIA_LIST_MAX 512

/* The types whose events have a topic of their own. All others share one, because a tenant must not
 * be able to make topics. */
static const struct topic {
    tg_str_t type;
    const char *topic;
} topics[] = {
#define TOPIC(name) {{#name, sizeof(#name) - 1}, "events." #name},
    TG_EVENT_BUILTIN_TYPES(TOPIC)
#undef TOPIC
};

static const char *topic_of(tg_str_t type)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(topics); i++) {
        if (tg_str_eq(topics[i].type, type))
            return topics[i].topic;
    }
    return "events.custom";
}

/* --- the request's head --- */

static bool key_is_sane(tg_str_t key)
{
    return key.len <= TG_RECORD_KEY_MAX && tg_str_is_utf8(key) &&
           (key.len == 0 || memchr(key.ptr, '\0', key.len) == NULL);
}

/* How old an event may be: the service's own limit, or up to the midnight at which the tenant's
 * retention cuts. */
static int64_t horizon_of(const tg_ingestion_thread_t *thread, uint64_t retention_days, int64_t now)
{
    int64_t horizon = (int64_t)thread->config->horizon_ms * TG_US_PER_MS;
    if (retention_days == 0 || retention_days > TG_RECORD_RETENTION_MAX)
        return horizon;
    int64_t kept = now % TG_US_PER_DAY + (int64_t)retention_days * TG_US_PER_DAY;
    return kept < horizon ? kept : horizon;
}

bool tg_record_rules_of(const tg_ingestion_thread_t *thread, tg_str_t tenant,
                        tg_str_t idempotency_key, uint64_t retention_days,
                        tg_event_rules_t *out_rules)
{
    int64_t now = tg_time_now();
    *out_rules = (tg_event_rules_t){
        .tenant = tenant,
        .now = now,
        .max_ahead_us = (int64_t)thread->config->max_ahead_ms * TG_US_PER_MS,
        .horizon_us = horizon_of(thread, retention_days, now),
        .clamp_ahead = thread->config->clamp_ahead,
        .idempotency_key = idempotency_key,
    };
    return tg_event_tenant_ok(tenant) && key_is_sane(idempotency_key);
}

tg_status_t tg_record_rules(const tg_ingestion_thread_t *thread, tg_http_req_t *req,
                            tg_event_rules_t *out_rules)
{
    tg_str_t tenant = tg_http_tenant(req);
    tg_str_t key = tg_http_header(req, "idempotency-key");
    uint64_t days = 0;
    if (tg_str_to_u64(tg_http_header(req, "x-tidegate-retention-days"), &days) != TG_OK)
        days = 0; /* none was sent */
    if (tg_record_rules_of(thread, tenant, key, days, out_rules))
        return TG_OK;
    if (!tg_event_tenant_ok(tenant))
        tg_http_fail(req, 400, "invalid_tenant", TG_STR("X-Tidegate-Tenant"),
                     "The gateway named no tenant.");
    else
        tg_http_fail(req, 400, "invalid_header", TG_STR("Idempotency-Key"),
                     "Idempotency-Key must be at most %d bytes of UTF-8; %zu came.",
                     TG_RECORD_KEY_MAX, key.len);
    return TG_INVALID;
}

/* The media type without parameters and white space behind it. */
static tg_str_t bare_type(tg_str_t value)
{
    const char *semicolon = value.len == 0 ? NULL : memchr(value.ptr, ';', value.len);
    size_t len = semicolon == NULL ? value.len : (size_t)(semicolon - value.ptr);
    while (len > 0 && (value.ptr[len - 1] == ' ' || value.ptr[len - 1] == '\t'))
        len--;
    return (tg_str_t){value.ptr, len};
}

static void refuse_media_type(tg_http_req_t *req, const char *const *allowed, tg_str_t given)
{
    tg_buf_t list = tg_buf_make(MEDIA_LIST_MAX);
    for (size_t i = 0; allowed[i] != NULL; i++) {
        const char *before = i == 0 ? "" : allowed[i + 1] == NULL ? " or " : ", ";
        tg_buf_printf(&list, "%s%s", before, allowed[i]);
    }
    tg_http_fail(req, 415, "unsupported_media_type", TG_STR("Content-Type"),
                 "Content-Type must be %.*s; %s%.*s came.", (int)list.len,
                 list.data == NULL ? "" : list.data, given.len == 0 ? "none" : "",
                 (int)(given.len < 100 ? given.len : 100), given.len == 0 ? "" : given.ptr);
    tg_buf_dispose(&list);
}

bool tg_record_media_type(tg_http_req_t *req, const char *const *allowed, size_t *out_index)
{
    tg_str_t given = bare_type(tg_http_header(req, "content-type"));
    for (size_t i = 0; allowed[i] != NULL; i++) {
        if (given.len == strlen(allowed[i]) && strncasecmp(given.ptr, allowed[i], given.len) == 0) {
            *out_index = i;
            return true;
        }
    }
    refuse_media_type(req, allowed, given);
    return false;
}

/* --- the event --- */

static tg_status_t refuse(tg_event_error_t *error, tg_status_t status, const char *code,
                          const char *message)
{
    error->code = code;
    error->field[0] = '\0';
    size_t len = strnlen(message, sizeof(error->message) - 1);
    memcpy(error->message, message, len);
    error->message[len] = '\0';
    return status;
}

static tg_status_t parse(const tg_ingestion_thread_t *thread, tg_json_parser_t *parser,
                         tg_str_t text, const tg_json_node_t **out_nodes, tg_event_error_t *error)
{
    tg_error_t reason;
    size_t count = 0;
    error->given = false;
    if (text.len > thread->config->event_max_bytes) {
        (void)tg_error_set(&reason, TG_TOO_LARGE, "An event may have at most %llu bytes; %zu came.",
                           (unsigned long long)thread->config->event_max_bytes, text.len);
        return refuse(error, TG_TOO_LARGE, "too_large", reason.text);
    }
    tg_status_t status = tg_json_parse(parser, text, out_nodes, &count, &reason);
    if (status == TG_OK)
        return TG_OK;
    status = refuse(error, TG_INVALID, "invalid_json", reason.text);
    tg_str_t member = tg_json_blamed(parser);
    if (member.len > 0 && member.len < sizeof(error->field)) {
        memcpy(error->field, member.ptr, member.len);
        error->field[member.len] = '\0';
    }
    return status;
}

tg_status_t tg_record_parse(tg_ingestion_thread_t *thread, tg_str_t text,
                            const tg_json_node_t **out_nodes, tg_event_error_t *error)
{
    return parse(thread, thread->parser, text, out_nodes, error);
}

tg_status_t tg_record_parse_inner(tg_ingestion_thread_t *thread, tg_str_t text,
                                  const tg_json_node_t **out_nodes, tg_event_error_t *error)
{
    return parse(thread, thread->inner, text, out_nodes, error);
}

tg_status_t tg_record_encode(tg_ingestion_thread_t *thread, const tg_event_type_t *type,
                             const tg_event_rules_t *rules, const tg_json_node_t *nodes,
                             size_t index, tg_event_t *out_event, tg_event_error_t *error)
{
    tg_buf_clear(&thread->value);
    return tg_event_encode(thread->codec, type, rules, nodes, index, &thread->value, out_event,
                           error);
}

tg_status_t tg_record_produce(tg_ingestion_thread_t *thread, const tg_event_t *event,
                              const tg_trace_t *trace, tg_producer_done_fn done, void *arg)
{
    tg_buf_clear(&thread->key);
    tg_event_key(event, &thread->key);
    if (thread->key.failed)
        return TG_NOMEM;
    rd_kafka_headers_t *headers = tg_event_headers(event, trace);
    if (headers == NULL)
        return TG_NOMEM;
    const tg_producer_record_t record = {
        .topic = topic_of(event->type),
        .key = tg_buf_view(&thread->key),
        .value = tg_buf_view(&thread->value),
        .headers = headers,
        .header_bytes = HEADER_BYTES + event->tenant.len + event->type.len,
        .timestamp_ms = event->received_at / TG_US_PER_MS,
    };
    tg_status_t status = tg_producer_send(thread->producer, &record, done, arg);
    if (status != TG_OK)
        rd_kafka_headers_destroy(headers);
    return status;
}

/* --- failing --- */

const char *tg_record_failure(tg_ingestion_thread_t *thread, tg_status_t status)
{
    tg_metric_add(thread->shard, ING_FAILED, tg_ingestion_reason_of_status(status), 1);
    switch (status) {
    case TG_FULL:
    case TG_NOMEM:
        return "overloaded";
    case TG_TOO_LARGE:
        return "too_large";
    default:
        return "kafka_unavailable";
    }
}

const char *tg_record_failure_text(const char *code)
{
    if (strcmp(code, "overloaded") == 0)
        return "Too many bytes are waiting for Kafka; retry with the same id.";
    if (strcmp(code, "registry_unavailable") == 0)
        return "The type is not known here yet and the schema registry cannot be asked; retry.";
    if (strcmp(code, "too_large") == 0)
        return "Kafka refuses a record of this size.";
    return "Kafka did not acknowledge the event; retry with the same id.";
}

int tg_record_http_code(const char *code)
{
    if (strcmp(code, "invalid_json") == 0)
        return 400;
    return strcmp(code, "too_large") == 0 ? 413 : 422;
}

void tg_record_fail_503(tg_http_req_t *req, const char *code)
{
    tg_http_add_header(req, "retry-after", TG_STR("1"));
    tg_http_fail(req, 503, code, TG_STR(""), "%s", tg_record_failure_text(code));
}
