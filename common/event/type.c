/* Compiling an event type: the Avro record is checked and indexed by common/avro; here the fields'
 * roles, the running state and the free-form fields are read from its custom attributes and held to
 * their rules, so that encode and decode only look things up. */
#include <jansson.h>
#include <stdlib.h>

#include "common/event/internal.h"

static const char *const role_names[TG_EVENT_ROLES] = {
    [TG_EVENT_NONE] = "",       [TG_EVENT_ID] = "id",         [TG_EVENT_TIME] = "time",
    [TG_EVENT_KIND] = "kind",   [TG_EVENT_ENTITY] = "entity", [TG_EVENT_USER] = "user",
    [TG_EVENT_VALUE] = "value",
};

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool tg_event_type_builtin(tg_str_t name)
{
#define ROW(name) {#name, sizeof(#name) - 1},
    static const tg_str_t names[] = {TG_EVENT_BUILTIN_TYPES(ROW)};
#undef ROW
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++) {
        if (tg_str_eq(names[i], name))
            return true;
    }
    return false;
}

bool tg_event_type_name_ok(tg_str_t name)
{
    if (name.len == 0 || name.len > TG_EVENT_TYPE_MAX || !is_lower(name.ptr[0]))
        return false;
    for (size_t i = 1; i < name.len; i++) {
        if (!is_lower(name.ptr[i]) && !is_digit(name.ptr[i]) && name.ptr[i] != '_')
            return false;
    }
    return true;
}

bool tg_event_tenant_ok(tg_str_t tenant)
{
    if (tenant.len == 0 || tenant.len > TG_EVENT_TENANT_MAX || tenant.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < tenant.len; i++) {
        if (!is_lower(tenant.ptr[i]) && !is_digit(tenant.ptr[i]) && tenant.ptr[i] != '-')
            return false;
    }
    return true;
}

/* --- fields --- */

static tg_status_t refuse_field(const tg_event_field_t *field, tg_error_t *error, const char *why)
{
    return tg_error_set(error, TG_INVALID, "field " TG_STR_FMT ": %s",
                        TG_STR_ARG(field->avro->name), why);
}

/* Sees through a union of null and one other type. */
static void resolve(tg_event_field_t *field)
{
    assert(field->avro != NULL);
    const tg_avro_type_t *type = field->avro->type;
    field->type = type;
    field->null_branch = field->value_branch = -1;
    if (type->kind != TG_AVRO_UNION || type->count != 2)
        return;
    for (int i = 0; i < 2; i++) {
        if (type->branches[i]->kind != TG_AVRO_NULL)
            continue;
        field->null_branch = i;
        field->value_branch = 1 - i;
        field->type = type->branches[1 - i];
    }
}

static bool role_allows(tg_event_role_t role, const tg_avro_type_t *type)
{
    bool string = type->kind == TG_AVRO_STRING;
    switch (role) {
    case TG_EVENT_ID:
    case TG_EVENT_USER:
        return string;
    case TG_EVENT_KIND:
    case TG_EVENT_ENTITY:
        return string || type->kind == TG_AVRO_ENUM;
    case TG_EVENT_TIME:
        return type->logical >= TG_AVRO_TIMESTAMP_MILLIS &&
               type->logical <= TG_AVRO_TIMESTAMP_NANOS;
    case TG_EVENT_VALUE:
        return type->kind >= TG_AVRO_INT && type->kind <= TG_AVRO_DOUBLE &&
               type->logical == TG_AVRO_PLAIN;
    default:
        return true;
    }
}

static const char *role_wants(tg_event_role_t role)
{
    switch (role) {
    case TG_EVENT_TIME:
        return "role time needs a long with logicalType timestamp-millis, -micros or -nanos";
    case TG_EVENT_VALUE:
        return "role value needs an int, long, float or double";
    case TG_EVENT_KIND:
    case TG_EVENT_ENTITY:
        return "roles kind and entity need a string or an enum";
    default:
        return "roles id and user need a string";
    }
}

static tg_status_t read_role(tg_event_type_t *type, int index, tg_error_t *error)
{
    tg_event_field_t *field = &type->fields[index];
    const json_t *attribute = json_object_get(field->avro->json, "role");
    tg_str_t name = tg_avro_attribute(field->avro->json, "role");
    if (attribute == NULL)
        return TG_OK;
    for (int role = TG_EVENT_ID; role < TG_EVENT_ROLES; role++) {
        if (tg_str_eq(name, tg_str_from(role_names[role])))
            field->role = (tg_event_role_t)role;
    }
    if (field->role == TG_EVENT_NONE)
        return refuse_field(field, error, "role must be id, time, kind, entity, user or value");
    if (type->role_field[field->role] >= 0)
        return refuse_field(field, error, "another field has this role already");
    if (!role_allows(field->role, field->type))
        return refuse_field(field, error, role_wants(field->role));
    type->role_field[field->role] = index;
    return TG_OK;
}

