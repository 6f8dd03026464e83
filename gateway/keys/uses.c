/* See uses.h. A place holds 32 bits of the key's hash and the second of its last report, so that
 * one atomic word says whether this very key is due. */
#include "gateway/keys/uses.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/auth/key.h"
#include "common/base/time.h"
#include "gateway/metrics.h"

#define PLACES     ((size_t)1 << 15)
#define AGAIN_S    60   /* a key's next report is so much later */
#define LIST_MAX   1024 /* keys of one report */
#define REPORT_MS  5000 /* so that a list tells 12,288 keys a minute: places for more are no use */
#define TIMEOUT_MS 5000

struct tg_uses {
    _Atomic uint64_t places[PLACES];
};

struct use {
    char id[TG_KEY_ID_LEN];
    int64_t at_us;
};

struct tg_uses_list {
    tg_loop_t *loop;
    tg_uses_t *uses;
    tg_pg_pool_t *pool;
    tg_metrics_shard_t *shard;
    tg_timer_t timer;
    tg_pg_call_t *call; /* the report under way */
    size_t reported;    /* keys in it */
    size_t count;
    struct use items[LIST_MAX];
};

tg_uses_t *tg_uses_create(void)
{
    return calloc(1, sizeof(tg_uses_t));
}

void tg_uses_destroy(tg_uses_t *uses)
{
    free(uses);
}

static void count_reported(tg_uses_list_t *list, tg_status_t status)
{
    if (list->shard != NULL)
        tg_metric_add(list->shard, GW_KEY_USES, status == TG_OK ? GW_USES_WRITTEN : GW_USES_LOST,
                      list->reported);
    list->reported = 0;
}

static void on_reported(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    (void)answer;
    tg_uses_list_t *list = arg;
    list->call = NULL;
    count_reported(list, status);
}

/* Two array literals: ids, which are letters and digits, and seconds. */
static bool write_report(const tg_uses_list_t *list, tg_buf_t *ids, tg_buf_t *seconds)
{
    int64_t now_us = (int64_t)tg_time_mono_us();
    for (size_t i = 0; i < list->count; i++) {
        const struct use *use = &list->items[i];
        tg_buf_byte(ids, i == 0 ? '{' : ',');
        tg_buf_append(ids, use->id, sizeof(use->id));
        tg_buf_byte(seconds, i == 0 ? '{' : ',');
        tg_buf_i64(seconds, (now_us - use->at_us) / TG_US_PER_SECOND);
    }
    tg_buf_byte(ids, '}');
    tg_buf_byte(seconds, '}');
    return !ids->failed && !seconds->failed;
}

static void report(tg_uses_list_t *list)
{
    assert(list->call == NULL);
    tg_buf_t ids = tg_buf_make(LIST_MAX * 16), seconds = tg_buf_make(LIST_MAX * 24);
    list->reported = list->count;
    if (write_report(list, &ids, &seconds)) {
        const tg_pg_stmt_t stmt = {"select control.note_key_uses($1::text[], $2::integer[])",
                                   2,
                                   {tg_buf_view(&ids), tg_buf_view(&seconds)}};
        list->call = tg_pg_call(list->pool, NULL, &stmt, 1, tg_loop_now_ms(list->loop) + TIMEOUT_MS,
                                on_reported, list);
    }
    if (list->call == NULL)
        count_reported(list, TG_NOMEM);
    list->count = 0;
    tg_buf_dispose(&ids);
    tg_buf_dispose(&seconds);
}

static void on_timer(void *arg)
{
    tg_uses_list_t *list = arg;
    if (list->count > 0 && list->call == NULL)
        report(list);
    tg_timer_start(list->loop, &list->timer, REPORT_MS, on_timer, list);
}

tg_uses_list_t *tg_uses_list_open(tg_loop_t *loop, tg_uses_t *uses, tg_pg_pool_t *pool,
                                  tg_metrics_shard_t *shard)
{
    assert(uses != NULL);
    assert(pool != NULL);
    tg_uses_list_t *list = calloc(1, sizeof(*list));
    if (list == NULL)
        return NULL;
    list->loop = loop;
    list->uses = uses;
    list->pool = pool;
    list->shard = shard;
    on_timer(list);
    return list;
}

void tg_uses_list_close(tg_uses_list_t *list)
{
    if (list == NULL)
        return;
    tg_timer_stop(&list->timer);
    tg_pg_call_cancel(list->call);
    free(list);
}

void tg_uses_note(tg_uses_list_t *list, const char *key_id, int64_t now_us)
{
    assert(list != NULL);
    assert(key_id != NULL);
    uint64_t hash = tg_hash_table((tg_str_t){key_id, TG_KEY_ID_LEN});
    uint32_t now_s = (uint32_t)(now_us / TG_US_PER_SECOND), tag = (uint32_t)(hash >> 32) | 1U;
    _Atomic uint64_t *place = &list->uses->places[hash % PLACES];
    uint64_t seen = atomic_load_explicit(place, memory_order_relaxed);
    if ((uint32_t)(seen >> 32) == tag && now_s - (uint32_t)seen < AGAIN_S)
        return;
    if (list->count == LIST_MAX)
        return;
    uint64_t mine = (uint64_t)tag << 32 | now_s;
    if (!atomic_compare_exchange_strong_explicit(place, &seen, mine, memory_order_relaxed,
                                                 memory_order_relaxed))
        return; /* another thread has it */
    struct use *use = &list->items[list->count++];
    memcpy(use->id, key_id, sizeof(use->id));
    use->at_us = now_us;
}
