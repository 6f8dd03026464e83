/* JSON object to Kafka value, in one pass over the members and one over the fields.
 *
 * Fields with a role are written here, because their value is needed twice (in the bytes and in the
 * event) and has bounds of its own; all others go through common/avro's codec. Members mostly come
 * in the schema's order, so the field after the last one is guessed before its name is searched.
 * Nothing is allocated per event once the codec's arrays have grown. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/avro/internal.h"
#include "common/avro/logical.h"
#include "common/event/internal.h"

/* --- the codec --- */

tg_event_codec_t *tg_event_codec_create(void)
{
    tg_event_codec_t *codec = calloc(1, sizeof(*codec));
    if (codec == NULL)
        return NULL;
    codec->text = tg_buf_make(TG_EVENT_BYTES_MAX * 8); /* escapes may grow a text sixfold */
    codec->bytes = tg_buf_make(TG_EVENT_BYTES_MAX * 8);
    codec->avro = tg_avro_codec_create();
    if (codec->avro == NULL) {
        tg_event_codec_destroy(codec);
        return NULL;
    }
    return codec;
}

void tg_event_codec_destroy(tg_event_codec_t *codec)
{
    if (codec == NULL)
        return;
    tg_avro_codec_destroy(codec->avro);
    tg_json_parser_destroy(codec->parser);
    free(codec->slots);
    free(codec->unknown.items);
    free(codec->order.items);
    tg_buf_dispose(&codec->text);
    tg_buf_dispose(&codec->bytes);
    free(codec);
}

tg_status_t tg_event_list_add(tg_event_list_t *list, uint32_t item)
{
    if (list->len == list->cap) {
        size_t cap = list->cap == 0 ? 32 : list->cap * 2;
        uint32_t *items = realloc(list->items, cap * sizeof(*items));
        if (items == NULL)
            return TG_NOMEM;
        list->items = items;
        list->cap = cap;
    }
    list->items[list->len++] = item;
    return TG_OK;
}

/* All slots are zero between calls: zeroing them at the end, not at the start, keeps the first
 * reads from waiting for it. */
static tg_status_t reserve_slots(tg_event_codec_t *codec, size_t count)
{
    if (count <= codec->slot_cap)
        return TG_OK;
    uint32_t *slots = calloc(count, sizeof(*slots));
    if (slots == NULL)
        return TG_NOMEM;
    free(codec->slots);
    codec->slots = slots;
    codec->slot_cap = count;
    return TG_OK;
}

static void clear_scratch(tg_event_codec_t *codec, size_t count)
{
    if (count > 0 && count <= codec->slot_cap)
        memset(codec->slots, 0, count * sizeof(*codec->slots));
    codec->unknown.len = 0;
    codec->order.len = 0;
}

/* --- refusals --- */

__attribute__((cold)) tg_status_t tg_event_refuse(tg_event_job_t *job, const char *code,
                                                  tg_str_t field, const char *format, ...)
{
    tg_event_error_t *error = job->error;
    char words[240];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    error->code = code;
    error->given = false;
    error->field[0] = error->message[0] = '\0';
    if (field.len > 0) {
        tg_avro_error_t path = {0}; /* cuts long names between characters */
        tg_avro_error_within(&path, field, 0);
        snprintf(error->field, sizeof(error->field), "%s", path.path);
    }
    snprintf(error->message, sizeof(error->message), "%s%s%s", error->field,
             field.len > 0 ? ": " : "", words);
    return TG_INVALID;
}

tg_status_t tg_event_refuse_avro(tg_event_job_t *job, tg_status_t status, tg_str_t field,
                                 tg_avro_error_t *why)
{
    if (status == TG_NOMEM)
        return status;
    tg_avro_error_within(why, field, 0);
    bool twice = strcmp(why->code, "duplicate_field") == 0;
    return tg_event_refuse(job, twice ? "invalid_event" : why->code, tg_str_from(why->path), "%s",
                           why->message);
}

