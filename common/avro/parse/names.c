/* Names: their form, their namespaces, and what they mean.
 *
 * A name is known from the moment its definition begins, since a record may refer to itself. One
 * that is not known in its own namespace is looked up without namespace as well: that is not in the
 * specification, but what Java does, and schemas lean on it. A definition may not repeat a name,
 * not even of an equal type, and must come before its use. */
#include "common/avro/parse/parse.h"

bool tg_avro_name_ok(tg_str_t name)
{
    if (name.len == 0)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i], lower = (char)(c | 0x20);
        bool letter = (lower >= 'a' && lower <= 'z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return name.len <= TG_AVRO_NAME_MAX;
}

bool tg_avro_full_name_ok(tg_str_t name)
{
    size_t start = 0;
    for (size_t i = 0; i <= name.len; i++) {
        if (i < name.len && name.ptr[i] != '.')
            continue;
        if (!tg_avro_name_ok((tg_str_t){name.ptr + start, i - start}))
            return false;
        start = i + 1;
    }
    return name.len <= TG_AVRO_NAME_MAX;
}

static bool has_dot(tg_str_t name)
{
    return name.len > 0 && memchr(name.ptr, '.', name.len) != NULL;
}

/* "space.name" in the arena; ptr is NULL without memory. */
static tg_str_t join(struct tg_avro_parse *p, tg_str_t space, tg_str_t name)
{
    assert(space.len > 0);
    assert(name.len > 0);
    size_t len = space.len + 1 + name.len;
    char *full = tg_arena_alloc(p->schema->arena, len + 1);
    if (full == NULL)
        return (tg_str_t){NULL, 0};
    memcpy(full, space.ptr, space.len);
    full[space.len] = '.';
    memcpy(full + space.len + 1, name.ptr, name.len);
    return (tg_str_t){full, len};
}

tg_status_t tg_avro_qualify(struct tg_avro_parse *p, tg_str_t name, tg_str_t space, tg_str_t *out)
{
    if (name.len == 0)
        return tg_avro_refuse(p, TG_INVALID, "a name is empty");
    if (has_dot(name) || space.len == 0)
        *out = name.ptr[0] == '.' ? (tg_str_t){name.ptr + 1, name.len - 1} : name;
    else
        *out = join(p, space, name);
    if (out->ptr == NULL)
        return tg_avro_refuse_memory(p);
    if (!tg_avro_full_name_ok(*out))
        return tg_avro_refuse(
            p, TG_INVALID, "bad name \"%.128s\"; names are letters, digits and _, joined by dots",
            out->ptr);
    return TG_OK;
}

tg_status_t tg_avro_count_names(struct tg_avro_parse *p, size_t count)
{
    assert(p->names <= TG_AVRO_NAMES_MAX);
    if (count > TG_AVRO_NAMES_MAX - p->names)
        return tg_avro_refuse(p, TG_TOO_LARGE,
                              "more than %d names (types, fields, symbols and aliases)",
                              TG_AVRO_NAMES_MAX);
    p->names += count;
    return TG_OK;
}

int tg_avro_primitive(tg_str_t name)
{
    for (int kind = TG_AVRO_NULL; kind <= TG_AVRO_STRING; kind++) {
        if (tg_str_eq(name, tg_str_from(tg_avro_kind_name((tg_avro_kind_t)kind))))
            return kind;
    }
    return -1;
}

/* --- definitions --- */

static bool has_alias(const tg_str_t *aliases, uint32_t count, tg_str_t alias)
{
    for (uint32_t i = 0; i < count; i++) {
        if (tg_str_eq(aliases[i], alias))
            return true;
    }
    return false;
}

static tg_status_t parse_alias(struct tg_avro_parse *p, const json_t *json, bool qualified,
                               tg_str_t space, tg_str_t *out)
{
    if (!json_is_string(json))
        return tg_avro_refuse(p, TG_INVALID, "aliases: expected a name, got %s",
                              tg_avro_json_words(json));
    *out = (tg_str_t){json_string_value(json), json_string_length(json)};
    if (qualified)
        return tg_avro_qualify(p, *out, space, out);
    if (!tg_avro_name_ok(*out))
        return tg_avro_refuse(p, TG_INVALID,
                              "aliases: bad name \"%.128s\"; names are letters, digits and _",
                              out->ptr);
    return TG_OK;
}

