/* The tree is written in the order of Java's Schema.toString(): per kind its own members, then
 * custom attributes, then aliases. A named type is written out where it is first met and by name
 * after that; one that belongs to a reference by name, unless references are resolved: then names
 * tell what is written, as ids are each schema's own.
 *
 * Types nest at most TG_AVRO_SCHEMA_DEPTH_MAX deep, references TG_AVRO_REF_DEPTH_MAX and attributes
 * TG_AVRO_TEXT_DEPTH_MAX, which bounds the recursion. */
#include "common/avro/print.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "common/avro/internal.h"
#include "common/avro/json_text.h"
#include "common/base/table.h"

struct printer {
    tg_buf_t *out;
    const tg_avro_schema_t *schema;
    bool *written;       /* by the id of a named type */
    tg_table_t *foreign; /* names of references' types that are written; NULL: none ever is */
    bool normalized;
    bool no_memory; /* for what is allocated on the way */
};

/* Members that are no custom attributes. */
static const char *const type_members[] = {"type",    "name",   "namespace", "doc",
                                           "aliases", "size",   "symbols",   "fields",
                                           "items",   "values", NULL};
static const char *const enum_members[] = {"type",    "name",   "namespace", "doc",
                                           "aliases", "size",   "symbols",   "fields",
                                           "items",   "values", "default",   NULL};
static const char *const field_members[] = {"name",  "type",    "doc", "default",
                                            "order", "aliases", NULL};

static void print_type(struct printer *w, const tg_avro_type_t *type, tg_str_t space);

/* --- pieces --- */

static void put(struct printer *w, const char *text)
{
    tg_buf_str(w->out, tg_str_from(text));
}

static void put_string(struct printer *w, tg_str_t text)
{
    tg_avro_json_text_string(w->out, text);
}

static void put_value(struct printer *w, const json_t *json)
{
    if (tg_avro_json_text_value(w->out, json, w->normalized) != TG_OK)
        w->no_memory = true;
}

/* ,"doc":… if there is one (`even_empty`: an empty one counts). */
static void put_doc(struct printer *w, tg_str_t doc, bool even_empty)
{
    if (doc.ptr == NULL || (doc.len == 0 && !even_empty))
        return;
    put(w, ",\"doc\":");
    put_string(w, doc);
}

static int compare_texts(const void *a, const void *b)
{
    return tg_str_cmp(*(const tg_str_t *)a, *(const tg_str_t *)b);
}

/* --- names --- */

static bool is_kind_name(tg_str_t name)
{
    for (int kind = 0; kind < TG_AVRO_KINDS; kind++) {
        if (tg_str_eq(name, tg_str_from(tg_avro_kind_name((tg_avro_kind_t)kind))))
            return true;
    }
    return false;
}

/* As short as `space` allows: without its namespace where that is the same, unless the rest would
 * read as a type. */
static tg_str_t short_in(tg_str_t full, tg_str_t space)
{
    tg_str_t own = tg_avro_space(full), name = tg_avro_short_name(full);
    bool same = own.len > 0 && tg_str_eq(own, space);
    return same && !is_kind_name(name) ? name : full;
}

static void put_name(struct printer *w, const tg_avro_type_t *type, tg_str_t space)
{
    assert(type->name.len > 0);
    tg_str_t own = tg_avro_space(type->name);
    put(w, ",\"name\":");
    put_string(w, tg_avro_short_name(type->name));
    if (tg_str_eq(own, space))
        return;
    put(w, ",\"namespace\":");
    put_string(w, own);
}

/* An alias without namespace of a type that has one keeps its leading dot: else it would be read
 * as one in the type's namespace. */
static void put_type_alias(struct printer *w, tg_str_t alias, tg_str_t space)
{
    bool bare = space.len > 0 && tg_avro_space(alias).len == 0;
    if (!bare) {
        put_string(w, short_in(alias, space));
        return;
    }
    put(w, "\".");
    tg_buf_str(w->out, alias); /* a name: nothing to escape */
    put(w, "\"");
}