/* Cold and never inlined: the hot functions must not zero these buffers on each call. */
#define COLD __attribute__((cold, noinline))

COLD tg_status_t tg_event_refuse_value(tg_event_job_t *job, const char *code,
                                       const tg_event_field_t *field, size_t at, const char *wanted)
{
    char came[128];
    tg_avro_describe(&job->nodes[at], came, sizeof(came));
    return tg_event_refuse(job, code, field->avro->name, "expected %s, got %s", wanted, came);
}

/* --- fields --- */

static void write_branch(tg_event_job_t *job, int branch)
{
    if (branch >= 0)
        tg_buf_byte(job->out, (char)(branch << 1)); /* 0 or 1 as zigzag */
}

static tg_status_t check_text(tg_event_job_t *job, const tg_event_field_t *field, tg_str_t text)
{
    if (text.len > TG_EVENT_TEXT_MAX)
        return tg_event_refuse(job, "invalid_value", field->avro->name,
                               "expected at most %d bytes, got %zu", TG_EVENT_TEXT_MAX, text.len);
    if (tg_avro_has_nul(text))
        return tg_event_refuse(job, "invalid_value", field->avro->name,
                               "text must not hold U+0000");
    return TG_OK;
}

/* Any field by its schema alone. */
static tg_status_t write_plain(tg_event_job_t *job, const tg_event_field_t *field, size_t at)
{
    tg_avro_error_t *why = &job->codec->why;
    tg_status_t status = tg_avro_encode(job->codec->avro, field->avro->type, job->nodes, at,
                                        TG_AVRO_REFUSE_NUL, job->out, why);
    return status == TG_OK ? TG_OK : tg_event_refuse_avro(job, status, field->avro->name, why);
}

static tg_str_t *text_of_role(tg_event_job_t *job, tg_event_role_t role)
{
    switch (role) {
    case TG_EVENT_ID:
        return &job->id;
    case TG_EVENT_KIND:
        return &job->event->kind;
    case TG_EVENT_ENTITY:
        return &job->event->entity;
    default:
        assert(role == TG_EVENT_USER);
        return &job->event->user;
    }
}

static tg_status_t write_text(tg_event_job_t *job, const tg_event_field_t *field, size_t at)
{
    assert(field->role != TG_EVENT_NONE);
    const tg_json_node_t *node = &job->nodes[at];
    if (field->type->kind == TG_AVRO_ENUM || field->type->logical != TG_AVRO_PLAIN ||
        node->type != TG_JSON_STRING) {
        tg_status_t status = write_plain(job, field, at);
        if (status == TG_OK)
            *text_of_role(job, field->role) = node->value.text;
        return status;
    }
    tg_status_t status = check_text(job, field, node->value.text);
    if (status != TG_OK)
        return status;
    if (field->role == TG_EVENT_ID && node->value.text.len == 0)
        return tg_event_refuse(job, "invalid_value", field->avro->name,
                               "expected 1 to %d bytes, got none", TG_EVENT_TEXT_MAX);
    *text_of_role(job, field->role) = node->value.text;
    write_branch(job, field->value_branch);
    tg_avro_write_bytes(job->out, node->value.text);
    return TG_OK;
}

static tg_status_t write_time(tg_event_job_t *job, const tg_event_field_t *field, size_t at)
{
    assert(field->role == TG_EVENT_TIME);
    int64_t value;
    if (tg_avro_json_time(&job->nodes[at], &job->time_us) != TG_OK ||
        tg_avro_time_from_us(field->type->logical, job->time_us, &value) != TG_OK) {
        tg_json_type_t came = job->nodes[at].type;
        bool possible = came == TG_JSON_STRING || (came >= TG_JSON_INT && came <= TG_JSON_DOUBLE);
        return tg_event_refuse_value(job, possible ? "invalid_value" : "wrong_type", field, at,
                                     tg_avro_time_expectation(field->type->logical));
    }
    job->client_time = true;
    write_branch(job, field->value_branch);
    tg_avro_write_long(job->out, value);
    return TG_OK;
}

