/* From one parsed JSON event to one Kafka record: what a single request and an item of a batch have
 * in common.
 *
 * Threads: the loop's. */
#ifndef TG_INGESTION_RECORD_H
#define TG_INGESTION_RECORD_H

#include "ingestion/ingestion.h"

#define TG_RECORD_KEY_MAX       128             /* bytes of an Idempotency-Key */
#define TG_RECORD_RETENTION_MAX UINT64_C(36500) /* days; as a plan's */

/* Fills the rules of a request from its headers. On TG_INVALID the request was answered. */
TG_NODISCARD tg_status_t tg_record_rules(const tg_ingestion_thread_t *thread, tg_http_req_t *req,
                                         tg_event_rules_t *out_rules);

/* The same for an event of a bundle, which has no head of its own; false when tenant or key break a
 * rule. `retention_days`: of the tenant, whole days (UTC) before today; what is older would be
 * deleted as soon as it is stored, and is refused. 0: the horizon alone counts. */
bool tg_record_rules_of(const tg_ingestion_thread_t *thread, tg_str_t tenant,
                        tg_str_t idempotency_key, uint64_t retention_days,
                        tg_event_rules_t *out_rules);

/* Answers 415 and returns false unless the request's media type is one of the NULL-ended list;
 * *out_index tells which. */
bool tg_record_media_type(tg_http_req_t *req, const char *const *allowed, size_t *out_index);

/* Parses `text`, which must be one JSON value within the event's limit. TG_INVALID or TG_TOO_LARGE
 * with `error` filled. */
TG_NODISCARD tg_status_t tg_record_parse(tg_ingestion_thread_t *thread, tg_str_t text,
                                         const tg_json_node_t **out_nodes, tg_event_error_t *error);

/* The same for JSON that stood inside what tg_record_parse has read, whose nodes stay. */
TG_NODISCARD tg_status_t tg_record_parse_inner(tg_ingestion_thread_t *thread, tg_str_t text,
                                               const tg_json_node_t **out_nodes,
                                               tg_event_error_t *error);

/* Validates and encodes nodes[index] into the thread's value buffer. Status as tg_event_encode. */
TG_NODISCARD tg_status_t tg_record_encode(tg_ingestion_thread_t *thread,
                                          const tg_event_type_t *type,
                                          const tg_event_rules_t *rules,
                                          const tg_json_node_t *nodes, size_t index,
                                          tg_event_t *out_event, tg_event_error_t *error);

/* Hands the encoded event to Kafka. On TG_OK `done` comes later; status as tg_producer_send. */
TG_NODISCARD tg_status_t tg_record_produce(tg_ingestion_thread_t *thread, const tg_event_t *event,
                                           const tg_trace_t *trace, tg_producer_done_fn done,
                                           void *arg);

/* The error code of a record that was not acknowledged, and its metric. */
const char *tg_record_failure(tg_ingestion_thread_t *thread, tg_status_t status);

/* What a client reads about such an event, by that code. */
const char *tg_record_failure_text(const char *code);

/* The HTTP code of a refused event. */
int tg_record_http_code(const char *code);

/* Answers 503 with Retry-After. */
void tg_record_fail_503(tg_http_req_t *req, const char *code);

#endif