/* `owner` is NULL for a field's aliases. */
static void put_aliases(struct printer *w, const tg_str_t *aliases, uint32_t count,
                        const tg_avro_type_t *owner)
{
    if (count == 0)
        return;
    tg_str_t order[TG_AVRO_ALIASES_MAX];
    assert(count <= TG_AVRO_ALIASES_MAX);
    memcpy(order, aliases, count * sizeof(*aliases));
    if (w->normalized)
        qsort(order, count, sizeof(*order), compare_texts);
    put(w, ",\"aliases\":[");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            put(w, ",");
        if (owner != NULL)
            put_type_alias(w, order[i], tg_avro_space(owner->name));
        else
            put_string(w, order[i]);
    }
    put(w, "]");
}

/* --- custom attributes --- */

static bool is_listed(const char *const *list, const char *key)
{
    for (; *list != NULL; list++) {
        if (strcmp(*list, key) == 0)
            return true;
    }
    return false;
}

static bool has_attributes(const json_t *json)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)json, key, value)
    {
        if (!is_listed(type_members, key))
            return true;
    }
    return false;
}

static void put_attribute(struct printer *w, const json_t *json, const char *key)
{
    assert(key != NULL);
    put(w, ",");
    put_string(w, tg_str_from(key));
    put(w, ":");
    put_value(w, json_object_get(json, key));
}

/* The members that a known logical type puts first when normalized; NULL ends the list. */
static void logical_members(const tg_avro_type_t *type, const char *out[4])
{
    size_t count = 0;
    if (type != NULL && type->logical != TG_AVRO_PLAIN)
        out[count++] = "logicalType";
    if (type != NULL && type->logical == TG_AVRO_DECIMAL)
        out[count++] = "precision";
    if (type != NULL && type->logical == TG_AVRO_DECIMAL && type->scale > 0)
        out[count++] = "scale";
    out[count] = NULL;
}

/* `type` is NULL for the attributes of a field. */
static void put_attributes(struct printer *w, const json_t *json, const char *const *reserved,
                           const tg_avro_type_t *type)
{
    const char *first[4] = {NULL};
    if (json == NULL)
        return;
    if (w->normalized)
        logical_members(type, first);
    for (size_t i = 0; first[i] != NULL; i++)
        put_attribute(w, json, first[i]);
    const char **keys = tg_avro_json_text_keys(json, w->normalized);
    if (keys == NULL) {
        w->no_memory = true;
        return;
    }
    for (size_t i = 0; keys[i] != NULL; i++) {
        if (!is_listed(reserved, keys[i]) && !is_listed(first, keys[i]))
            put_attribute(w, json, keys[i]);
    }
    free(keys);
}

/* --- defaults --- */

static void put_default(struct printer *w, const json_t *json, const tg_avro_type_t *type);

static const tg_avro_type_t *member_type(const tg_avro_type_t *type, const char *key)
{
    if (type->kind == TG_AVRO_MAP)
        return type->items;
    int field = type->kind == TG_AVRO_RECORD ? tg_avro_type_find(type, tg_str_from(key)) : -1;
    return field < 0 ? NULL : type->fields[field].type;
}

static void put_default_members(struct printer *w, const json_t *json, const tg_avro_type_t *type)
{
    assert(json_is_object(json));
    const char **keys = tg_avro_json_text_keys(json, true);
    if (keys == NULL) {
        w->no_memory = true;
        return;
    }
    put(w, "{");
    for (size_t i = 0; keys[i] != NULL; i++) {
        if (i > 0)
            put(w, ",");
        put_string(w, tg_str_from(keys[i]));
        put(w, ":");
        put_default(w, json_object_get(json, keys[i]), member_type(type, keys[i]));
    }
    put(w, "}");
    free(keys);
}