static tg_status_t write_value(tg_event_job_t *job, const tg_event_field_t *field, size_t at)
{
    assert(field->role == TG_EVENT_VALUE);
    const tg_json_node_t *node = &job->nodes[at];
    job->event->has_value = true;
    if (field->type->kind == TG_AVRO_DOUBLE && node->type == TG_JSON_DOUBLE) {
        write_branch(job, field->value_branch);
        job->event->value = node->value.real;
        tg_avro_write_double(job->out, node->value.real);
        return TG_OK;
    }
    size_t before = job->out->len;
    tg_status_t status = write_plain(job, field, at);
    if (status != TG_OK)
        return status;
    tg_avro_reader_t reader;
    size_t skip = field->value_branch >= 0 ? 1 : 0;
    tg_str_t bytes = {job->out->data + before + skip, job->out->len - before - skip};
    tg_avro_reader_init(&reader, bytes, 0, &job->codec->why);
    return tg_event_read_value(&reader, field->type, &job->event->value);
}

static tg_status_t write_json(tg_event_job_t *job, const tg_event_field_t *field, size_t at)
{
    tg_str_t text;
    tg_status_t status = tg_event_free_json(job, field, at, &text);
    if (status != TG_OK)
        return status;
    write_branch(job, field->value_branch);
    tg_avro_write_bytes(job->out, text);
    return TG_OK;
}

/* --- the record --- */

static tg_status_t note_unknown(tg_event_job_t *job, size_t at)
{
    tg_str_t key = job->nodes[at].key;
    if (job->type->extras < 0)
        return tg_event_refuse(job, "unknown_field", key, "type " TG_STR_FMT " has no such field",
                               TG_STR_ARG(job->type->name));
    return tg_event_list_add(&job->codec->unknown, (uint32_t)at);
}

static tg_status_t note_members(tg_event_job_t *job)
{
    assert(job->codec->unknown.len == 0);
    const tg_avro_type_t *record = job->type->record;
    const tg_json_node_t *nodes = job->nodes;
    uint32_t *slots = job->codec->slots;
    uint32_t guess = 0;
    size_t at = job->index + 1;
    for (uint32_t i = 0; i < nodes[job->index].count; i++, at = nodes[at].next) {
        tg_str_t key = nodes[at].key;
        int field = guess < record->count && tg_avro_same(record->fields[guess].name, key)
                        ? (int)guess
                        : tg_avro_type_find(record, key);
        if (field < 0) {
            tg_status_t status = note_unknown(job, at);
            if (status != TG_OK)
                return status;
            continue;
        }
        if (slots[field] != 0)
            return tg_event_refuse(job, "invalid_event", key, "given twice");
        slots[field] = (uint32_t)at;
        guess = (uint32_t)field + 1;
    }
    return TG_OK;
}

/* A field that the event leaves out and its envelope knows: as if it had stood in the event. */
static tg_status_t write_from_envelope(tg_event_job_t *job, const tg_event_field_t *field,
                                       tg_str_t text)
{
    const tg_json_node_t *nodes = job->nodes;
    const tg_json_node_t given[] = {
        {.type = TG_JSON_OBJECT, .next = 2, .count = 1},
        {.type = TG_JSON_STRING, .next = 2, .key = field->avro->name, .value.text = text}};
    job->nodes = given;
    tg_status_t status =
        field->role == TG_EVENT_TIME ? write_time(job, field, 1) : write_text(job, field, 1);
    job->nodes = nodes;
    if (field->role == TG_EVENT_TIME)
        job->given_time = true;
    else
        job->id = (tg_str_t){NULL, 0}; /* it names the event together with its source */
    return status;
}

