/* Recursive descent over jansson's tree, one function per kind of type. The place being read is
 * kept as a JSON pointer, so that each refusal can say where it is; depth is bounded before
 * anything recurses.
 *
 * A name is known from the moment its definition begins (a record may refer to itself), which is
 * why types are entered in the table before their content is read. */
#include "common/avro/schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/avro/internal.h"
#include "common/base/table.h"

#define ARENA_MAX ((size_t)64 << 20)

struct parse {
    tg_avro_schema_t *schema;
    tg_table_t *names; /* full name → tg_avro_type_t */
    tg_error_t *error;
    tg_str_t space; /* the enclosing namespace */
    size_t fields, symbols;
    unsigned depth;
    char path[256]; /* JSON pointer */
    size_t path_len;
};

typedef tg_status_t (*parse_fn)(struct parse *p, const json_t *json, const tg_avro_type_t **out);

static tg_status_t parse_type(struct parse *p, const json_t *json, const tg_avro_type_t **out);

static const char *const kind_names[TG_AVRO_KINDS] = {
    "null",   "boolean", "int",  "long",  "float", "double", "bytes",
    "string", "record",  "enum", "fixed", "array", "map",    "union",
};

const char *tg_avro_kind_name(tg_avro_kind_t kind)
{
    assert(kind < TG_AVRO_KINDS);
    return kind_names[kind];
}

/* --- refusals and the place they name --- */

static tg_status_t refuse(struct parse *p, tg_status_t status, const char *format, ...)
    TG_PRINTF(3, 4);

static tg_status_t refuse(struct parse *p, tg_status_t status, const char *format, ...)
{
    char words[320];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    return tg_error_set(p->error, status, "%s: %s", p->path_len == 0 ? "schema" : p->path, words);
}

static tg_status_t no_memory(struct parse *p)
{
    return refuse(p, TG_TOO_LARGE, "the schema needs more memory than is allowed");
}

/* Appends "/text" (or "/text/3") to the place; returns what path_leave needs to take it back. */
static size_t path_enter(struct parse *p, const char *text, long index)
{
    size_t before = p->path_len;
    size_t room = sizeof(p->path) - before;
    int n = index < 0 ? snprintf(p->path + before, room, "/%s", text)
                      : snprintf(p->path + before, room, "/%s/%ld", text, index);
    assert(n > 0);
    if ((size_t)n < room)
        p->path_len = before + (size_t)n;
    else
        p->path[before] = '\0'; /* too deep to show: the place above must do */
    return before;
}

static void path_leave(struct parse *p, size_t before)
{
    assert(before <= p->path_len);
    p->path_len = before;
    p->path[before] = '\0';
}

/* --- reading attributes --- */

static tg_str_t text_of(const json_t *json)
{
    if (!json_is_string(json))
        return (tg_str_t){NULL, 0};
    return (tg_str_t){json_string_value(json), json_string_length(json)};
}

tg_str_t tg_avro_attribute(const struct json_t *json, const char *name)
{
    return text_of(json == NULL ? NULL : json_object_get(json, name));
}

static const char *json_words(const json_t *json)
{
    static const char *const words[] = {"an object", "an array", "a string", "an integer",
                                        "a number",  "true",     "false",    "null"};
    if (json == NULL)
        return "nothing";
    assert((size_t)json_typeof(json) < TG_ARRAY_LEN(words));
    return words[json_typeof(json)];
}

/* --- names --- */

static bool name_part_ok(tg_str_t name)
{
    if (name.len == 0)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i], lower = (char)(c | 0x20);
        bool letter = (lower >= 'a' && lower <= 'z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return true;
}

/* Parts by the name rule, joined by single dots. */
static bool full_name_ok(tg_str_t name)
{
    size_t start = 0;
    for (size_t i = 0; i <= name.len; i++) {
        if (i < name.len && name.ptr[i] != '.')
            continue;
        if (!name_part_ok((tg_str_t){name.ptr + start, i - start}))
            return false;
        start = i + 1;
    }
    return name.len <= TG_AVRO_NAME_MAX;
}

/* Namespace of a full name: what stands before the last dot. */
static tg_str_t space_of(tg_str_t full)
{
    for (size_t i = full.len; i > 0; i--) {
        if (full.ptr[i - 1] == '.')
            return (tg_str_t){full.ptr, i - 1};
    }
    return (tg_str_t){NULL, 0};
}