tg_status_t tg_avro_parse_aliases(struct tg_avro_parse *p, const struct json_t *json,
                                  bool qualified, tg_str_t space, const tg_str_t **out,
                                  uint32_t *out_count)
{
    assert(json_is_object(json));
    const json_t *list = json_object_get(json, "aliases");
    if (list == NULL)
        return TG_OK;
    if (!json_is_array(list))
        return tg_avro_refuse(p, TG_INVALID, "aliases: expected an array of names, got %s",
                              tg_avro_json_words(list));
    size_t size = json_array_size(list);
    if (size > TG_AVRO_ALIASES_MAX)
        return tg_avro_refuse(p, TG_TOO_LARGE, "more than %d aliases", TG_AVRO_ALIASES_MAX);
    tg_status_t status = tg_avro_count_names(p, size);
    if (status != TG_OK)
        return status;
    tg_str_t *aliases = tg_arena_array(p->schema->arena, size + 1, sizeof(*aliases));
    if (aliases == NULL)
        return tg_avro_refuse_memory(p);
    uint32_t count = 0;
    for (size_t i = 0; i < size && status == TG_OK; i++) {
        status = parse_alias(p, json_array_get(list, i), qualified, space, &aliases[count]);
        count += status == TG_OK && !has_alias(aliases, count, aliases[count]);
    }
    *out = aliases;
    *out_count = count;
    return status;
}

/* Appends to schema->named, which doubles in the arena. */
static tg_status_t remember(struct tg_avro_parse *p, tg_avro_type_t *type)
{
    assert(p->schema->named_count <= p->named_room);
    tg_avro_schema_t *schema = p->schema;
    if (schema->named_count == p->named_room) {
        size_t room = p->named_room == 0 ? 8 : 2 * p->named_room;
        tg_avro_type_t **named = tg_arena_array(schema->arena, room, sizeof(tg_avro_type_t *));
        if (named == NULL)
            return tg_avro_refuse_memory(p);
        if (schema->named_count > 0)
            memcpy(named, schema->named, schema->named_count * sizeof(tg_avro_type_t *));
        schema->named = named;
        p->named_room = room;
    }
    type->id = (uint32_t)schema->named_count;
    schema->named[schema->named_count++] = type;
    return TG_OK;
}

static tg_status_t make_known(struct tg_avro_parse *p, tg_avro_type_t *type)
{
    assert(type->name.len > 0);
    if (tg_avro_primitive(type->name) >= 0)
        return tg_avro_refuse(p, TG_INVALID, "\"%.128s\" is the name of a primitive type",
                              type->name.ptr);
    if (tg_table_get(p->known, type->name) != NULL)
        return tg_avro_refuse(p, TG_INVALID, "type \"%.128s\" is defined twice", type->name.ptr);
    tg_status_t status = tg_avro_count_names(p, 1);
    if (status != TG_OK)
        return status;
    if (tg_table_put(p->known, type->name, type) != TG_OK)
        return tg_avro_refuse_memory(p);
    return remember(p, type);
}

tg_status_t tg_avro_define(struct tg_avro_parse *p, tg_avro_type_t *type)
{
    assert(type->json != NULL);
    tg_str_t name = tg_avro_attribute(type->json, "name");
    tg_str_t space = p->space;
    const json_t *own = json_object_get(type->json, "namespace");
    if (name.len == 0)
        return tg_avro_refuse(p, TG_INVALID, "%s without a name", tg_avro_kind_name(type->kind));
    if (json_is_string(own))
        space = tg_avro_attribute(type->json, "namespace");
    else if (own != NULL && !json_is_null(own))
        return tg_avro_refuse(p, TG_INVALID, "namespace: expected a string, got %s",
                              tg_avro_json_words(own));
    tg_status_t status = tg_avro_qualify(p, name, space, &type->name);
    if (status == TG_OK)
        status = make_known(p, type);
    if (status != TG_OK)
        return status;
    return tg_avro_parse_aliases(p, type->json, true, tg_avro_space(type->name), &type->aliases,
                                 &type->alias_count);
}

/* --- uses --- */

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

tg_status_t tg_avro_refer(struct tg_avro_parse *p, tg_str_t name, const tg_avro_type_t **out)
{
    int primitive = tg_avro_primitive(name);
    if (primitive >= 0) {
        *out = &primitives[primitive];
        return TG_OK;
    }
    const tg_avro_type_t *found = NULL;
    if (!has_dot(name) && p->space.len > 0 && tg_avro_name_ok(name)) {
        tg_str_t full = join(p, p->space, name);
        if (full.ptr == NULL)
            return tg_avro_refuse_memory(p);
        found = tg_table_get(p->known, full);
    }
    if (found == NULL && name.len > 0)
        found = tg_table_get(p->known, name);
    if (found == NULL)
        return tg_avro_refuse(p, TG_INVALID,
                              "unknown type \"%.128s\"; define it before it is used, or give its "
                              "schema as a reference",
                              name.len == 0 ? "" : name.ptr);
    *out = found;
    return TG_OK;
}
