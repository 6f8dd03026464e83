/* What the files of this folder share and nobody else includes: the compiled type and the codec's
 * scratch memory. */
#ifndef TG_EVENT_INTERNAL_H
#define TG_EVENT_INTERNAL_H

#include <stdatomic.h>

#include "common/avro/codec.h"
#include "common/event/event.h"

#define TG_EVENT_STATE_KINDS_MAX 64 /* kinds with a delta */
#define TG_EVENT_DELTA_MAX       1000000
#define TG_EVENT_BODY_AT         5 /* magic byte and schema id stand before the Avro body */

typedef enum tg_event_role {
    TG_EVENT_NONE,
    TG_EVENT_ID,
    TG_EVENT_TIME,
    TG_EVENT_KIND,
    TG_EVENT_ENTITY,
    TG_EVENT_USER,
    TG_EVENT_VALUE,
    TG_EVENT_ROLES,
} tg_event_role_t;

typedef struct tg_event_field {
    const tg_avro_field_t *avro;
    const tg_avro_type_t
        *type; /* of a value: the other branch where the field is a union with null */
    tg_event_role_t role;
    int null_branch, value_branch; /* of a union of null and one type; -1 for any other type */
    bool json;                     /* free-form JSON in a string */
} tg_event_field_t;

typedef struct tg_event_state_delta {
    tg_str_t kind;
    int64_t delta;
} tg_event_state_delta_t;

struct tg_event_type {
    atomic_uint refs;
    uint32_t schema_id;
    tg_str_t name; /* in name_text */
    char name_text[TG_EVENT_TYPE_MAX + 1];
    tg_avro_schema_t *schema; /* owned; all texts below point into it */
    const tg_avro_type_t *record;
    tg_event_field_t *fields;       /* owned; record->count of them */
    int role_field[TG_EVENT_ROLES]; /* -1: no such field */
    int extras;                     /* the field that takes unknown ones, or -1 */
    tg_event_t fallback;            /* kind, entity, user, value of the fields' defaults */
    tg_str_t state;
    tg_event_state_delta_t deltas[TG_EVENT_STATE_KINDS_MAX];
    size_t delta_count;
};

/* A growing array of node indices. */
typedef struct tg_event_list {
    uint32_t *items; /* owned */
    size_t len, cap;
} tg_event_list_t;

struct tg_event_codec {
    tg_avro_codec_t *avro;
    tg_json_parser_t *parser; /* made when the first free-form JSON is decoded */
    uint32_t *slots;          /* by field: the member's node, 0 if absent */
    size_t slot_cap;
    tg_event_list_t unknown; /* members that go to the extras field */
    tg_event_list_t order;   /* stack of sorted members */
    tg_buf_t text;           /* merged or canonical JSON */
    tg_buf_t bytes;          /* Avro of one value */
    tg_avro_error_t why;     /* of the latest refusal; too large to be zeroed on each call */
    char prefix[TG_EVENT_TENANT_MAX + TG_EVENT_TYPE_MAX + 2]; /* tenant/type/ of the latest id */
    size_t prefix_tenant, prefix_len;
};

TG_NODISCARD tg_status_t tg_event_list_add(tg_event_list_t *list, uint32_t item);

/* Reads an encoded role field's text or number; `type` is the type of its value. */
TG_NODISCARD tg_status_t tg_event_read_text(tg_avro_reader_t *reader, const tg_avro_type_t *type,
                                            tg_str_t *out_text);
TG_NODISCARD tg_status_t tg_event_read_value(tg_avro_reader_t *reader, const tg_avro_type_t *type,
                                             double *out_value);

/* One event on its way from JSON to Avro. */
typedef struct tg_event_job {
    tg_event_codec_t *codec;
    const tg_event_type_t *type;
    const tg_event_rules_t *rules;
    const tg_json_node_t *nodes;
    size_t index; /* of the event's object */
    tg_buf_t *out;
    tg_event_t *event;
    tg_event_error_t *error;
    tg_str_t id;      /* the text of the event's own id field; empty if none */
    bool client_time; /* the client sent one: time_us */
    bool given_time;  /* and it came from the rules, not from a field */
    int64_t time_us;
} tg_event_job_t;

/* Fills the error and returns TG_INVALID. The message begins with the field. */
tg_status_t tg_event_refuse(tg_event_job_t *job, const char *code, tg_str_t field,
                            const char *format, ...) TG_PRINTF(4, 5);

/* The same for the value nodes[at]: "expected `wanted`, got" what came. */
tg_status_t tg_event_refuse_value(tg_event_job_t *job, const char *code,
                                  const tg_event_field_t *field, size_t at, const char *wanted);

/* Puts an error of the Avro codec within `field` into the job's. */
tg_status_t tg_event_refuse_avro(tg_event_job_t *job, tg_status_t status, tg_str_t field,
                                 tg_avro_error_t *why);

/* Pushes the members of an object (and `more`, if not NULL) sorted by name on the codec's order
 * stack; gives where they start. The caller resets order.len to that. */
TG_NODISCARD tg_status_t tg_event_sort_members(tg_event_job_t *job, size_t object, bool is_object,
                                               const tg_event_list_t *more, size_t *out_start);

/* The text of the free-form JSON nodes[at] (0: absent), with the unknown members if the field takes
 * them; borrowed from the codec until the next. */
TG_NODISCARD tg_status_t tg_event_free_json(tg_event_job_t *job, const tg_event_field_t *field,
                                            size_t at, tg_str_t *out_text);

/* Fixes event->id from what the client sent. The fields must have been encoded before. */
TG_NODISCARD tg_status_t tg_event_identify(tg_event_job_t *job);

#endif