static bool has_dot(tg_str_t name)
{
    return name.len > 0 && memchr(name.ptr, '.', name.len) != NULL;
}

/* Gives the full name of `name` as used inside `space`, in the arena. */
static tg_status_t qualify(struct parse *p, tg_str_t name, tg_str_t space, tg_str_t *out)
{
    if (has_dot(name) || space.len == 0) {
        *out = name.len > 0 && name.ptr[0] == '.' ? (tg_str_t){name.ptr + 1, name.len - 1} : name;
    } else {
        size_t len = space.len + 1 + name.len;
        char *full = tg_arena_alloc(p->schema->arena, len + 1);
        if (full == NULL)
            return no_memory(p);
        memcpy(full, space.ptr, space.len);
        full[space.len] = '.';
        memcpy(full + space.len + 1, name.ptr, name.len);
        *out = (tg_str_t){full, len};
    }
    if (!full_name_ok(*out))
        return refuse(p, TG_INVALID, "bad name \"" TG_STR_FMT "\"; names are letters, digits and _",
                      TG_STR_ARG(*out));
    return TG_OK;
}

static int primitive_kind(tg_str_t name)
{
    for (int kind = TG_AVRO_NULL; kind <= TG_AVRO_STRING; kind++) {
        if (tg_str_eq(name, tg_str_from(kind_names[kind])))
            return kind;
    }
    return -1;
}

/* The bare primitives are shared by all schemas. */
static const tg_avro_type_t primitives[] = {
    {.kind = TG_AVRO_NULL, .may_be_empty = true},
    {.kind = TG_AVRO_BOOLEAN},
    {.kind = TG_AVRO_INT},
    {.kind = TG_AVRO_LONG},
    {.kind = TG_AVRO_FLOAT},
    {.kind = TG_AVRO_DOUBLE},
    {.kind = TG_AVRO_BYTES},
    {.kind = TG_AVRO_STRING},
};

static tg_status_t parse_reference(struct parse *p, tg_str_t name, const tg_avro_type_t **out)
{
    int primitive = primitive_kind(name);
    if (primitive >= 0) {
        *out = &primitives[primitive];
        return TG_OK;
    }
    tg_str_t full;
    tg_status_t status = qualify(p, name, p->space, &full);
    if (status != TG_OK)
        return status;
    const tg_avro_type_t *found = tg_table_get(p->names, full);
    if (found == NULL)
        return refuse(p, TG_INVALID, "unknown type \"" TG_STR_FMT "\"", TG_STR_ARG(full));
    *out = found;
    return TG_OK;
}

static tg_avro_type_t *new_type(struct parse *p, tg_avro_kind_t kind, const json_t *json)
{
    tg_avro_type_t *type = tg_arena_alloc(p->schema->arena, sizeof(*type));
    if (type == NULL)
        return NULL;
    type->kind = kind;
    type->json = json;
    type->doc = tg_avro_attribute(json, "doc");
    type->default_symbol = type->nullable_branch = -1;
    return type;
}

static tg_status_t parse_aliases(struct parse *p, const json_t *json, bool qualified,
                                 tg_str_t space, const tg_str_t **out, uint32_t *out_count)
{
    const json_t *list = json_object_get(json, "aliases");
    if (list == NULL)
        return TG_OK;
    if (!json_is_array(list))
        return refuse(p, TG_INVALID, "aliases: expected an array of names, got %s",
                      json_words(list));
    size_t count = json_array_size(list);
    tg_str_t *aliases = tg_arena_array(p->schema->arena, count + 1, sizeof(*aliases));
    if (aliases == NULL)
        return no_memory(p);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_string(item))
            return refuse(p, TG_INVALID, "aliases: expected a name, got %s", json_words(item));
        aliases[i] = text_of(item);
        if (qualified) {
            tg_status_t status = qualify(p, aliases[i], space, &aliases[i]);
            if (status != TG_OK)
                return status;
        } else if (!name_part_ok(aliases[i]) || aliases[i].len > TG_AVRO_NAME_MAX) {
            return refuse(p, TG_INVALID, "aliases: bad name \"" TG_STR_FMT "\"",
                          TG_STR_ARG(aliases[i]));
        }
    }
    *out = aliases;
    *out_count = (uint32_t)count;
    return TG_OK;
}

