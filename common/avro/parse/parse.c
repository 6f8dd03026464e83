/* Recursive descent over jansson's tree, one function per kind of type. Depth is bounded before
 * anything recurses. Types are made known before their content is read (names.c). */
#include "common/avro/parse/parse.h"

#include <stdio.h>
#include <stdlib.h>

typedef tg_status_t (*parse_fn)(struct tg_avro_parse *p, const json_t *json,
                                const tg_avro_type_t **out);

static tg_str_t text_of(const json_t *json)
{
    if (!json_is_string(json))
        return (tg_str_t){NULL, 0};
    return (tg_str_t){json_string_value(json), json_string_length(json)};
}

static tg_avro_type_t *new_type(struct tg_avro_parse *p, tg_avro_kind_t kind, const json_t *json)
{
    assert(kind < TG_AVRO_KINDS);
    tg_avro_type_t *type = tg_arena_alloc(p->schema->arena, sizeof(*type));
    if (type == NULL)
        return NULL;
    type->kind = kind;
    type->json = json;
    type->doc = tg_avro_attribute(json, "doc");
    type->default_symbol = type->nullable_branch = -1;
    return type;
}

static tg_status_t new_named(struct tg_avro_parse *p, tg_avro_kind_t kind, const json_t *json,
                             tg_avro_type_t **out)
{
    *out = new_type(p, kind, json);
    return *out == NULL ? tg_avro_refuse_memory(p) : tg_avro_define(p, *out);
}

/* --- records and enums: members with names --- */

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

/* Sorts fields or symbols by name; two alike become neighbours and are refused. */
static tg_status_t index_names(struct tg_avro_parse *p, tg_avro_type_t *type)
{
    assert(type->kind == TG_AVRO_RECORD || type->kind == TG_AVRO_ENUM);
    uint32_t *order = tg_arena_array(p->schema->arena, type->count + 1, sizeof(*order));
    if (order == NULL)
        return tg_avro_refuse_memory(p);
    for (uint32_t i = 0; i < type->count; i++)
        order[i] = i;
    bool record = type->kind == TG_AVRO_RECORD;
    qsort_r(order, type->count, sizeof(*order), record ? compare_field : compare_symbol, type);
    for (uint32_t i = 1; i < type->count; i++) {
        tg_str_t name = tg_avro_member_name(type, order[i]);
        if (tg_str_eq(tg_avro_member_name(type, order[i - 1]), name))
            return tg_avro_refuse(p, TG_INVALID, "%s \"%.128s\" is there twice",
                                  record ? "field" : "symbol", name.ptr);
    }
    type->by_name = order;
    return TG_OK;
}

static tg_status_t check_order(struct tg_avro_parse *p, const json_t *json)
{
    static const char *const orders[] = {"ascending", "descending", "ignore"};
    const json_t *order = json_object_get(json, "order");
    if (order == NULL)
        return TG_OK;
    for (size_t i = 0; i < TG_ARRAY_LEN(orders); i++) {
        if (tg_str_eq(text_of(order), tg_str_from(orders[i])))
            return TG_OK;
    }
    return tg_avro_refuse(p, TG_INVALID, "order: expected ascending, descending or ignore");
}

static tg_status_t parse_field(struct tg_avro_parse *p, const json_t *json, tg_avro_field_t *field)
{
    if (!json_is_object(json))
        return tg_avro_refuse(p, TG_INVALID, "expected a field, got %s", tg_avro_json_words(json));
    field->json = json;
    field->name = tg_avro_attribute(json, "name");
    field->doc = tg_avro_attribute(json, "doc");
    field->has_default = json_object_get(json, "default") != NULL;
    if (!tg_avro_name_ok(field->name))
        return tg_avro_refuse(p, TG_INVALID,
                              "bad field name \"%.128s\"; names are letters, digits and _",
                              field->name.len == 0 ? "" : field->name.ptr);
    const json_t *type = json_object_get(json, "type");
    if (type == NULL)
        return tg_avro_refuse(p, TG_INVALID, "field \"%.128s\" has no type", field->name.ptr);
    tg_status_t status = check_order(p, json);
    if (status == TG_OK)
        status =
            tg_avro_parse_aliases(p, json, false, p->space, &field->aliases, &field->alias_count);
    if (status != TG_OK)
        return status;
    size_t before = tg_avro_enter(p, "type", -1);
    status = tg_avro_parse_type(p, type, &field->type);
    tg_avro_leave(p, before);
    return status;
}

static tg_status_t parse_fields(struct tg_avro_parse *p, tg_avro_type_t *type, const json_t *list)
{
    assert(json_is_array(list));
    size_t count = json_array_size(list);
    tg_status_t status = tg_avro_count_names(p, count);
    if (status != TG_OK)
        return status;
    tg_avro_field_t *fields = tg_arena_array(p->schema->arena, count + 1, sizeof(*fields));
    if (fields == NULL)
        return tg_avro_refuse_memory(p);
    for (size_t i = 0; i < count; i++) {
        size_t before = tg_avro_enter(p, "fields", (long)i);
        status = parse_field(p, json_array_get(list, i), &fields[i]);
        tg_avro_leave(p, before);
        if (status != TG_OK)
            return status;
    }
    type->fields = fields;
    type->count = (uint32_t)count;
    return index_names(p, type);
}

