/* From text to tree: bounds of the text, the parse (parse/), and what is asked of the tree.
 *
 * The text is scanned before jansson reads it, because a text of nothing but brackets costs jansson
 * a hundred times its size. */
#include "common/avro/schema.h"

#include <stdlib.h>

#include "common/avro/parse/parse.h"

#define CONTAINERS_MAX 20000 /* objects and arrays in the text */

static const char *const kind_names[TG_AVRO_KINDS] = {
    "null",   "boolean", "int",  "long",  "float", "double", "bytes",
    "string", "record",  "enum", "fixed", "array", "map",    "union",
};

const char *tg_avro_kind_name(tg_avro_kind_t kind)
{
    assert(kind < TG_AVRO_KINDS);
    return kind_names[kind];
}

/* --- the text --- */

/* Refuses what is nested too deep or has too many brackets. */
static tg_status_t check_brackets(tg_str_t text, tg_error_t *error)
{
    size_t depth = 0, containers = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '"') {
            in_string = !in_string;
        } else if (in_string) {
            i += c == '\\';
        } else if (c == '{' || c == '[') {
            containers++;
            depth++;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
        if (depth > TG_AVRO_TEXT_DEPTH_MAX)
            return tg_error_set(error, TG_TOO_LARGE, "schema is JSON nested deeper than %d levels",
                                TG_AVRO_TEXT_DEPTH_MAX);
    }
    if (containers > CONTAINERS_MAX)
        return tg_error_set(error, TG_TOO_LARGE,
                            "schema of %zu objects and arrays; the limit is %d", containers,
                            CONTAINERS_MAX);
    return TG_OK;
}