/* Reads name, namespace and aliases, and makes the type known under its full name. */
static tg_status_t define(struct parse *p, tg_avro_type_t *type)
{
    assert(p->schema->named_count <= TG_AVRO_NAMED_MAX);
    tg_str_t name = tg_avro_attribute(type->json, "name");
    tg_str_t space = p->space;
    const json_t *own = json_object_get(type->json, "namespace");
    if (name.len == 0)
        return refuse(p, TG_INVALID, "%s without a name", kind_names[type->kind]);
    if (json_is_string(own))
        space = text_of(own);
    else if (own != NULL && !json_is_null(own))
        return refuse(p, TG_INVALID, "namespace: expected a string, got %s", json_words(own));
    tg_status_t status = qualify(p, name, space, &type->name);
    if (status != TG_OK)
        return status;
    if (primitive_kind(type->name) >= 0)
        return refuse(p, TG_INVALID, "\"" TG_STR_FMT "\" is the name of a primitive type",
                      TG_STR_ARG(type->name));
    if (tg_table_get(p->names, type->name) != NULL)
        return refuse(p, TG_INVALID, "type \"" TG_STR_FMT "\" is defined twice",
                      TG_STR_ARG(type->name));
    if (p->schema->named_count == TG_AVRO_NAMED_MAX)
        return refuse(p, TG_TOO_LARGE, "more than %d named types", TG_AVRO_NAMED_MAX);
    if (tg_table_put(p->names, type->name, type) != TG_OK)
        return no_memory(p);
    p->schema->named[p->schema->named_count++] = type;
    return parse_aliases(p, type->json, true, space_of(type->name), &type->aliases,
                         &type->alias_count);
}

/* --- logical types --- */

static void set_decimal(tg_avro_type_t *type)
{
    const json_t *precision = json_object_get(type->json, "precision");
    const json_t *scale = json_object_get(type->json, "scale");
    json_int_t digits = json_integer_value(precision);
    json_int_t behind = json_integer_value(scale);
    if (!json_is_integer(precision) || (scale != NULL && !json_is_integer(scale)))
        return;
    if (digits < 1 || digits > TG_AVRO_PRECISION_MAX || behind < 0 || behind > digits)
        return;
    /* A fixed of n bytes holds floor(log10(2^(8n-1) - 1)) digits. */
    if (type->kind == TG_AVRO_FIXED && (double)digits > 2.408239965 * type->size - 0.30103)
        return;
    type->logical = TG_AVRO_DECIMAL;
    type->precision = (uint32_t)digits;
    type->scale = (uint32_t)behind;
}

static void set_logical(tg_avro_type_t *type)
{
    assert(type->logical == TG_AVRO_PLAIN);
    static const struct {
        const char *name;
        tg_avro_kind_t kind;
        tg_avro_logical_t logical;
        uint32_t size; /* of the fixed type */
    } rows[] = {
        {"uuid", TG_AVRO_STRING, TG_AVRO_UUID, 0},
        {"uuid", TG_AVRO_FIXED, TG_AVRO_UUID, 16},
        {"duration", TG_AVRO_FIXED, TG_AVRO_DURATION, 12},
        {"date", TG_AVRO_INT, TG_AVRO_DATE, 0},
        {"time-millis", TG_AVRO_INT, TG_AVRO_TIME_MILLIS, 0},
        {"time-micros", TG_AVRO_LONG, TG_AVRO_TIME_MICROS, 0},
        {"timestamp-millis", TG_AVRO_LONG, TG_AVRO_TIMESTAMP_MILLIS, 0},
        {"timestamp-micros", TG_AVRO_LONG, TG_AVRO_TIMESTAMP_MICROS, 0},
        {"timestamp-nanos", TG_AVRO_LONG, TG_AVRO_TIMESTAMP_NANOS, 0},
        {"local-timestamp-millis", TG_AVRO_LONG, TG_AVRO_LOCAL_MILLIS, 0},
        {"local-timestamp-micros", TG_AVRO_LONG, TG_AVRO_LOCAL_MICROS, 0},
        {"local-timestamp-nanos", TG_AVRO_LONG, TG_AVRO_LOCAL_NANOS, 0},
    };
    tg_str_t name = tg_avro_attribute(type->json, "logicalType");
    if (name.len == 0)
        return;
    if (tg_str_eq(name, TG_STR("decimal")) &&
        (type->kind == TG_AVRO_BYTES || type->kind == TG_AVRO_FIXED)) {
        set_decimal(type);
        return;
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (rows[i].kind == type->kind && rows[i].size == type->size &&
            tg_str_eq(name, tg_str_from(rows[i].name)))
            type->logical = rows[i].logical;
    }
}