/* A field without a value: absent, or null where null stands for absence. */
static tg_status_t write_absent(tg_event_job_t *job, const tg_event_field_t *field, bool is_null)
{
    if (field->role == TG_EVENT_ID && job->rules->given.id.len > 0)
        return write_from_envelope(job, field, job->rules->given.id);
    if (field->role == TG_EVENT_TIME && job->rules->given.time.len > 0)
        return write_from_envelope(job, field, job->rules->given.time);
    if (is_null && field->null_branch >= 0) {
        write_branch(job, field->null_branch);
        return TG_OK;
    }
    if (!field->avro->has_default)
        return tg_event_refuse(job, "missing_field", field->avro->name,
                               "required (%s), but not given",
                               tg_avro_kind_name(field->type->kind));
    tg_buf_append(job->out, field->avro->default_bytes.ptr, field->avro->default_bytes.len);
    switch (field->role) {
    case TG_EVENT_KIND:
    case TG_EVENT_ENTITY:
    case TG_EVENT_USER:
        *text_of_role(job, field->role) = field->role == TG_EVENT_KIND ? job->type->fallback.kind
                                          : field->role == TG_EVENT_ENTITY
                                              ? job->type->fallback.entity
                                              : job->type->fallback.user;
        break;
    case TG_EVENT_VALUE:
        job->event->has_value = job->type->fallback.has_value;
        job->event->value = job->type->fallback.value;
        break;
    default:
        break;
    }
    return TG_OK;
}

static inline tg_status_t write_given(tg_event_job_t *job, const tg_event_field_t *field, size_t at)
{
    switch (field->role) {
    case TG_EVENT_NONE:
        return field->json ? write_json(job, field, at) : write_plain(job, field, at);
    case TG_EVENT_TIME:
        return write_time(job, field, at);
    case TG_EVENT_VALUE:
        return write_value(job, field, at);
    default:
        return write_text(job, field, at);
    }
}

static inline tg_status_t write_field(tg_event_job_t *job, int index)
{
    const tg_event_field_t *field = &job->type->fields[index];
    size_t at = job->codec->slots[index];
    bool extras = index == job->type->extras && job->codec->unknown.len > 0;
    bool is_null = at != 0 && job->nodes[at].type == TG_JSON_NULL;
    if (!extras && (at == 0 || (is_null && field->null_branch >= 0)))
        return write_absent(job, field, is_null);
    return write_given(job, field, at);
}

static void write_wire_head(tg_buf_t *out, uint32_t schema_id)
{
    char head[TG_EVENT_BODY_AT] = {0, (char)(schema_id >> 24), (char)(schema_id >> 16),
                                   (char)(schema_id >> 8), (char)schema_id};
    tg_buf_append(out, head, sizeof(head));
}

/* --- time --- */

COLD static tg_status_t refuse_time(tg_event_job_t *job, const char *code, const char *how,
                                    int64_t limit, const char *unit)
{
    char text[TG_TIME_TEXT_MAX];
    tg_str_t field = TG_STR("time");
    if (!job->given_time)
        field = job->type->fields[job->type->role_field[TG_EVENT_TIME]].avro->name;
    tg_time_format(job->time_us, text);
    (void)tg_event_refuse(job, code, field, "%s is %s the limit of %lld %s", text, how,
                          (long long)limit, unit);
    job->error->given = job->given_time;
    return TG_INVALID;
}

/* The envelope's time, for a type that has no field for it. */
static tg_status_t take_given_time(tg_event_job_t *job)
{
    tg_str_t text = job->rules->given.time;
    if (job->client_time || text.len == 0)
        return TG_OK;
    job->client_time = job->given_time = true;
    if (tg_time_parse(text, &job->time_us) == TG_OK)
        return TG_OK;
    (void)tg_event_refuse(job, "invalid_value", TG_STR("time"), "expected an RFC 3339 time");
    job->error->given = true;
    return TG_INVALID;
}

