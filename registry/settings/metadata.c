/* Metadata by jansson: small objects, read once per registration or configuration, never on the
 * way of a look-up. What this file built may be read back without a check. */
#include "registry/settings/metadata.h"

#include <jansson.h>
#include <stdlib.h>

#define WRITE_FLAGS (JSON_COMPACT | JSON_SORT_KEYS)

/* --- the one form --- */

static int by_text(const void *a, const void *b)
{
    const json_t *const *left = a, *const *right = b;
    return strcmp(json_string_value(*left), json_string_value(*right));
}

/* A new array of the texts in `texts`, sorted, each once; NULL without memory. */
static json_t *sorted_set(const json_t *texts)
{
    size_t count = json_array_size(texts);
    json_t *set = json_array();
    json_t **items = calloc(count + 1, sizeof(json_t *));
    bool failed = set == NULL || items == NULL;
    for (size_t i = 0; i < count && !failed; i++)
        items[i] = json_array_get(texts, i);
    if (!failed)
        qsort(items, count, sizeof(json_t *), by_text);
    for (size_t i = 0; i < count && !failed; i++) {
        if (i == 0 || !json_equal(items[i], items[i - 1]))
            failed = json_array_append(set, items[i]) != 0;
    }
    free(items);
    if (!failed)
        return set;
    json_decref(set);
    return NULL;
}

static bool all_texts(const json_t *array)
{
    if (!json_is_array(array))
        return false;
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!json_is_string(json_array_get(array, i)))
            return false;
    }
    return true;
}

static tg_status_t no_memory(tg_error_t *error)
{
    return tg_error_set(error, TG_NOMEM, "out of memory");
}

static tg_status_t put(json_t *out, const char *name, json_t *owned, tg_error_t *error)
{
    return json_object_set_new(out, name, owned) == 0 ? TG_OK : no_memory(error);
}

static tg_status_t read_tags(json_t *value, json_t *out, tg_error_t *error)
{
    if (!json_is_object(value))
        return tg_error_set(error, TG_INVALID, "metadata: \"tags\" is an object");
    json_t *tags = json_object();
    const char *path;
    json_t *texts;
    tg_status_t status = tags == NULL ? no_memory(error) : TG_OK;
    json_object_foreach(value, path, texts)
    {
        if (status == TG_OK && !all_texts(texts))
            status = tg_error_set(error, TG_INVALID,
                                  "metadata: the tags of \"%.200s\" are an array of texts", path);
        if (status == TG_OK)
            status = put(tags, path, sorted_set(texts), error);
    }
    if (status == TG_OK && json_object_size(tags) > 0)
        return put(out, "tags", tags, error);
    json_decref(tags);
    return status;
}

static tg_status_t read_properties(json_t *value, json_t *out, tg_error_t *error)
{
    if (!json_is_object(value))
        return tg_error_set(error, TG_INVALID, "metadata: \"properties\" is an object");
    const char *name;
    json_t *text;
    json_object_foreach(value, name, text)
    {
        if (!json_is_string(text))
            return tg_error_set(error, TG_INVALID, "metadata: the property \"%.200s\" is a text",
                                name);
    }
    return json_object_size(value) > 0 ? put(out, "properties", json_incref(value), error) : TG_OK;
}

static tg_status_t read_sensitive(json_t *value, json_t *out, tg_error_t *error)
{
    if (!all_texts(value))
        return tg_error_set(error, TG_INVALID, "metadata: \"sensitive\" is an array of names");
    return json_array_size(value) > 0 ? put(out, "sensitive", sorted_set(value), error) : TG_OK;
}

static const struct part {
    const char *name;
    tg_status_t (*read)(json_t *value, json_t *out, tg_error_t *error);
} parts[] = {{"tags", read_tags}, {"properties", read_properties}, {"sensitive", read_sensitive}};

/* Unknown members are left out, as Confluent's registry does. */
static tg_status_t read_parts(const json_t *json, json_t *out, tg_error_t *error)
{
    tg_status_t status = TG_OK;
    for (size_t i = 0; i < TG_ARRAY_LEN(parts) && status == TG_OK; i++) {
        json_t *value = json_object_get(json, parts[i].name);
        if (value != NULL && !json_is_null(value))
            status = parts[i].read(value, out, error);
    }
    return status;
}

