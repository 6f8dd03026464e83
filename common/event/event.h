/* Event types: annotated Avro record schemas compiled to a plan, and the two directions an event
 * takes through it: JSON → Kafka record (ingestion) and Kafka record → store row (worker).
 *
 * The schema's roles drive all of it: validation, identity, partition key, storage and aggregation.
 * There is no code per event type here or anywhere. More: docs/event-types.md.
 *
 * Threads: a compiled type is immutable and shared by reference count; a codec is scratch memory of
 * one thread. */
#ifndef TG_EVENT_H
#define TG_EVENT_H

#include "common/base/arena.h"
#include "common/base/time.h"
#include "common/base/uuid.h"
#include "common/json/json.h"

#define TG_EVENT_TYPE_MAX   63                  /* bytes of a type's name, [a-z][a-z0-9_]* */
#define TG_EVENT_TENANT_MAX 63                  /* bytes of a tenant id, [a-z0-9][a-z0-9-]* */
#define TG_EVENT_TEXT_MAX   256                 /* bytes of kind, entity, user */
#define TG_EVENT_DEPTH_MAX  32                  /* nesting of an event's JSON */
#define TG_EVENT_BYTES_MAX  ((size_t)256 << 10) /* default limit of one event's JSON */

typedef struct tg_event_type tg_event_type_t;

/* The built-in types. Their names are reserved, they live in the default context, the same for
 * every tenant, and each has a topic of its own, events.<name>. */
#define TG_EVENT_BUILTIN_TYPES(X) X(order) X(session) X(stream) X(signal) X(reading) X(activity)
bool tg_event_type_builtin(tg_str_t name);

bool tg_event_type_name_ok(tg_str_t name);
bool tg_event_tenant_ok(tg_str_t tenant);

/* Compiles `schema` (JSON text of an Avro record with roles) as type `name`, whose records carry
 * `schema_id`. Returns an owned reference through out_type. The error names the path in the schema.
 */
TG_NODISCARD tg_status_t tg_event_type_compile(tg_str_t name, tg_str_t schema, uint32_t schema_id,
                                               tg_event_type_t **out_type, tg_error_t *error);
tg_event_type_t *tg_event_type_ref(tg_event_type_t *type);
void tg_event_type_unref(tg_event_type_t *type); /* NULL is allowed */

tg_str_t tg_event_type_name(const tg_event_type_t *type);
uint32_t tg_event_type_schema_id(const tg_event_type_t *type);

/* Whether any field has a role. A record without one can be decoded, but is no event type: nobody
 * sends events of it. */
bool tg_event_type_has_roles(const tg_event_type_t *type);

/* The declared running state ("state" of the record): its name ('' if none) and the change that one
 * event of `kind` makes (0 if none). */
tg_str_t tg_event_type_state(const tg_event_type_t *type);
int64_t tg_event_type_delta(const tg_event_type_t *type, tg_str_t kind);

/* What is known of an event besides its bytes. Texts are borrowed from the codec's or the caller's
 * memory until the next call with the same codec. */
typedef struct tg_event {
    tg_uuid_t id;
    int64_t occurred_at; /* µs */
    int64_t received_at; /* µs */
    bool time_own;       /* occurred_at is ours: none was given, or it was clamped */
    tg_str_t tenant, type;
    tg_str_t kind, entity, user; /* empty: none */
    bool has_value;
    double value; /* finite */
} tg_event_t;

/* Why an event was refused, for the client. */
typedef struct tg_event_error {
    const char *code;  /* invalid_json, invalid_event, missing_field, unknown_field, wrong_type,
                          invalid_value, too_old, too_far_ahead, too_large */
    char field[128];   /* dotted path; "" when it is the whole event */
    char message[384]; /* expectation and what came */
    bool given; /* set by tg_event_encode: the field is one of tg_event_given_t, not the event's */
} tg_event_error_t;

/* --- ingestion's direction --- */

/* What an envelope (CloudEvents) says of the event inside it. It counts where the event's own
 * fields are silent: a field with the role gets it, and without such a field it still fixes
 * identity and time. All empty: nothing. */
typedef struct tg_event_given {
    tg_str_t id;     /* at most TG_EVENT_TEXT_MAX bytes, no NUL */
    tg_str_t source; /* who chose that id; two sources may choose the same text */
    tg_str_t time;   /* RFC 3339 */
} tg_event_given_t;

typedef struct tg_event_rules {
    tg_str_t tenant;
    int64_t now;              /* received_at of the request */
    int64_t max_ahead_us;     /* 10 min */
    int64_t horizon_us;       /* 400 days */
    bool clamp_ahead;         /* clamp instead of refuse */
    tg_str_t idempotency_key; /* "" if none */
    uint64_t index;           /* in the request, for the idempotency key */
    tg_event_given_t given;
} tg_event_rules_t;

typedef struct tg_event_codec tg_event_codec_t;
tg_event_codec_t *tg_event_codec_create(void); /* NULL when out of memory */
void tg_event_codec_destroy(tg_event_codec_t *codec);

/* Validates the JSON object nodes[index], fixes id and time by the identity rules of
 * docs/event-types.md, and appends the Kafka value (0x00, schema id, Avro body) to `out`. On
 * TG_INVALID nothing is appended and `error` is filled; `out_event` means something on TG_OK only.
 * TG_NOMEM when `out` or memory is at its limit. */
TG_NODISCARD tg_status_t tg_event_encode(tg_event_codec_t *codec, const tg_event_type_t *type,
                                         const tg_event_rules_t *rules, const tg_json_node_t *nodes,
                                         size_t index, tg_buf_t *out, tg_event_t *out_event,
                                         tg_event_error_t *error);

/* Appends the record key: tenant/type/kind/entity. */
void tg_event_key(const tg_event_t *event, tg_buf_t *out);

/* --- worker's direction --- */

/* Schema id of a Kafka value; TG_INVALID when it is too short or the magic byte is not 0. */
TG_NODISCARD tg_status_t tg_event_wire_schema_id(tg_str_t value, uint32_t *out_id);

/* Decodes the body of `value` by the plan of the schema that wrote it into kind, entity, user,
 * value of `event` (whose other members the caller fills from the headers), and appends the payload
 * (the fields without a stored role, and the id's text where it was no UUID) as one JSON object to
 * `out_payload`. Never reads outside the bytes and allocates in proportion to them; TG_INVALID with
 * a path and offset. */
TG_NODISCARD tg_status_t tg_event_decode(tg_event_codec_t *codec, const tg_event_type_t *type,
                                         tg_str_t value, tg_event_t *event, tg_buf_t *out_payload,
                                         tg_error_t *error);

#endif