/* --- kinds --- */

static int compare_field(const void *a, const void *b, void *type)
{
    const tg_avro_field_t *fields = ((const tg_avro_type_t *)type)->fields;
    return tg_str_cmp(fields[*(const uint32_t *)a].name, fields[*(const uint32_t *)b].name);
}

static int compare_symbol(const void *a, const void *b, void *type)
{
    const tg_str_t *symbols = ((const tg_avro_type_t *)type)->symbols;
    return tg_str_cmp(symbols[*(const uint32_t *)a], symbols[*(const uint32_t *)b]);
}

static tg_str_t name_at(const tg_avro_type_t *type, uint32_t index)
{
    return type->kind == TG_AVRO_RECORD ? type->fields[index].name : type->symbols[index];
}

/* Sorts fields or symbols by name; two alike become neighbours and are refused. */
static tg_status_t index_names(struct parse *p, tg_avro_type_t *type)
{
    assert(type->kind == TG_AVRO_RECORD || type->kind == TG_AVRO_ENUM);
    uint32_t *order = tg_arena_array(p->schema->arena, type->count + 1, sizeof(*order));
    if (order == NULL)
        return no_memory(p);
    for (uint32_t i = 0; i < type->count; i++)
        order[i] = i;
    bool record = type->kind == TG_AVRO_RECORD;
    qsort_r(order, type->count, sizeof(*order), record ? compare_field : compare_symbol, type);
    for (uint32_t i = 1; i < type->count; i++) {
        if (tg_str_eq(name_at(type, order[i - 1]), name_at(type, order[i])))
            return refuse(p, TG_INVALID, "%s \"" TG_STR_FMT "\" is there twice",
                          record ? "field" : "symbol", TG_STR_ARG(name_at(type, order[i])));
    }
    type->by_name = order;
    return TG_OK;
}

static tg_status_t parse_field(struct parse *p, const json_t *json, tg_avro_field_t *field)
{
    static const char *const orders[] = {"ascending", "descending", "ignore"};
    if (!json_is_object(json))
        return refuse(p, TG_INVALID, "expected a field, got %s", json_words(json));
    field->json = json;
    field->name = tg_avro_attribute(json, "name");
    field->doc = tg_avro_attribute(json, "doc");
    field->has_default = json_object_get(json, "default") != NULL;
    if (!name_part_ok(field->name) || field->name.len > TG_AVRO_NAME_MAX)
        return refuse(p, TG_INVALID,
                      "bad field name \"" TG_STR_FMT "\"; names are letters, digits and _",
                      TG_STR_ARG(field->name));
    const json_t *order = json_object_get(json, "order");
    bool known = order == NULL;
    for (size_t i = 0; i < TG_ARRAY_LEN(orders); i++)
        known = known || tg_str_eq(text_of(order), tg_str_from(orders[i]));
    if (!known)
        return refuse(p, TG_INVALID, "order: expected ascending, descending or ignore");
    const json_t *type = json_object_get(json, "type");
    if (type == NULL)
        return refuse(p, TG_INVALID, "field \"" TG_STR_FMT "\" has no type",
                      TG_STR_ARG(field->name));
    tg_status_t status =
        parse_aliases(p, json, false, p->space, &field->aliases, &field->alias_count);
    if (status != TG_OK)
        return status;
    size_t before = path_enter(p, "type", -1);
    status = parse_type(p, type, &field->type);
    path_leave(p, before);
    return status;
}

