/* Free-form JSON in a field: checked for what the store cannot hold, and written as text, with the
 * members that the schema does not know joined to it where the field takes them. */
#include <stdlib.h>

#include "common/avro/internal.h"
#include "common/event/internal.h"

static int compare_keys(const void *a, const void *b, void *nodes)
{
    const tg_json_node_t *all = nodes;
    return tg_str_cmp(all[*(const uint32_t *)a].key, all[*(const uint32_t *)b].key);
}

tg_status_t tg_event_sort_members(tg_event_job_t *job, size_t object, bool is_object,
                                  const tg_event_list_t *more, size_t *out_start)
{
    tg_event_list_t *order = &job->codec->order;
    size_t start = order->len, at = object + 1;
    for (uint32_t i = 0; is_object && i < job->nodes[object].count; i++) {
        if (tg_event_list_add(order, (uint32_t)at) != TG_OK)
            return TG_NOMEM;
        at = job->nodes[at].next;
    }
    for (size_t i = 0; more != NULL && i < more->len; i++) {
        if (tg_event_list_add(order, more->items[i]) != TG_OK)
            return TG_NOMEM;
    }
    if (order->len - start > 1)
        qsort_r(order->items + start, order->len - start, sizeof(*order->items), compare_keys,
                (void *)job->nodes);
    *out_start = start;
    return TG_OK;
}

/* Refuses what the store cannot hold or what would be read in two ways: a name twice in one object,
 * U+0000, endless nesting. `more` are members that join the outermost object. */
static tg_status_t check_json(tg_event_job_t *job, const tg_event_field_t *field, size_t at,
                              unsigned depth, const tg_event_list_t *more)
{
    const tg_json_node_t *node = &job->nodes[at];
    tg_str_t name = field->avro->name;
    assert(at != 0 || more != NULL);
    if (depth > TG_EVENT_DEPTH_MAX)
        return tg_event_refuse(job, "too_large", name, "nested deeper than %d levels",
                               TG_EVENT_DEPTH_MAX);
    if (node->type == TG_JSON_STRING && tg_avro_has_nul(node->value.text))
        return tg_event_refuse(job, "invalid_value", name, "text must not hold U+0000");
    bool object = at != 0 && node->type == TG_JSON_OBJECT;
    bool array = at != 0 && node->type == TG_JSON_ARRAY;
    if (!object && !array && more == NULL)
        return TG_OK;
    tg_event_list_t *order = &job->codec->order;
    size_t start = order->len, child = at + 1;
    if (object || more != NULL) {
        if (tg_event_sort_members(job, at, object, more, &start) != TG_OK)
            return TG_NOMEM;
        for (size_t i = start + 1; i < order->len; i++) {
            tg_str_t key = job->nodes[order->items[i]].key;
            if (tg_str_eq(key, job->nodes[order->items[i - 1]].key))
                return tg_event_refuse(job, "invalid_event", name, "\"%.*s\" is in it twice",
                                       (int)(key.len > 64 ? 64 : key.len), key.ptr);
        }
        order->len = start;
    }
    uint32_t own = object || array ? node->count : 0;
    size_t all = own + (more == NULL ? 0 : more->len);
    for (size_t i = 0; i < all; i++) {
        size_t member = i < own ? child : more->items[i - own];
        if (tg_avro_has_nul(job->nodes[member].key))
            return tg_event_refuse(job, "invalid_value", name, "names must not hold U+0000");
        tg_status_t status = check_json(job, field, member, depth + 1, NULL);
        if (status != TG_OK)
            return status;
        child = job->nodes[member].next;
    }
    return TG_OK;
}

static void write_member(tg_event_job_t *job, size_t member, tg_buf_t *text, bool first)
{
    if (!first)
        tg_buf_byte(text, ',');
    tg_buf_json_string(text, job->nodes[member].key);
    tg_buf_byte(text, ':');
    tg_json_write(job->nodes, member, text);
}

/* The field's object with the unknown members added to it. */
static void merge(tg_event_job_t *job, size_t at, const tg_event_list_t *unknown, tg_buf_t *text)
{
    assert(unknown->len > 0);
    bool first = true;
    tg_buf_byte(text, '{');
    size_t child = at + 1;
    for (uint32_t i = 0; at != 0 && i < job->nodes[at].count; i++) {
        write_member(job, child, text, first);
        child = job->nodes[child].next;
        first = false;
    }
    for (size_t i = 0; i < unknown->len; i++) {
        write_member(job, unknown->items[i], text, first);
        first = false;
    }
    tg_buf_byte(text, '}');
}

tg_status_t tg_event_free_json(tg_event_job_t *job, const tg_event_field_t *field, size_t at,
                               tg_str_t *out_text)
{
    assert(field->json);
    tg_buf_t *text = &job->codec->text;
    const tg_event_list_t *unknown = &job->codec->unknown;
    bool extras = unknown->len > 0 && field == &job->type->fields[job->type->extras];
    bool given = at != 0 && job->nodes[at].type != TG_JSON_NULL;
    if (extras && given && job->nodes[at].type != TG_JSON_OBJECT)
        return tg_event_refuse_value(job, "wrong_type", field, at,
                                     "an object, since it takes the unknown fields too");
    if (extras && !given)
        at = 0; /* the unknown fields alone */
    tg_status_t status = check_json(job, field, at, 1, extras ? unknown : NULL);
    if (status != TG_OK)
        return status;
    tg_buf_clear(text);
    if (extras)
        merge(job, at, unknown, text);
    else
        tg_json_write(job->nodes, at, text);
    if (text->failed)
        return tg_event_refuse(job, "too_large", field->avro->name, "too much JSON");
    *out_text = tg_buf_view(text);
    return TG_OK;
}
