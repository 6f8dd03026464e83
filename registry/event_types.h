/* GET /v2/event-types: the event types that a tenant can send, with their fields and roles.
 *
 * A tenant's own types and the built-in ones; which subjects are event types, the table
 * control.event_types says, which a trigger keeps. Fields are read from the schema's text as it was
 * registered, so that a reader sees the names that it wrote, also of referenced types.
 *
 * Limits: TG_EVENT_TYPES_MAX types a page, sorted by name, and 256 KiB of schemas but at least one;
 * the cursor is the last name.
 * Threads: a request belongs to its thread. */
#ifndef TG_REGISTRY_EVENT_TYPES_H
#define TG_REGISTRY_EVENT_TYPES_H

#include "common/http/server.h"

#define TG_EVENT_TYPES_MAX 100

extern const tg_http_route_t tg_event_types_route;

/* What is known of one type besides its schema. */
typedef struct tg_event_type_row {
    tg_str_t name;
    bool builtin;
    tg_str_t version, schema_id; /* decimal digits */
    tg_str_t schema;
} tg_event_type_row_t;

/* Appends the type's JSON object; TG_INVALID when the schema is no record. Exposed for tests. */
TG_NODISCARD tg_status_t tg_event_type_write(const tg_event_type_row_t *row, tg_buf_t *out);

#endif
