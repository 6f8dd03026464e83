/* A table by key, and a list in the order of arrival. Times to live are short and much alike, so
 * the oldest is nearly always the one that ends first, and nothing is gained by a cleverer order.
 * What has ended stays until it is asked for or its place is needed. */
#include "query/hot.h"

#include <stdlib.h>

#include "common/base/table.h"
#include "query/render.h"

#define SHARE_MAX 8 /* an answer takes at most one of so many parts */

/* One allocation with key, tag and body behind each other. */
struct item {
    struct item *next, **link; /* in the list */
    tg_hot_t *hot;
    size_t refs; /* the table's, and one for each body given */
    size_t size;
    uint64_t until_us;
    tg_str_t key, tag, body;
    char bytes[];
};

struct tg_hot {
    size_t max_bytes;
    tg_table_t *by_key;
    struct item *oldest, **end; /* the list, and where the next one is hung on */
    tg_hot_stats_t stats;
};

static void item_unref(void *owner)
{
    struct item *item = owner;
    assert(item->refs > 0);
    if (--item->refs == 0)
        free(item);
}

/* The table lets go of an item: removed, replaced, destroyed. */
static void on_forgotten(void *value)
{
    struct item *item = value;
    tg_hot_t *hot = item->hot;
    assert(*item->link == item);
    *item->link = item->next;
    if (item->next != NULL)
        item->next->link = item->link;
    else
        hot->end = item->link;
    assert(hot->stats.bytes >= item->size);
    hot->stats.bytes -= item->size;
    item_unref(item);
}

tg_hot_t *tg_hot_create(size_t max_bytes)
{
    assert(max_bytes > 0);
    tg_hot_t *hot = calloc(1, sizeof(*hot));
    if (hot == NULL)
        return NULL;
    hot->max_bytes = max_bytes;
    hot->end = &hot->oldest;
    hot->by_key = tg_table_create(TG_HOT_ITEMS_MAX, on_forgotten);
    if (hot->by_key == NULL) {
        free(hot);
        return NULL;
    }
    return hot;
}

void tg_hot_destroy(tg_hot_t *hot)
{
    if (hot == NULL)
        return;
    tg_table_destroy(hot->by_key);
    assert(hot->oldest == NULL && hot->stats.bytes == 0);
    free(hot);
}

static tg_str_t append(char **at, tg_str_t text)
{
    tg_str_t copy = {*at, text.len};
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static tg_status_t item_create(tg_hot_t *hot, tg_str_t key, tg_str_t tag, tg_str_t body,
                               struct item **out_item)
{
    const tg_str_t end = tg_render_end(true);
    size_t size = offsetof(struct item, bytes) + key.len + tag.len + body.len + end.len;
    if (size > hot->max_bytes / SHARE_MAX)
        return TG_TOO_LARGE;
    struct item *item = malloc(size);
    if (item == NULL)
        return TG_NOMEM;
    char *at = item->bytes;
    *item = (struct item){.hot = hot, .refs = 1, .size = size};
    item->key = append(&at, key);
    item->tag = append(&at, tag);
    item->body = append(&at, body);
    item->body.len += append(&at, end).len;
    assert(at == (char *)item + size);
    *out_item = item;
    return TG_OK;
}

static void make_room(tg_hot_t *hot, size_t size)
{
    while (hot->stats.bytes + size > hot->max_bytes ||
           tg_table_len(hot->by_key) >= TG_HOT_ITEMS_MAX) {
        assert(hot->oldest != NULL);
        (void)tg_table_remove(hot->by_key, hot->oldest->key);
        hot->stats.evicted_total++;
    }
}

tg_status_t tg_hot_put(tg_hot_t *hot, tg_str_t key, tg_str_t tag, tg_str_t body, uint64_t until_us)
{
    assert(hot != NULL);
    assert(key.len > 0 && body.len > 0);
    (void)tg_table_remove(hot->by_key, key);
    struct item *item = NULL;
    tg_status_t status = item_create(hot, key, tag, body, &item);
    if (status != TG_OK)
        return status;
    item->until_us = until_us;
    make_room(hot, item->size);
    if (tg_table_put(hot->by_key, key, item) != TG_OK) {
        free(item);
        return TG_NOMEM;
    }
    item->link = hot->end;
    *hot->end = item;
    hot->end = &item->next;
    hot->stats.bytes += item->size;
    return TG_OK;
}

bool tg_hot_get(tg_hot_t *hot, tg_str_t key, uint64_t now_us, tg_hot_answer_t *out_answer)
{
    assert(hot != NULL && out_answer != NULL);
    struct item *item = tg_table_get(hot->by_key, key);
    if (item == NULL)
        return false;
    if (item->until_us <= now_us) {
        (void)tg_table_remove(hot->by_key, key);
        return false;
    }
    item->refs++;
    *out_answer = (tg_hot_answer_t){item->tag, {item->body, item_unref, item}};
    return true;
}

void tg_hot_get_stats(const tg_hot_t *hot, tg_hot_stats_t *out_stats)
{
    assert(hot != NULL);
    *out_stats = hot->stats;
    out_stats->items = tg_table_len(hot->by_key);
}
