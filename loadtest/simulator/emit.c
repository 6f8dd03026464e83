/* Two documents, the given and the generated one, are read side by side; the result is written from
 * both. */
#include "loadtest/simulator/emit.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/time.h"
#include "loadtest/simulator/answer.h"

#define DEPTH_MAX 32
#define VALUE_MAX 9e9 /* beyond it a double does not tell all millionths apart */

struct tg_emitter {
    tg_generator_t *generator;
    tg_json_parser_t *given, *made;
    tg_buf_t text; /* the generated event */
};

/* Where a type keeps what aggregates are made of. */
static const struct {
    const char *time, *kind, *entity, *value;
} fields[TG_SIM_TYPES] = {
    [TG_SIM_READING] = {"ts", "metric", "device_id", "value"},
    [TG_SIM_ACTIVITY] = {"ts", "event_type", "page", "amount"},
    [TG_SIM_SIGNAL] = {"event_ts", "type", "source", "value"},
    [TG_SIM_ORDER] = {"event_time", "currency", "channel", "amount"},
    [TG_SIM_SESSION] = {"event_time", "event_type", "channel", ""},
    [TG_SIM_STREAM] = {"ts", "event_type", "stream_id", "amount_usd"},
};

tg_emitter_t *tg_emitter_create(uint64_t seed)
{
    const tg_generator_config_t config = {.seed = seed, .isolated = true};
    tg_emitter_t *emitter = calloc(1, sizeof(*emitter));
    if (emitter == NULL)
        return NULL;
    emitter->generator = tg_generator_create(&config);
    emitter->given = tg_json_parser_create(TG_EMIT_BODY_MAX, DEPTH_MAX);
    emitter->made = tg_json_parser_create(TG_GENERATOR_EVENT_MAX, DEPTH_MAX);
    emitter->text = tg_buf_make(TG_GENERATOR_EVENT_MAX);
    if (emitter->generator == NULL || emitter->given == NULL || emitter->made == NULL) {
        tg_emitter_destroy(emitter);
        return NULL;
    }
    return emitter;
}

void tg_emitter_destroy(tg_emitter_t *emitter)
{
    if (emitter == NULL)
        return;
    tg_generator_destroy(emitter->generator);
    tg_json_parser_destroy(emitter->given);
    tg_json_parser_destroy(emitter->made);
    tg_buf_dispose(&emitter->text);
    free(emitter);
}

/* --- the two documents as one --- */

struct merge {
    const tg_json_node_t *given, *made;
    size_t fields; /* the object in `given` that has the fields */
    bool flat;     /* its member "type" is ours, not the event's */
};

static bool is_ours(const struct merge *merge, tg_str_t name)
{
    return merge->flat && tg_str_eq(name, TG_STR("type"));
}

/* The given field of this name, or SIZE_MAX. */
static size_t given_field(const struct merge *merge, tg_str_t name)
{
    return is_ours(merge, name) ? SIZE_MAX : tg_answer_member(merge->given, merge->fields, name);
}

/* The field as it is sent; NULL when there is none. */
static const tg_json_node_t *field(const struct merge *merge, const char *name)
{
    size_t at = given_field(merge, tg_str_from(name));
    if (at != SIZE_MAX)
        return &merge->given[at];
    at = tg_answer_member(merge->made, 0, tg_str_from(name));
    return at == SIZE_MAX ? NULL : &merge->made[at];
}

static void put_field(tg_buf_t *out, bool *first, const tg_json_node_t *nodes, size_t at)
{
    tg_buf_str(out, *first ? TG_STR("{") : TG_STR(","));
    *first = false;
    tg_buf_json_string(out, nodes[at].key);
    tg_buf_byte(out, ':');
    tg_json_write(nodes, at, out);
}

static void write_merged(const struct merge *merge, tg_buf_t *out)
{
    const tg_json_node_t *made = merge->made, *given = merge->given;
    bool first = true;
    for (size_t i = 1; i < made[0].next; i = made[i].next) {
        size_t at = given_field(merge, made[i].key);
        put_field(out, &first, at == SIZE_MAX ? made : given, at == SIZE_MAX ? i : at);
    }
    for (size_t i = merge->fields + 1; i < given[merge->fields].next; i = given[i].next) {
        if (!is_ours(merge, given[i].key) && tg_answer_member(made, 0, given[i].key) == SIZE_MAX)
            put_field(out, &first, given, i);
    }
    tg_buf_byte(out, '}');
}

/* --- what it is to the store --- */

static tg_str_t text_of(const tg_json_node_t *node)
{
    if (node == NULL || node->type != TG_JSON_STRING)
        return TG_STR("");
    return node->value.text;
}