static tg_status_t fix_time(tg_event_job_t *job)
{
    assert(job->rules->max_ahead_us >= 0);
    assert(job->rules->horizon_us > 0);
    const tg_event_rules_t *rules = job->rules;
    tg_event_t *event = job->event;
    tg_status_t status = take_given_time(job);
    if (status != TG_OK)
        return status;
    event->received_at = rules->now;
    event->occurred_at = job->client_time ? job->time_us : rules->now;
    event->time_own = !job->client_time;
    if (!job->client_time)
        return TG_OK;
    if (job->time_us > rules->now && job->time_us - rules->now > rules->max_ahead_us) {
        if (!rules->clamp_ahead)
            return refuse_time(job, "too_far_ahead", "ahead of the clock, beyond",
                               rules->max_ahead_us / TG_US_PER_SECOND, "seconds");
        event->occurred_at = rules->now;
        event->time_own = true;
    } else if (job->time_us < rules->now - rules->horizon_us) {
        return refuse_time(job, "too_old", "older than", rules->horizon_us / TG_US_PER_DAY, "days");
    }
    return TG_OK;
}

/* --- the whole --- */

COLD static tg_status_t refuse_root(tg_event_job_t *job)
{
    char came[128];
    tg_avro_describe(&job->nodes[job->index], came, sizeof(came));
    return tg_event_refuse(job, "invalid_event", (tg_str_t){NULL, 0}, "expected an object, got %s",
                           came);
}

static tg_status_t encode_event(tg_event_job_t *job)
{
    if (job->nodes[job->index].type != TG_JSON_OBJECT)
        return refuse_root(job);
    tg_status_t status = note_members(job);
    write_wire_head(job->out, job->type->schema_id);
    for (int i = 0; status == TG_OK && i < (int)job->type->record->count; i++)
        status = write_field(job, i);
    if (status == TG_OK && job->out->failed)
        status = TG_NOMEM;
    if (status == TG_OK)
        status = fix_time(job);
    if (status == TG_OK)
        status = tg_event_identify(job);
    return status;
}

/* Member by member: zeroing the whole struct, and copying it out at the end, would cost more than
 * the checks. */
static inline void clear_event(tg_event_t *event, tg_str_t tenant, tg_str_t type)
{
    event->tenant.ptr = tenant.ptr;
    event->tenant.len = tenant.len;
    event->type.ptr = type.ptr;
    event->type.len = type.len;
    event->kind.ptr = event->entity.ptr = event->user.ptr = NULL;
    event->kind.len = event->entity.len = event->user.len = 0;
    event->has_value = event->time_own = false;
    event->value = 0;
    event->occurred_at = event->received_at = 0;
}

tg_status_t tg_event_encode(tg_event_codec_t *codec, const tg_event_type_t *type,
                            const tg_event_rules_t *rules, const tg_json_node_t *nodes,
                            size_t index, tg_buf_t *out, tg_event_t *out_event,
                            tg_event_error_t *error)
{
    assert(codec != NULL);
    assert(rules != NULL);
    assert(error != NULL);
    clear_event(out_event, rules->tenant, type->name);
    tg_event_job_t job = {.codec = codec,
                          .type = type,
                          .rules = rules,
                          .nodes = nodes,
                          .index = index,
                          .out = out,
                          .event = out_event,
                          .error = error};
    size_t before = out->len;
    tg_status_t status = reserve_slots(codec, type->record->count);
    if (status == TG_OK)
        status = encode_event(&job);
    clear_scratch(codec, type->record->count);
    if (status != TG_OK) {
        out->len = before;
        out->failed = false; /* what was there before is whole again */
    }
    return status;
}

void tg_event_key(const tg_event_t *event, tg_buf_t *out)
{
    assert(event != NULL);
    const tg_str_t parts[] = {event->tenant, event->type, event->kind, event->entity};
    for (size_t i = 0; i < TG_ARRAY_LEN(parts); i++) {
        if (i > 0)
            tg_buf_byte(out, '/');
        tg_buf_str(out, parts[i]);
    }
}