static tg_status_t load_json(tg_str_t text, json_t **out, tg_error_t *error)
{
    json_error_t why;
    if (text.len > TG_AVRO_SCHEMA_BYTES_MAX)
        return tg_error_set(error, TG_TOO_LARGE, "schema of %zu bytes; the limit is %zu", text.len,
                            TG_AVRO_SCHEMA_BYTES_MAX);
    tg_status_t status = check_brackets(text, error);
    if (status != TG_OK)
        return status;
    *out = json_loadb(text.len == 0 ? "" : text.ptr, text.len,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (*out == NULL)
        return tg_error_set(error, TG_INVALID, "schema is not JSON: %s (line %d, column %d)",
                            why.text, why.line, why.column);
    return TG_OK;
}

/* --- the parse --- */

struct options {
    const tg_avro_schema_t *const *refs;
    size_t ref_count;
    bool endless; /* records without a finite value are taken */
};

static tg_status_t check_tree(tg_avro_schema_t *schema, bool endless, tg_error_t *error)
{
    assert(schema->root != NULL);
    if (tg_avro_find_finite(schema) != TG_OK)
        return tg_error_set(error, TG_NOMEM, "out of memory for a schema");
    const tg_avro_type_t *record = tg_avro_first_endless(schema);
    if (record != NULL && !endless)
        return tg_error_set(error, TG_INVALID,
                            "record %.128s contains itself: no value of it has an end; make the "
                            "field that leads back to it a union with null",
                            record->name.ptr);
    return tg_avro_encode_defaults(schema, error);
}

static tg_status_t parse_tree(tg_avro_schema_t *schema, tg_str_t text,
                              const struct options *options, tg_error_t *error)
{
    struct tg_avro_parse p = {.schema = schema, .error = error, .text = text};
    schema->arena = tg_arena_create(TG_AVRO_ARENA_MAX);
    p.known = tg_table_create(TG_AVRO_NAMES_MAX + TG_AVRO_KNOWN_MAX, NULL);
    if (schema->arena == NULL || p.known == NULL) {
        tg_table_destroy(p.known);
        return tg_error_set(error, TG_NOMEM, "out of memory for a schema");
    }
    tg_status_t status = tg_avro_take_refs(&p, options->refs, options->ref_count);
    if (status == TG_OK)
        status = tg_avro_parse_type(&p, schema->json, &schema->root);
    tg_table_destroy(p.known);
    return status == TG_OK ? check_tree(schema, options->endless, error) : status;
}

static tg_status_t parse(tg_str_t text, const struct options *options,
                         tg_avro_schema_t **out_schema, tg_error_t *error)
{
    assert(out_schema != NULL);
    assert(options->refs != NULL || options->ref_count == 0);
    tg_avro_schema_t *schema = calloc(1, sizeof(*schema));
    if (schema == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory for a schema");
    atomic_init(&schema->shares, 1);
    tg_status_t status = load_json(text, &schema->json, error);
    if (status == TG_OK)
        status = parse_tree(schema, text, options, error);
    if (status == TG_OK)
        *out_schema = schema;
    else
        tg_avro_schema_destroy(schema);
    return status;
}

tg_status_t tg_avro_schema_parse(tg_str_t text, tg_avro_schema_t **out_schema, tg_error_t *error)
{
    return parse(text, &(struct options){0}, out_schema, error);
}

tg_status_t tg_avro_schema_parse_refs(tg_str_t text, const tg_avro_schema_t *const *refs,
                                      size_t ref_count, tg_avro_schema_t **out_schema,
                                      tg_error_t *error)
{
    return parse(text, &(struct options){.refs = refs, .ref_count = ref_count}, out_schema, error);
}

tg_status_t tg_avro_schema_parse_endless(tg_str_t text, tg_avro_schema_t **out_schema,
                                         tg_error_t *error)
{
    return parse(text, &(struct options){.endless = true}, out_schema, error);
}

void tg_avro_schema_destroy(tg_avro_schema_t *schema)
{
    if (schema == NULL)
        return;
    unsigned shares = atomic_fetch_sub_explicit(&schema->shares, 1, memory_order_acq_rel);
    assert(shares > 0);
    if (shares > 1)
        return;
    /* References nest at most TG_AVRO_REF_DEPTH_MAX deep, and so does this. */
    for (size_t i = schema->ref_count; i > 0; i--)
        tg_avro_schema_destroy(schema->refs[i - 1]);
    tg_arena_destroy(schema->arena);
    json_decref(schema->json);
    free(schema);
}

/* --- the tree --- */

const tg_avro_type_t *tg_avro_schema_root(const tg_avro_schema_t *schema)
{
    assert(schema != NULL);
    return schema->root;
}

tg_str_t tg_avro_attribute(const struct json_t *json, const char *name)
{
    const json_t *value = json == NULL ? NULL : json_object_get(json, name);
    if (!json_is_string(value))
        return (tg_str_t){NULL, 0};
    return (tg_str_t){json_string_value(value), json_string_length(value)};
}

tg_str_t tg_avro_member_name(const tg_avro_type_t *type, uint32_t index)
{
    assert(index < type->count);
    return type->kind == TG_AVRO_RECORD ? type->fields[index].name : type->symbols[index];
}

int tg_avro_type_find(const tg_avro_type_t *type, tg_str_t name)
{
    assert(type->kind == TG_AVRO_RECORD || type->kind == TG_AVRO_ENUM);
    uint32_t low = 0, high = type->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = tg_str_cmp(tg_avro_member_name(type, type->by_name[middle]), name);
        if (order == 0)
            return (int)type->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* Where the name without its namespace begins. */
static size_t short_start(tg_str_t full)
{
    for (size_t i = full.len; i > 0; i--) {
        if (full.ptr[i - 1] == '.')
            return i;
    }
    return 0;
}

tg_str_t tg_avro_space(tg_str_t full)
{
    size_t start = short_start(full);
    return start == 0 ? (tg_str_t){NULL, 0} : (tg_str_t){full.ptr, start - 1};
}

tg_str_t tg_avro_short_name(tg_str_t full)
{
    size_t start = short_start(full);
    return (tg_str_t){full.ptr + start, full.len - start};
}