static tg_status_t parse_fields(struct parse *p, tg_avro_type_t *type, const json_t *list)
{
    assert(json_is_array(list));
    size_t count = json_array_size(list);
    tg_avro_field_t *fields = tg_arena_array(p->schema->arena, count + 1, sizeof(*fields));
    if (fields == NULL)
        return no_memory(p);
    for (size_t i = 0; i < count; i++) {
        size_t before = path_enter(p, "fields", (long)i);
        tg_status_t status = parse_field(p, json_array_get(list, i), &fields[i]);
        path_leave(p, before);
        if (status != TG_OK)
            return status;
    }
    type->fields = fields;
    type->count = (uint32_t)count;
    return index_names(p, type);
}

static tg_status_t parse_record(struct parse *p, const json_t *json, const tg_avro_type_t **out)
{
    tg_avro_type_t *type = new_type(p, TG_AVRO_RECORD, json);
    if (type == NULL)
        return no_memory(p);
    tg_status_t status = define(p, type);
    if (status != TG_OK)
        return status;
    const json_t *list = json_object_get(json, "fields");
    if (!json_is_array(list))
        return refuse(p, TG_INVALID, "fields: expected an array, got %s", json_words(list));
    if (json_array_size(list) > TG_AVRO_FIELDS_MAX - p->fields)
        return refuse(p, TG_TOO_LARGE, "more than %d fields", TG_AVRO_FIELDS_MAX);
    p->fields += json_array_size(list);
    tg_str_t outer = p->space;
    p->space = space_of(type->name);
    status = parse_fields(p, type, list);
    p->space = outer;
    if (status == TG_OK)
        *out = type;
    return status;
}

static tg_status_t parse_symbols(struct parse *p, tg_avro_type_t *type, const json_t *list)
{
    assert(json_is_array(list));
    size_t count = json_array_size(list);
    if (count > TG_AVRO_SYMBOLS_MAX - p->symbols)
        return refuse(p, TG_TOO_LARGE, "more than %d symbols", TG_AVRO_SYMBOLS_MAX);
    p->symbols += count;
    tg_str_t *symbols = tg_arena_array(p->schema->arena, count + 1, sizeof(*symbols));
    if (symbols == NULL)
        return no_memory(p);
    for (size_t i = 0; i < count; i++) {
        symbols[i] = text_of(json_array_get(list, i));
        if (!name_part_ok(symbols[i]) || symbols[i].len > TG_AVRO_NAME_MAX)
            return refuse(p, TG_INVALID,
                          "symbol %zu: expected a name of letters, digits and _, got \"" TG_STR_FMT
                          "\"",
                          i, TG_STR_ARG(symbols[i]));
    }
    type->symbols = symbols;
    type->count = (uint32_t)count;
    return index_names(p, type);
}

static tg_status_t parse_enum(struct parse *p, const json_t *json, const tg_avro_type_t **out)
{
    tg_avro_type_t *type = new_type(p, TG_AVRO_ENUM, json);
    if (type == NULL)
        return no_memory(p);
    tg_status_t status = define(p, type);
    if (status != TG_OK)
        return status;
    const json_t *list = json_object_get(json, "symbols");
    if (!json_is_array(list))
        return refuse(p, TG_INVALID, "symbols: expected an array, got %s", json_words(list));
    status = parse_symbols(p, type, list);
    if (status != TG_OK)
        return status;
    const json_t *fallback = json_object_get(json, "default");
    if (fallback != NULL) {
        type->default_symbol = tg_avro_type_find(type, text_of(fallback));
        if (!json_is_string(fallback) || type->default_symbol < 0)
            return refuse(p, TG_INVALID, "default: expected one of the symbols");
    }
    *out = type;
    return TG_OK;
}

static tg_status_t parse_fixed(struct parse *p, const json_t *json, const tg_avro_type_t **out)
{
    tg_avro_type_t *type = new_type(p, TG_AVRO_FIXED, json);
    if (type == NULL)
        return no_memory(p);
    tg_status_t status = define(p, type);
    if (status != TG_OK)
        return status;
    const json_t *size = json_object_get(json, "size");
    json_int_t bytes = json_integer_value(size);
    if (!json_is_integer(size) || bytes < 0 || bytes > TG_AVRO_FIXED_MAX)
        return refuse(p, TG_INVALID, "size: expected an integer from 0 to %lld",
                      (long long)TG_AVRO_FIXED_MAX);
    type->size = (uint32_t)bytes;
    type->may_be_empty = bytes == 0;
    set_logical(type);
    *out = type;
    return TG_OK;
}