static tg_status_t parse_record(struct tg_avro_parse *p, const json_t *json,
                                const tg_avro_type_t **out)
{
    tg_avro_type_t *type;
    tg_status_t status = new_named(p, TG_AVRO_RECORD, json, &type);
    if (status != TG_OK)
        return status;
    const json_t *list = json_object_get(json, "fields");
    if (!json_is_array(list))
        return tg_avro_refuse(p, TG_INVALID, "fields: expected an array, got %s",
                              tg_avro_json_words(list));
    tg_str_t outer = p->space;
    p->space = tg_avro_space(type->name);
    status = parse_fields(p, type, list);
    p->space = outer;
    if (status == TG_OK)
        *out = type;
    return status;
}

static tg_status_t parse_symbols(struct tg_avro_parse *p, tg_avro_type_t *type, const json_t *list)
{
    assert(json_is_array(list));
    size_t count = json_array_size(list);
    tg_status_t status = tg_avro_count_names(p, count);
    if (status != TG_OK)
        return status;
    tg_str_t *symbols = tg_arena_array(p->schema->arena, count + 1, sizeof(*symbols));
    if (symbols == NULL)
        return tg_avro_refuse_memory(p);
    for (size_t i = 0; i < count; i++) {
        const json_t *symbol = json_array_get(list, i);
        symbols[i] = text_of(symbol);
        if (!json_is_string(symbol))
            return tg_avro_refuse(p, TG_INVALID, "symbol %zu: expected a name, got %s", i,
                                  tg_avro_json_words(symbol));
        if (!tg_avro_name_ok(symbols[i]))
            return tg_avro_refuse(p, TG_INVALID,
                                  "symbol %zu: expected a name of letters, digits and _, got "
                                  "\"%.128s\"",
                                  i, symbols[i].ptr);
    }
    type->symbols = symbols;
    type->count = (uint32_t)count;
    return index_names(p, type);
}

static tg_status_t parse_enum(struct tg_avro_parse *p, const json_t *json,
                              const tg_avro_type_t **out)
{
    tg_avro_type_t *type;
    tg_status_t status = new_named(p, TG_AVRO_ENUM, json, &type);
    if (status != TG_OK)
        return status;
    const json_t *list = json_object_get(json, "symbols");
    if (!json_is_array(list))
        return tg_avro_refuse(p, TG_INVALID, "symbols: expected an array, got %s",
                              tg_avro_json_words(list));
    status = parse_symbols(p, type, list);
    if (status != TG_OK)
        return status;
    const json_t *fallback = json_object_get(json, "default");
    if (fallback != NULL) {
        type->default_symbol = tg_avro_type_find(type, text_of(fallback));
        if (!json_is_string(fallback) || type->default_symbol < 0)
            return tg_avro_refuse(p, TG_INVALID, "default: expected one of the symbols");
    }
    *out = type;
    return TG_OK;
}

static tg_status_t parse_fixed(struct tg_avro_parse *p, const json_t *json,
                               const tg_avro_type_t **out)
{
    tg_avro_type_t *type;
    tg_status_t status = new_named(p, TG_AVRO_FIXED, json, &type);
    if (status != TG_OK)
        return status;
    const json_t *size = json_object_get(json, "size");
    json_int_t bytes = json_integer_value(size);
    if (!json_is_integer(size) || bytes < 1 || bytes > TG_AVRO_FIXED_MAX)
        return tg_avro_refuse(p, TG_INVALID, "size: expected an integer from 1 to %lld",
                              (long long)TG_AVRO_FIXED_MAX);
    type->size = (uint32_t)bytes;
    tg_avro_annotate(type);
    *out = type;
    return TG_OK;
}

/* --- arrays, maps and unions --- */

static tg_status_t parse_container(struct tg_avro_parse *p, const json_t *json, tg_avro_kind_t kind,
                                   const char *member, const tg_avro_type_t **out)
{
    assert(kind == TG_AVRO_ARRAY || kind == TG_AVRO_MAP);
    tg_avro_type_t *type = new_type(p, kind, json);
    if (type == NULL)
        return tg_avro_refuse_memory(p);
    const json_t *items = json_object_get(json, member);
    if (items == NULL)
        return tg_avro_refuse(p, TG_INVALID, "%s without \"%s\"", tg_avro_kind_name(kind), member);
    size_t before = tg_avro_enter(p, member, -1);
    tg_status_t status = tg_avro_parse_type(p, items, &type->items);
    tg_avro_leave(p, before);
    if (status == TG_OK)
        *out = type;
    return status;
}

static tg_status_t parse_array(struct tg_avro_parse *p, const json_t *json,
                               const tg_avro_type_t **out)
{
    return parse_container(p, json, TG_AVRO_ARRAY, "items", out);
}

static tg_status_t parse_map(struct tg_avro_parse *p, const json_t *json,
                             const tg_avro_type_t **out)
{
    return parse_container(p, json, TG_AVRO_MAP, "values", out);
}