static tg_status_t read_format(tg_event_type_t *type, int index, tg_error_t *error)
{
    tg_event_field_t *field = &type->fields[index];
    const json_t *extras = json_object_get(field->avro->json, "extras");
    field->json = tg_str_eq(tg_avro_attribute(field->avro->json, "format"), TG_STR("json"));
    if (field->json &&
        (field->type->kind != TG_AVRO_STRING || field->type->logical != TG_AVRO_PLAIN))
        return refuse_field(field, error, "format json needs a string, or a union of null and it");
    if (field->json && field->role != TG_EVENT_NONE)
        return refuse_field(field, error, "a field with a role cannot be free-form JSON");
    if (extras != NULL && !json_is_boolean(extras))
        return refuse_field(field, error, "extras must be true or false");
    if (!json_is_true(extras))
        return TG_OK;
    if (!field->json)
        return refuse_field(field, error, "extras needs format json");
    if (type->extras >= 0)
        return refuse_field(field, error, "another field takes the extras already");
    type->extras = index;
    return TG_OK;
}

/* A free-form field's default must be JSON itself. */
static tg_status_t check_json_default(const tg_event_field_t *field, tg_error_t *error)
{
    if (!field->json || !field->avro->has_default)
        return TG_OK;
    const json_t *value = json_object_get(field->avro->json, "default");
    if (!json_is_string(value))
        return TG_OK; /* null */
    json_t *parsed =
        json_loadb(json_string_value(value), json_string_length(value), JSON_DECODE_ANY, NULL);
    json_decref(parsed);
    return parsed != NULL ? TG_OK : refuse_field(field, error, "its default is no JSON text");
}

tg_status_t tg_event_read_text(tg_avro_reader_t *reader, const tg_avro_type_t *type,
                               tg_str_t *out_text)
{
    return type->kind == TG_AVRO_ENUM ? tg_avro_read_symbol(reader, type, out_text)
                                      : tg_avro_read_text(reader, out_text);
}

tg_status_t tg_event_read_value(tg_avro_reader_t *reader, const tg_avro_type_t *type,
                                double *out_value)
{
    float real = 0;
    int64_t integer = 0;
    tg_status_t status;
    if (type->kind == TG_AVRO_DOUBLE)
        return tg_avro_read_double(reader, out_value);
    if (type->kind == TG_AVRO_FLOAT) {
        status = tg_avro_read_float(reader, &real);
        *out_value = (double)real;
    } else {
        status = tg_avro_read_long(reader, &integer);
        *out_value = (double)integer;
    }
    return status;
}

/* What an absent field stands for in the event, so that both directions say the same. */
static tg_status_t read_fallback(tg_event_type_t *type, const tg_event_field_t *field,
                                 tg_error_t *error)
{
    tg_avro_error_t why;
    tg_avro_reader_t reader;
    const tg_avro_type_t *value = field->avro->type;
    tg_str_t *const texts[TG_EVENT_ROLES] = {[TG_EVENT_KIND] = &type->fallback.kind,
                                             [TG_EVENT_ENTITY] = &type->fallback.entity,
                                             [TG_EVENT_USER] = &type->fallback.user};
    tg_str_t *text = texts[field->role];
    if (!field->avro->has_default || (text == NULL && field->role != TG_EVENT_VALUE))
        return TG_OK;
    tg_avro_reader_init(&reader, field->avro->default_bytes, TG_AVRO_REFUSE_NUL, &why);
    tg_status_t status = TG_OK;
    if (value->kind == TG_AVRO_UNION)
        status = tg_avro_read_branch(&reader, field->avro->type, &value);
    if (status != TG_OK || value->kind == TG_AVRO_NULL)
        return status;
    if (text != NULL)
        status = tg_event_read_text(&reader, value, text);
    else
        status = tg_event_read_value(&reader, value, &type->fallback.value);
    type->fallback.has_value = type->fallback.has_value || text == NULL;
    if (status != TG_OK || (text != NULL && text->len > TG_EVENT_TEXT_MAX))
        return refuse_field(field, error, "its default cannot be stored");
    return TG_OK;
}

static tg_status_t read_fields(tg_event_type_t *type, tg_error_t *error)
{
    for (int i = 0; i < (int)type->record->count; i++) {
        tg_event_field_t *field = &type->fields[i];
        field->avro = &type->record->fields[i];
        resolve(field);
        tg_status_t status = read_role(type, i, error);
        if (status == TG_OK)
            status = read_format(type, i, error);
        if (status == TG_OK)
            status = check_json_default(field, error);
        if (status == TG_OK)
            status = read_fallback(type, field, error);
        if (status != TG_OK)
            return status;
    }
    return TG_OK;
}

/* --- the running state --- */

static bool kind_possible(const tg_event_type_t *type, tg_str_t kind)
{
    assert(type->role_field[TG_EVENT_KIND] >= 0);
    const tg_avro_type_t *field = type->fields[type->role_field[TG_EVENT_KIND]].type;
    assert(field != NULL);
    return field->kind != TG_AVRO_ENUM || tg_avro_type_find(field, kind) >= 0;
}

