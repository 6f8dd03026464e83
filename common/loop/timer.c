/* Timers of any length: a binary heap of pointers, each timer knowing its index, so that stopping
 * one in the middle costs as little as starting it. Without memory for the heap there is no way to
 * keep a deadline, and the process ends. */
#include <stdlib.h>

#include "common/loop/loop_private.h"

#define HEAP_FIRST 64

static void place(struct tg_loop_heap *heap, size_t index, tg_timer_t *timer)
{
    heap->items[index] = timer;
    timer->heap_index = index;
}

static void sift_up(struct tg_loop_heap *heap, size_t index, tg_timer_t *timer)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (heap->items[parent]->at_ms <= timer->at_ms)
            break;
        place(heap, index, heap->items[parent]);
        index = parent;
    }
    place(heap, index, timer);
}

static void sift_down(struct tg_loop_heap *heap, size_t index, tg_timer_t *timer)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->len)
            break;
        if (child + 1 < heap->len && heap->items[child + 1]->at_ms < heap->items[child]->at_ms)
            child++;
        if (timer->at_ms <= heap->items[child]->at_ms)
            break;
        place(heap, index, heap->items[child]);
        index = child;
    }
    place(heap, index, timer);
}

static void reserve_one(struct tg_loop_heap *heap)
{
    if (heap->len < heap->cap)
        return;
    size_t cap = heap->cap == 0 ? HEAP_FIRST : heap->cap * 2;
    tg_timer_t **items = realloc(heap->items, cap * sizeof(tg_timer_t *));
    if (items == NULL)
        abort();
    heap->items = items;
    heap->cap = cap;
}

void tg_timer_start(tg_loop_t *loop, tg_timer_t *timer, uint64_t after_ms, tg_loop_fn fn, void *arg)
{
    assert(loop != NULL);
    assert(timer != NULL);
    assert(fn != NULL);
    assert(timer->loop == NULL || timer->loop == loop);
    tg_timer_stop(timer);
    uint64_t now = tg_loop_now_ms(loop);
    timer->at_ms = after_ms > UINT64_MAX - now ? UINT64_MAX : now + after_ms;
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    reserve_one(&loop->timers);
    loop->timers.len++;
    sift_up(&loop->timers, loop->timers.len - 1, timer);
}

void tg_timer_stop(tg_timer_t *timer)
{
    assert(timer != NULL);
    if (timer->loop == NULL)
        return;
    struct tg_loop_heap *heap = &timer->loop->timers;
    size_t index = timer->heap_index;
    assert(index < heap->len);
    assert(heap->items[index] == timer);
    timer->loop = NULL;
    tg_timer_t *last = heap->items[--heap->len];
    if (last == timer)
        return;
    if (index > 0 && last->at_ms < heap->items[(index - 1) / 2]->at_ms)
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
}

void tg_loop_run_timers(tg_loop_t *loop)
{
    /* A timer may start itself again with no delay: the budget keeps it from holding the turn. */
    for (size_t budget = loop->timers.len; budget > 0 && loop->timers.len > 0; budget--) {
        tg_timer_t *timer = loop->timers.items[0];
        if (timer->at_ms > loop->now_ms)
            return;
        tg_loop_fn fn = timer->fn;
        void *arg = timer->arg;
        tg_timer_stop(timer);
        fn(arg); /* may free the timer */
        tg_loop_run_pending(loop);
    }
}

uint32_t tg_loop_timer_wait(const tg_loop_t *loop, uint32_t max_ms)
{
    if (loop->timers.len == 0)
        return max_ms;
    uint64_t at = loop->timers.items[0]->at_ms;
    uint64_t wait = at > loop->now_ms ? at - loop->now_ms : 0;
    return wait < max_ms ? (uint32_t)wait : max_ms;
}