static void put_default_items(struct printer *w, const json_t *json, const tg_avro_type_t *type)
{
    assert(json_is_array(json));
    assert(type->kind == TG_AVRO_ARRAY);
    put(w, "[");
    for (size_t i = 0; i < json_array_size(json); i++) {
        if (i > 0)
            put(w, ",");
        put_default(w, json_array_get(json, i), type->items);
    }
    put(w, "]");
}

/* A default with its numbers as its type has them: 1 of a double is 1.0. */
static void put_default(struct printer *w, const json_t *json, const tg_avro_type_t *type)
{
    if (type != NULL && type->kind == TG_AVRO_UNION)
        type = type->count > 0 ? type->branches[0] : NULL;
    if (type == NULL)
        put_value(w, json);
    else if (type->kind == TG_AVRO_DOUBLE && json_is_number(json))
        tg_avro_json_text_double(w->out, json_number_value(json));
    else if (type->kind == TG_AVRO_FLOAT && json_is_number(json) &&
             fabs(json_number_value(json)) <= (double)FLT_MAX)
        tg_avro_json_text_float(w->out, (float)json_number_value(json));
    else if (type->kind == TG_AVRO_ARRAY && json_is_array(json))
        put_default_items(w, json, type);
    else if (json_is_object(json))
        put_default_members(w, json, type);
    else
        put_value(w, json);
}

/* --- kinds --- */

static void print_field(struct printer *w, const tg_avro_field_t *field, tg_str_t space)
{
    assert(field->type != NULL);
    const json_t *value = json_object_get(field->json, "default");
    tg_str_t order = tg_avro_attribute(field->json, "order");
    put(w, "{\"name\":");
    put_string(w, field->name);
    put(w, ",\"type\":");
    print_type(w, field->type, space);
    put_doc(w, field->doc, true);
    if (field->has_default) {
        put(w, ",\"default\":");
        if (w->normalized)
            put_default(w, value, field->type);
        else
            put_value(w, value);
    }
    if (order.len > 0 && !tg_str_eq(order, TG_STR("ascending"))) {
        put(w, ",\"order\":");
        put_string(w, order);
    }
    put_aliases(w, field->aliases, field->alias_count, NULL);
    put_attributes(w, field->json, field_members, NULL);
    put(w, "}");
}

static void print_fields(struct printer *w, const tg_avro_type_t *type)
{
    assert(type->kind == TG_AVRO_RECORD);
    put(w, ",\"fields\":[");
    for (uint32_t i = 0; i < type->count; i++) {
        if (i > 0)
            put(w, ",");
        print_field(w, &type->fields[i], tg_avro_space(type->name));
    }
    put(w, "]");
}

static void print_symbols(struct printer *w, const tg_avro_type_t *type)
{
    assert(type->kind == TG_AVRO_ENUM);
    put(w, ",\"symbols\":[");
    for (uint32_t i = 0; i < type->count; i++) {
        if (i > 0)
            put(w, ",");
        put_string(w, type->symbols[i]);
    }
    put(w, "]");
    if (type->default_symbol >= 0) {
        put(w, ",\"default\":");
        put_string(w, type->symbols[type->default_symbol]);
    }
}

/* Whether the type is written by name; if not, it counts as written out from now on. */
static bool meet(struct printer *w, const tg_avro_type_t *type)
{
    if (type->id < w->schema->named_count && w->schema->named[type->id] == type) {
        bool written = w->written[type->id];
        w->written[type->id] = true;
        return written;
    }
    if (w->foreign == NULL || tg_table_get(w->foreign, type->name) != NULL)
        return true;
    if (tg_table_put(w->foreign, type->name, (void *)type) != TG_OK)
        w->no_memory = true;
    return false;
}