/* Sums are kept in millionths, so only such values are taken. Anything that is no number is the
 * gateway's to refuse. */
static tg_status_t read_value(const tg_json_node_t *node, tg_ledger_entry_t *entry,
                              tg_error_t *error)
{
    double value = 0;
    if (node == NULL || (node->type != TG_JSON_INT && node->type != TG_JSON_DOUBLE))
        return TG_OK;
    value = node->type == TG_JSON_INT ? (double)node->value.integer : node->value.real;
    if (!(fabs(value) <= VALUE_MAX) || (double)llround(value * 1e6) / 1e6 != value)
        return tg_error_set(error, TG_INVALID,
                            "The value must be at most 9e9 and have at most 6 decimals, so that "
                            "sums stay exact.");
    entry->value = llround(value * 1e6);
    entry->has_value = true;
    return TG_OK;
}

static tg_status_t describe(const struct merge *merge, tg_sim_type_t type, tg_ledger_entry_t *entry,
                            tg_error_t *error)
{
    const tg_json_node_t *time = field(merge, fields[type].time);
    *entry = (tg_ledger_entry_t){
        .type = tg_str_from(tg_sim_type_names[type]),
        .kind = text_of(field(merge, fields[type].kind)),
        .entity = text_of(field(merge, fields[type].entity)),
        .occurred_at = INT64_MIN,
    };
    if (time != NULL && time->type == TG_JSON_STRING &&
        tg_time_parse(time->value.text, &entry->occurred_at) != TG_OK)
        entry->occurred_at = INT64_MIN;
    return read_value(field(merge, fields[type].value), entry, error);
}

/* --- the request --- */

static bool has_a_name_twice(const tg_json_node_t *nodes, size_t object)
{
    for (size_t i = object + 1; i < nodes[object].next; i = nodes[i].next) {
        if (tg_answer_member(nodes, object, nodes[i].key) != i)
            return true;
    }
    return false;
}

/* Finds the type and the object with the fields. */
static tg_status_t read_given(const tg_json_node_t *nodes, struct merge *merge,
                              tg_sim_type_t *out_type, tg_error_t *error)
{
    if (nodes[0].type != TG_JSON_OBJECT)
        return tg_error_set(error, TG_INVALID, "The body must be a JSON object.");
    size_t type = tg_answer_member(nodes, 0, TG_STR("type"));
    size_t data = tg_answer_member(nodes, 0, TG_STR("data"));
    *out_type = type == SIZE_MAX ? TG_SIM_TYPES : tg_sim_type_of(text_of(&nodes[type]));
    if (*out_type == TG_SIM_TYPES)
        return tg_error_set(error, TG_INVALID,
                            "\"type\" must be one of reading, activity, signal, order, session, "
                            "stream.");
    merge->given = nodes;
    merge->flat = data == SIZE_MAX;
    merge->fields = merge->flat ? 0 : data;
    if (nodes[merge->fields].type != TG_JSON_OBJECT)
        return tg_error_set(error, TG_INVALID, "\"data\" must be an object with the fields.");
    if (nodes[merge->fields].count > TG_EMIT_FIELDS_MAX)
        return tg_error_set(error, TG_INVALID, "More than %d fields.", TG_EMIT_FIELDS_MAX);
    if (has_a_name_twice(nodes, merge->fields))
        return tg_error_set(error, TG_INVALID, "A field stands there twice.");
    return TG_OK;
}

tg_status_t tg_emitter_make(tg_emitter_t *emitter, tg_str_t given, int64_t now_us, tg_buf_t *out,
                            tg_ledger_entry_t *out_entry, tg_error_t *error)
{
    assert(emitter != NULL && out != NULL && out_entry != NULL);
    const tg_json_node_t *nodes = NULL;
    struct merge merge = {0};
    tg_sim_type_t type = TG_SIM_TYPES;
    tg_sim_event_t event;
    size_t count = 0;
    tg_status_t status = tg_json_parse(emitter->given, given, &nodes, &count, error);
    if (status == TG_OK)
        status = read_given(nodes, &merge, &type, error);
    if (status != TG_OK)
        return TG_INVALID;

    tg_buf_clear(&emitter->text);
    tg_generator_make(emitter->generator, type, now_us, &emitter->text, &event);
    status = tg_json_parse(emitter->made, tg_buf_view(&emitter->text), &merge.made, &count, NULL);
    assert(status == TG_OK); /* our own text */
    status = describe(&merge, type, out_entry, error);
    if (status != TG_OK)
        return status;
    size_t before = out->len;
    write_merged(&merge, out);
    if (out->failed)
        return tg_error_set(error, TG_INVALID, "The event is too large.");
    out_entry->event = (tg_str_t){out->data + before, out->len - before};
    return TG_OK;
}