static tg_status_t read_delta(tg_event_type_t *type, const char *kind, const json_t *value,
                              tg_error_t *error)
{
    assert(type->delta_count < TG_EVENT_STATE_KINDS_MAX);
    json_int_t delta = json_integer_value(value);
    if (!json_is_integer(value) || delta < -TG_EVENT_DELTA_MAX || delta > TG_EVENT_DELTA_MAX)
        return tg_error_set(error, TG_INVALID, "state: delta of \"%s\" must be an integer up to %d",
                            kind, TG_EVENT_DELTA_MAX);
    if (!kind_possible(type, tg_str_from(kind)))
        return tg_error_set(error, TG_INVALID, "state: \"%s\" is no kind of this type", kind);
    type->deltas[type->delta_count++] = (tg_event_state_delta_t){tg_str_from(kind), delta};
    return TG_OK;
}

static tg_status_t read_state(tg_event_type_t *type, tg_error_t *error)
{
    const json_t *state = json_object_get(type->record->json, "state");
    json_t *deltas = json_object_get(state, "deltas");
    const char *kind;
    json_t *value;
    if (state == NULL)
        return TG_OK;
    type->state = tg_avro_attribute(state, "name");
    if (!tg_event_type_name_ok(type->state))
        return tg_error_set(error, TG_INVALID, "state: needs a name of a-z, 0-9 and _");
    if (type->role_field[TG_EVENT_KIND] < 0)
        return tg_error_set(error, TG_INVALID, "state: needs a field with role kind");
    if (!json_is_object(deltas) || json_object_size(deltas) == 0 ||
        json_object_size(deltas) > TG_EVENT_STATE_KINDS_MAX)
        return tg_error_set(error, TG_INVALID, "state: deltas must name 1 to %d kinds",
                            TG_EVENT_STATE_KINDS_MAX);
    json_object_foreach(deltas, kind, value)
    {
        tg_status_t status = read_delta(type, kind, value, error);
        if (status != TG_OK)
            return status;
    }
    return TG_OK;
}

/* --- life cycle --- */

static tg_status_t compile(tg_event_type_t *type, tg_str_t schema, tg_error_t *error)
{
    tg_status_t status = tg_avro_schema_parse(schema, &type->schema, error);
    if (status != TG_OK)
        return status;
    type->record = tg_avro_schema_root(type->schema);
    if (type->record->kind != TG_AVRO_RECORD)
        return tg_error_set(error, TG_INVALID, "an event type is a record, not a %s",
                            tg_avro_kind_name(type->record->kind));
    type->fields = calloc(type->record->count + 1, sizeof(*type->fields));
    if (type->fields == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory for an event type");
    status = read_fields(type, error);
    return status == TG_OK ? read_state(type, error) : status;
}

tg_status_t tg_event_type_compile(tg_str_t name, tg_str_t schema, uint32_t schema_id,
                                  tg_event_type_t **out_type, tg_error_t *error)
{
    assert(out_type != NULL);
    if (!tg_event_type_name_ok(name))
        return tg_error_set(error, TG_INVALID,
                            "type \"" TG_STR_FMT "\": a name is a-z, then a-z, 0-9 and _, at most "
                            "%d bytes",
                            TG_STR_ARG(name), TG_EVENT_TYPE_MAX);
    tg_event_type_t *type = calloc(1, sizeof(*type));
    if (type == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory for an event type");
    atomic_init(&type->refs, 1);
    type->schema_id = schema_id;
    memcpy(type->name_text, name.ptr, name.len);
    type->name = (tg_str_t){type->name_text, name.len};
    type->extras = -1;
    for (int role = 0; role < TG_EVENT_ROLES; role++)
        type->role_field[role] = -1;
    tg_status_t status = compile(type, schema, error);
    if (status != TG_OK) {
        tg_event_type_unref(type);
        return status;
    }
    *out_type = type;
    return TG_OK;
}

tg_event_type_t *tg_event_type_ref(tg_event_type_t *type)
{
    assert(type != NULL);
    unsigned before = atomic_fetch_add_explicit(&type->refs, 1, memory_order_relaxed);
    assert(before > 0);
    return type;
}

void tg_event_type_unref(tg_event_type_t *type)
{
    if (type == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&type->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    tg_avro_schema_destroy(type->schema);
    free(type->fields);
    free(type);
}

tg_str_t tg_event_type_name(const tg_event_type_t *type)
{
    assert(type != NULL);
    return type->name;
}

uint32_t tg_event_type_schema_id(const tg_event_type_t *type)
{
    assert(type != NULL);
    return type->schema_id;
}

bool tg_event_type_has_roles(const tg_event_type_t *type)
{
    assert(type != NULL);
    for (int role = TG_EVENT_ID; role < TG_EVENT_ROLES; role++) {
        if (type->role_field[role] >= 0)
            return true;
    }
    return false;
}

tg_str_t tg_event_type_state(const tg_event_type_t *type)
{
    assert(type != NULL);
    return type->state;
}

int64_t tg_event_type_delta(const tg_event_type_t *type, tg_str_t kind)
{
    assert(type != NULL);
    for (size_t i = 0; i < type->delta_count; i++) {
        if (tg_str_eq(type->deltas[i].kind, kind))
            return type->deltas[i].delta;
    }
    return 0;
}