static void print_named(struct printer *w, const tg_avro_type_t *type, tg_str_t space)
{
    assert(type->name.len > 0);
    if (meet(w, type)) {
        put_string(w, short_in(type->name, space));
        return;
    }
    bool error = tg_str_eq(tg_avro_attribute(type->json, "type"), TG_STR("error"));
    put(w, "{\"type\":\"");
    put(w, error && !w->normalized ? "error" : tg_avro_kind_name(type->kind));
    put(w, "\"");
    put_name(w, type, space);
    put_doc(w, type->doc, !w->normalized);
    if (type->kind == TG_AVRO_RECORD)
        print_fields(w, type);
    else if (type->kind == TG_AVRO_ENUM)
        print_symbols(w, type);
    else
        tg_buf_printf(w->out, ",\"size\":%u", (unsigned)type->size);
    put_attributes(w, type->json, type->kind == TG_AVRO_ENUM ? enum_members : type_members, type);
    put_aliases(w, type->aliases, type->alias_count, type);
    put(w, "}");
}

static void print_union(struct printer *w, const tg_avro_type_t *type, tg_str_t space)
{
    assert(type->kind == TG_AVRO_UNION);
    put(w, "[");
    for (uint32_t i = 0; i < type->count; i++) {
        if (i > 0)
            put(w, ",");
        print_type(w, type->branches[i], space);
    }
    put(w, "]");
}

static void print_container(struct printer *w, const tg_avro_type_t *type, tg_str_t space)
{
    assert(type->items != NULL);
    put(w, type->kind == TG_AVRO_ARRAY ? "{\"type\":\"array\",\"items\":"
                                       : "{\"type\":\"map\",\"values\":");
    print_type(w, type->items, space);
    put_attributes(w, type->json, type_members, NULL);
    put(w, "}");
}

static void print_primitive(struct printer *w, const tg_avro_type_t *type)
{
    assert(type->kind <= TG_AVRO_STRING);
    bool bare = type->json == NULL || !has_attributes(type->json);
    put(w, bare ? "\"" : "{\"type\":\"");
    put(w, tg_avro_kind_name(type->kind));
    put(w, "\"");
    if (bare)
        return;
    put_attributes(w, type->json, type_members, type);
    put(w, "}");
}

static void print_type(struct printer *w, const tg_avro_type_t *type, tg_str_t space)
{
    assert(type != NULL);
    switch (type->kind) {
    case TG_AVRO_RECORD:
    case TG_AVRO_ENUM:
    case TG_AVRO_FIXED:
        print_named(w, type, space);
        break;
    case TG_AVRO_UNION:
        print_union(w, type, space);
        break;
    case TG_AVRO_ARRAY:
    case TG_AVRO_MAP:
        print_container(w, type, space);
        break;
    default:
        print_primitive(w, type);
    }
}

static tg_status_t print(struct printer *w, const tg_avro_schema_t *schema, tg_buf_t *out)
{
    assert(schema != NULL);
    assert(out != NULL);
    w->schema = schema;
    w->out = out;
    w->written = calloc(schema->named_count + 1, sizeof(bool));
    if (w->written == NULL)
        return TG_NOMEM;
    print_type(w, schema->root, (tg_str_t){NULL, 0});
    free(w->written);
    return w->no_memory || out->failed ? TG_NOMEM : TG_OK;
}

tg_status_t tg_avro_print(const tg_avro_schema_t *schema, tg_buf_t *out)
{
    return print(&(struct printer){0}, schema, out);
}

tg_status_t tg_avro_print_normalized(const tg_avro_schema_t *schema, tg_buf_t *out)
{
    return print(&(struct printer){.normalized = true}, schema, out);
}

tg_status_t tg_avro_print_resolved(const tg_avro_schema_t *schema, tg_buf_t *out)
{
    struct printer w = {.foreign = tg_table_create(TG_AVRO_KNOWN_MAX, NULL)};
    if (w.foreign == NULL)
        return TG_NOMEM;
    tg_status_t status = print(&w, schema, out);
    tg_table_destroy(w.foreign);
    return status;
}