static tg_status_t write_form(const json_t *json, tg_arena_t *arena, tg_str_t *out,
                              tg_error_t *error)
{
    char *text = json_dumps(json, WRITE_FLAGS);
    if (text == NULL)
        return no_memory(error);
    tg_status_t status = TG_OK;
    tg_str_t copy = {NULL, 0};
    if (strlen(text) > TG_METADATA_MAX)
        status =
            tg_error_set(error, TG_TOO_LARGE, "metadata: more than %zu bytes", TG_METADATA_MAX);
    else
        copy = tg_arena_copy(arena, tg_str_from(text));
    free(text);
    if (status == TG_OK && copy.ptr == NULL)
        return no_memory(error);
    if (status == TG_OK)
        *out = copy;
    return status;
}

tg_status_t tg_metadata_read(tg_str_t json, tg_arena_t *arena, tg_str_t *out_text,
                             tg_error_t *error)
{
    assert(arena != NULL);
    assert(out_text != NULL);
    json_error_t where;
    if (json.len > TG_METADATA_MAX)
        return tg_error_set(error, TG_TOO_LARGE, "metadata: more than %zu bytes", TG_METADATA_MAX);
    json_t *root = json_loadb(json.ptr != NULL ? json.ptr : "", json.len, 0, &where);
    json_t *out = json_object();
    tg_status_t status = TG_OK;
    if (!json_is_object(root))
        status = tg_error_set(error, TG_INVALID, "metadata: not an object of JSON without U+0000");
    else if (out == NULL)
        status = no_memory(error);
    if (status == TG_OK)
        status = read_parts(root, out, error);
    if (status == TG_OK)
        status = write_form(out, arena, out_text, error);
    json_decref(out);
    json_decref(root);
    return status;
}

/* --- merging --- */

static bool merge_named(json_t *into, const char *part, const json_t *from)
{
    json_t *added = json_object_get(from, part);
    json_t *base = json_object_get(into, part);
    if (added == NULL)
        return true;
    return base == NULL ? json_object_set(into, part, added) == 0
                        : json_object_update(base, added) == 0;
}

static bool merge_sensitive(json_t *into, const json_t *from)
{
    json_t *added = json_object_get(from, "sensitive");
    json_t *base = json_object_get(into, "sensitive");
    if (added == NULL)
        return true;
    if (base == NULL)
        return json_object_set(into, "sensitive", added) == 0;
    return json_array_extend(base, added) == 0 &&
           json_object_set_new(into, "sensitive", sorted_set(base)) == 0;
}

/* `text` is in the one form. */
static tg_status_t merge_one(json_t *into, tg_str_t text, tg_error_t *error)
{
    if (text.ptr == NULL)
        return TG_OK;
    json_t *from = json_loadb(text.ptr, text.len, 0, NULL);
    bool merged = from != NULL && merge_named(into, "tags", from) &&
                  merge_named(into, "properties", from) && merge_sensitive(into, from);
    json_decref(from);
    return merged ? TG_OK : no_memory(error);
}

tg_status_t tg_metadata_merge(const tg_metadata_sources_t *sources, tg_arena_t *arena,
                              tg_str_t *out_text, tg_error_t *error)
{
    assert(sources != NULL);
    assert(out_text != NULL);
    json_t *merged = json_object();
    tg_str_t own = sources->given.ptr != NULL ? sources->given : sources->previous;
    tg_status_t status = merged == NULL ? no_memory(error) : TG_OK;
    if (status == TG_OK)
        status = merge_one(merged, sources->defaults, error);
    if (status == TG_OK)
        status = merge_one(merged, own, error);
    if (status == TG_OK)
        status = merge_one(merged, sources->overrides, error);
    if (status == TG_OK && json_object_size(merged) == 0)
        *out_text = (tg_str_t){NULL, 0};
    else if (status == TG_OK)
        status = write_form(merged, arena, out_text, error);
    json_decref(merged);
    return status;
}

tg_status_t tg_metadata_property(tg_str_t text, tg_str_t name, tg_arena_t *arena,
                                 tg_str_t *out_value)
{
    assert(out_value != NULL);
    *out_value = (tg_str_t){NULL, 0};
    tg_str_t key = tg_arena_copy(arena, name); /* with a NUL behind it */
    if (key.ptr == NULL)
        return TG_NOMEM;
    if (text.ptr == NULL || strlen(key.ptr) != key.len)
        return TG_OK;
    json_t *json = json_loadb(text.ptr, text.len, 0, NULL);
    const json_t *value = json_object_get(json_object_get(json, "properties"), key.ptr);
    if (value != NULL)
        *out_value = tg_arena_copy(arena, tg_str_from(json_string_value(value)));
    bool failed = json == NULL || (value != NULL && out_value->ptr == NULL);
    json_decref(json);
    return failed ? TG_NOMEM : TG_OK;
}