static tg_status_t parse_container(struct parse *p, const json_t *json, tg_avro_kind_t kind,
                                   const char *member, const tg_avro_type_t **out)
{
    tg_avro_type_t *type = new_type(p, kind, json);
    if (type == NULL)
        return no_memory(p);
    const json_t *items = json_object_get(json, member);
    if (items == NULL)
        return refuse(p, TG_INVALID, "%s without \"%s\"", kind_names[kind], member);
    size_t before = path_enter(p, member, -1);
    tg_status_t status = parse_type(p, items, &type->items);
    path_leave(p, before);
    if (status == TG_OK)
        *out = type;
    return status;
}

static tg_status_t parse_array(struct parse *p, const json_t *json, const tg_avro_type_t **out)
{
    return parse_container(p, json, TG_AVRO_ARRAY, "items", out);
}

static tg_status_t parse_map(struct parse *p, const json_t *json, const tg_avro_type_t **out)
{
    return parse_container(p, json, TG_AVRO_MAP, "values", out);
}

/* A union may hold one type of each unnamed kind, and named types of different names. */
static bool same_branch(const tg_avro_type_t *a, const tg_avro_type_t *b)
{
    return a->kind == b->kind && tg_str_eq(a->name, b->name);
}

static tg_status_t check_branch(struct parse *p, const tg_avro_type_t *type, uint32_t index)
{
    assert(type->kind == TG_AVRO_UNION);
    const tg_avro_type_t *branch = type->branches[index];
    if (branch->kind == TG_AVRO_UNION)
        return refuse(p, TG_INVALID, "a union directly inside a union");
    for (uint32_t i = 0; i < index; i++) {
        if (same_branch(branch, type->branches[i]))
            return refuse(p, TG_INVALID, "the union has two branches of type %s " TG_STR_FMT,
                          kind_names[branch->kind], TG_STR_ARG(branch->name));
    }
    return TG_OK;
}

static tg_status_t parse_union(struct parse *p, const json_t *json, const tg_avro_type_t **out)
{
    size_t count = json_array_size(json);
    if (count > TG_AVRO_BRANCHES_MAX)
        return refuse(p, TG_TOO_LARGE, "more than %d branches in a union", TG_AVRO_BRANCHES_MAX);
    tg_avro_type_t *type = new_type(p, TG_AVRO_UNION, NULL);
    if (type == NULL)
        return no_memory(p);
    type->branches = tg_arena_array(p->schema->arena, count + 1, sizeof(tg_avro_type_t *));
    if (type->branches == NULL)
        return no_memory(p);
    for (uint32_t i = 0; i < count; i++) {
        char index[16];
        snprintf(index, sizeof(index), "%u", (unsigned)i);
        size_t before = path_enter(p, index, -1);
        tg_status_t status = parse_type(p, json_array_get(json, i), &type->branches[i]);
        if (status == TG_OK)
            status = check_branch(p, type, i);
        path_leave(p, before);
        if (status != TG_OK)
            return status;
    }
    type->count = (uint32_t)count;
    for (int32_t i = 0; count == 2 && i < 2; i++) {
        if (type->branches[i]->kind == TG_AVRO_NULL)
            type->nullable_branch = 1 - i;
    }
    *out = type;
    return TG_OK;
}

static tg_status_t parse_primitive(struct parse *p, const json_t *json, tg_avro_kind_t kind,
                                   const tg_avro_type_t **out)
{
    tg_avro_type_t *type = new_type(p, kind, json);
    if (type == NULL)
        return no_memory(p);
    type->may_be_empty = kind == TG_AVRO_NULL;
    set_logical(type);
    *out = type;
    return TG_OK;
}