/* A union may hold one type of each unnamed kind, and named types of different names. */
static bool same_branch(const tg_avro_type_t *a, const tg_avro_type_t *b)
{
    bool named = a->name.len > 0 || b->name.len > 0;
    return named ? tg_str_eq(a->name, b->name) : a->kind == b->kind;
}

static tg_status_t check_branch(struct tg_avro_parse *p, const tg_avro_type_t *type, uint32_t index)
{
    assert(type->kind == TG_AVRO_UNION);
    const tg_avro_type_t *branch = type->branches[index];
    if (branch->kind == TG_AVRO_UNION)
        return tg_avro_refuse(p, TG_INVALID, "a union directly inside a union");
    for (uint32_t i = 0; i < index; i++) {
        if (same_branch(branch, type->branches[i]))
            return tg_avro_refuse(p, TG_INVALID, "the union has two branches of type %s %.128s",
                                  tg_avro_kind_name(branch->kind),
                                  branch->name.len == 0 ? "" : branch->name.ptr);
    }
    return TG_OK;
}

static tg_status_t parse_branch(struct tg_avro_parse *p, const json_t *json, tg_avro_type_t *type,
                                uint32_t index)
{
    char step[16];
    snprintf(step, sizeof(step), "%u", (unsigned)index);
    size_t before = tg_avro_enter(p, step, -1);
    tg_status_t status = tg_avro_parse_type(p, json, &type->branches[index]);
    if (status == TG_OK)
        status = check_branch(p, type, index);
    tg_avro_leave(p, before);
    return status;
}

static tg_status_t parse_union(struct tg_avro_parse *p, const json_t *json,
                               const tg_avro_type_t **out)
{
    assert(json_is_array(json));
    size_t count = json_array_size(json);
    if (count > TG_AVRO_BRANCHES_MAX)
        return tg_avro_refuse(p, TG_TOO_LARGE, "more than %d branches in a union",
                              TG_AVRO_BRANCHES_MAX);
    tg_avro_type_t *type = new_type(p, TG_AVRO_UNION, NULL);
    if (type == NULL)
        return tg_avro_refuse_memory(p);
    type->branches = tg_arena_array(p->schema->arena, count + 1, sizeof(tg_avro_type_t *));
    if (type->branches == NULL)
        return tg_avro_refuse_memory(p);
    for (uint32_t i = 0; i < count; i++) {
        tg_status_t status = parse_branch(p, json_array_get(json, i), type, i);
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

/* --- any type --- */

static tg_status_t parse_primitive(struct tg_avro_parse *p, const json_t *json, tg_avro_kind_t kind,
                                   const tg_avro_type_t **out)
{
    tg_avro_type_t *type = new_type(p, kind, json);
    if (type == NULL)
        return tg_avro_refuse_memory(p);
    type->may_be_empty = kind == TG_AVRO_NULL;
    tg_avro_annotate(type);
    *out = type;
    return TG_OK;
}

static tg_status_t parse_object(struct tg_avro_parse *p, const json_t *json,
                                const tg_avro_type_t **out)
{
    assert(json_is_object(json));
    static const struct {
        const char *name;
        parse_fn parse;
    } rows[] = {
        {"record", parse_record}, {"error", parse_record}, {"enum", parse_enum},
        {"fixed", parse_fixed},   {"array", parse_array},  {"map", parse_map},
    };
    const json_t *type = json_object_get(json, "type");
    if (json_is_object(type) || json_is_array(type))
        return tg_avro_refuse(p, TG_INVALID,
                              "type: expected the name of a type, got %s; a type that is written "
                              "out stands by itself, without another object around it",
                              tg_avro_json_words(type));
    if (!json_is_string(type))
        return tg_avro_refuse(p, TG_INVALID, "type: expected a type, got %s",
                              tg_avro_json_words(type));
    tg_str_t name = text_of(type);
    int primitive = tg_avro_primitive(name);
    if (primitive >= 0)
        return parse_primitive(p, json, (tg_avro_kind_t)primitive, out);
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (tg_str_eq(name, tg_str_from(rows[i].name)))
            return rows[i].parse(p, json, out);
    }
    return tg_avro_refer(p, name, out);
}

tg_status_t tg_avro_parse_type(struct tg_avro_parse *p, const struct json_t *json,
                               const tg_avro_type_t **out)
{
    assert(p->depth <= TG_AVRO_SCHEMA_DEPTH_MAX);
    tg_status_t status;
    if (p->depth == TG_AVRO_SCHEMA_DEPTH_MAX)
        return tg_avro_refuse(p, TG_TOO_LARGE, "nested deeper than %d levels",
                              TG_AVRO_SCHEMA_DEPTH_MAX);
    p->depth++;
    if (json_is_string(json))
        status = tg_avro_refer(p, text_of(json), out);
    else if (json_is_array(json))
        status = parse_union(p, json, out);
    else if (json_is_object(json))
        status = parse_object(p, json, out);
    else
        status = tg_avro_refuse(p, TG_INVALID, "expected a type, got %s", tg_avro_json_words(json));
    p->depth--;
    return status;
}
