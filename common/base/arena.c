/* Bump allocator over a chain of blocks, newest first.
 *
 * Blocks double from TG_ARENA_BLOCK_MIN up to TG_ARENA_BLOCK_MAX, so a small request costs one
 * malloc and a large document a handful. An allocation that is larger than a block gets one of its
 * own size. The first block survives a reset: a steady request rate calls malloc once per arena.
 *
 * The limit counts bytes handed out (rounded up to the alignment), not bytes held. */
#include "common/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#define TG_ARENA_BLOCK_MIN ((size_t)4 << 10)
#define TG_ARENA_BLOCK_MAX ((size_t)256 << 10)
#define ALIGN              alignof(max_align_t)

struct block {
    struct block *older;
    size_t used, size; /* of data */
    alignas(max_align_t) char data[];
};

struct tg_arena {
    struct block *newest; /* NULL before the first allocation */
    size_t used, max;
    size_t next_size; /* of the next block's data */
};

tg_arena_t *tg_arena_create(size_t max_bytes)
{
    assert(max_bytes > 0);
    tg_arena_t *arena = calloc(1, sizeof(*arena));
    if (arena == NULL)
        return NULL;
    arena->max = max_bytes;
    arena->next_size = TG_ARENA_BLOCK_MIN;
    return arena;
}

/* Frees all blocks but the first one ever allocated, which it returns (NULL when there is none). */
static struct block *free_newer_blocks(tg_arena_t *arena)
{
    struct block *block = arena->newest;
    while (block != NULL && block->older != NULL) {
        struct block *older = block->older;
        free(block);
        block = older;
    }
    arena->newest = block;
    return block;
}

void tg_arena_destroy(tg_arena_t *arena)
{
    if (arena == NULL)
        return;
    free(free_newer_blocks(arena));
    free(arena);
}

void tg_arena_reset(tg_arena_t *arena)
{
    assert(arena != NULL);
    struct block *first = free_newer_blocks(arena);
    if (first != NULL)
        first->used = 0;
    arena->used = 0;
    arena->next_size = TG_ARENA_BLOCK_MIN;
}

static struct block *add_block(tg_arena_t *arena, size_t size)
{
    size_t room = size > arena->next_size ? size : arena->next_size;
    struct block *block = malloc(sizeof(*block) + room);
    if (block == NULL)
        return NULL;
    block->older = arena->newest;
    block->used = 0;
    block->size = room;
    arena->newest = block;
    if (arena->next_size < TG_ARENA_BLOCK_MAX)
        arena->next_size *= 2;
    return block;
}

void *tg_arena_alloc(tg_arena_t *arena, size_t size)
{
    assert(arena != NULL);
    assert(arena->used <= arena->max);
    if (size > arena->max - arena->used)
        return NULL;
    size_t rounded = size == 0 ? ALIGN : (size + ALIGN - 1) & ~(ALIGN - 1);
    if (rounded < size || rounded > arena->max - arena->used)
        return NULL;
    struct block *block = arena->newest;
    if (block == NULL || rounded > block->size - block->used) {
        block = add_block(arena, rounded);
        if (block == NULL)
            return NULL;
    }
    void *start = block->data + block->used;
    block->used += rounded;
    arena->used += rounded;
    memset(start, 0, size);
    return start;
}

void *tg_arena_array(tg_arena_t *arena, size_t count, size_t size)
{
    size_t total = 0;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return tg_arena_alloc(arena, total);
}

tg_str_t tg_arena_copy(tg_arena_t *arena, tg_str_t text)
{
    assert(text.ptr != NULL || text.len == 0);
    char *copy = text.len == SIZE_MAX ? NULL : tg_arena_alloc(arena, text.len + 1);
    if (copy == NULL)
        return (tg_str_t){NULL, 0};
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    return (tg_str_t){copy, text.len};
}

size_t tg_arena_used(const tg_arena_t *arena)
{
    assert(arena != NULL);
    return arena->used;
}