static tg_status_t parse_object(struct parse *p, const json_t *json, const tg_avro_type_t **out)
{
    static const struct {
        const char *name;
        parse_fn parse;
    } rows[] = {
        {"record", parse_record}, {"error", parse_record}, {"enum", parse_enum},
        {"fixed", parse_fixed},   {"array", parse_array},  {"map", parse_map},
    };
    const json_t *type = json_object_get(json, "type");
    if (json_is_object(type) || json_is_array(type)) {
        size_t before = path_enter(p, "type", -1);
        tg_status_t status = parse_type(p, type, out);
        path_leave(p, before);
        return status;
    }
    if (!json_is_string(type))
        return refuse(p, TG_INVALID, "type: expected a type, got %s", json_words(type));
    tg_str_t name = text_of(type);
    int primitive = primitive_kind(name);
    if (primitive >= 0)
        return parse_primitive(p, json, (tg_avro_kind_t)primitive, out);
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (tg_str_eq(name, tg_str_from(rows[i].name)))
            return rows[i].parse(p, json, out);
    }
    return parse_reference(p, name, out);
}

static tg_status_t parse_type(struct parse *p, const json_t *json, const tg_avro_type_t **out)
{
    assert(p->depth <= TG_AVRO_SCHEMA_DEPTH_MAX);
    tg_status_t status;
    if (p->depth == TG_AVRO_SCHEMA_DEPTH_MAX)
        return refuse(p, TG_TOO_LARGE, "nested deeper than %d levels", TG_AVRO_SCHEMA_DEPTH_MAX);
    p->depth++;
    if (json_is_string(json))
        status = parse_reference(p, text_of(json), out);
    else if (json_is_array(json))
        status = parse_union(p, json, out);
    else if (json_is_object(json))
        status = parse_object(p, json, out);
    else
        status = refuse(p, TG_INVALID, "expected a type, got %s", json_words(json));
    p->depth--;
    return status;
}

/* --- the whole --- */

int tg_avro_type_find(const tg_avro_type_t *type, tg_str_t name)
{
    assert(type->kind == TG_AVRO_RECORD || type->kind == TG_AVRO_ENUM);
    uint32_t low = 0, high = type->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = tg_str_cmp(name_at(type, type->by_name[middle]), name);
        if (order == 0)
            return (int)type->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static tg_status_t parse_root(tg_avro_schema_t *schema, tg_error_t *error)
{
    struct parse p = {.schema = schema, .error = error};
    p.names = tg_table_create(TG_AVRO_NAMED_MAX, NULL);
    schema->arena = tg_arena_create(ARENA_MAX);
    if (p.names == NULL || schema->arena == NULL) {
        tg_table_destroy(p.names);
        return tg_error_set(error, TG_NOMEM, "out of memory for a schema");
    }
    tg_status_t status = TG_NOMEM;
    schema->named = tg_arena_array(schema->arena, TG_AVRO_NAMED_MAX, sizeof(tg_avro_type_t *));
    if (schema->named != NULL)
        status = parse_type(&p, schema->json, &schema->root);
    tg_table_destroy(p.names);
    if (status == TG_OK)
        status = tg_avro_check_finite(schema, error);
    if (status == TG_OK)
        status = tg_avro_encode_defaults(schema, error);
    return status;
}

tg_status_t tg_avro_schema_parse(tg_str_t text, tg_avro_schema_t **out_schema, tg_error_t *error)
{
    assert(out_schema != NULL);
    json_error_t why;
    if (text.len > TG_AVRO_SCHEMA_BYTES_MAX)
        return tg_error_set(error, TG_TOO_LARGE, "schema of %zu bytes; the limit is %zu", text.len,
                            TG_AVRO_SCHEMA_BYTES_MAX);
    tg_avro_schema_t *schema = calloc(1, sizeof(*schema));
    if (schema == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory for a schema");
    schema->json = json_loadb(text.len == 0 ? "" : text.ptr, text.len,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    tg_status_t status = TG_INVALID;
    if (schema->json == NULL)
        status = tg_error_set(error, TG_INVALID, "schema is not JSON: %s (line %d, column %d)",
                              why.text, why.line, why.column);
    else
        status = parse_root(schema, error);
    if (status != TG_OK) {
        tg_avro_schema_destroy(schema);
        return status;
    }
    *out_schema = schema;
    return TG_OK;
}

void tg_avro_schema_destroy(tg_avro_schema_t *schema)
{
    if (schema == NULL)
        return;
    tg_arena_destroy(schema->arena);
    json_decref(schema->json);
    free(schema);
}

const tg_avro_type_t *tg_avro_schema_root(const tg_avro_schema_t *schema)
{
    assert(schema != NULL);
    return schema->root;
}
