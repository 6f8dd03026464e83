/* Open addressing with linear probing, at most half full. Ids may be chosen by a client, so the
 * hash is keyed by random bytes of the process. */
#include "ingestion/batch/idset.h"

#include <stdlib.h>

#include "common/base/hash.h"

struct slot {
    tg_identity_t identity;
    uint32_t index; /* TG_IDSET_NONE: free */
};

struct tg_idset {
    uint64_t key[2];
    size_t mask; /* slots - 1 */
    size_t len, max;
    struct slot slots[];
};

static uint64_t mix(uint64_t value)
{
    value ^= value >> 32;
    value *= UINT64_C(0xd6e8feb86659fd93);
    value ^= value >> 32;
    value *= UINT64_C(0xd6e8feb86659fd93);
    return value ^ value >> 32;
}

static uint64_t hash_of(const tg_idset_t *set, const tg_identity_t *identity)
{
    uint64_t half[2];
    memcpy(half, identity->id.bytes, sizeof(half));
    uint64_t hash = mix(half[0] ^ set->key[0]);
    hash = mix(hash ^ half[1] ^ set->key[1]);
    return mix(hash ^ (uint64_t)identity->occurred_at ^ (uint64_t)identity->type << 48);
}

static bool same(const tg_identity_t *a, const tg_identity_t *b)
{
    return memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes)) == 0 &&
           a->occurred_at == b->occurred_at && a->type == b->type;
}

tg_idset_t *tg_idset_create(size_t max_items)
{
    assert(max_items < TG_IDSET_NONE / 2);
    size_t slots = 16;
    while (slots < 2 * max_items)
        slots *= 2;
    tg_idset_t *set = malloc(sizeof(*set) + slots * sizeof(set->slots[0]));
    if (set == NULL)
        return NULL;
    tg_hash_random(set->key, sizeof(set->key));
    set->mask = slots - 1;
    set->len = 0;
    set->max = max_items;
    for (size_t i = 0; i < slots; i++)
        set->slots[i].index = TG_IDSET_NONE;
    return set;
}

void tg_idset_destroy(tg_idset_t *set)
{
    free(set);
}

uint32_t tg_idset_add(tg_idset_t *set, const tg_identity_t *identity, uint32_t index)
{
    assert(index != TG_IDSET_NONE);
    size_t at = hash_of(set, identity) & set->mask;
    for (; set->slots[at].index != TG_IDSET_NONE; at = (at + 1) & set->mask) {
        if (same(&set->slots[at].identity, identity))
            return set->slots[at].index;
    }
    assert(set->len < set->max);
    set->slots[at] = (struct slot){*identity, index};
    set->len++;
    return TG_IDSET_NONE;
}
