/* Copy on write by reference counts. A count of one means that no other snapshot holds the piece,
 * and none can come to hold it while the loader works: only copying a snapshot shares its pieces.
 */
#include "gateway/directory/pieces.h"

#include <stdlib.h>

/* --- plans --- */

tg_plan_box_t *tg_plan_box_create(tg_str_t name, const tg_plan_settings_t *plan,
                                  const tg_plan_settings_t *tenant)
{
    assert(plan != NULL);
    tg_plan_box_t *box = calloc(1, sizeof(*box));
    if (box == NULL)
        return NULL;
    atomic_init(&box->refs, 1);
    box->plan = tg_plan_resolve(name, plan, tenant);
    box->settings = tenant != NULL ? *tenant : *plan;
    return box;
}

tg_plan_box_t *tg_plan_box_ref(tg_plan_box_t *box)
{
    assert(box != NULL);
    atomic_fetch_add(&box->refs, 1);
    return box;
}

void tg_plan_box_unref(tg_plan_box_t *box)
{
    if (box != NULL && atomic_fetch_sub(&box->refs, 1) == 1)
        free(box);
}

/* --- tenants --- */

static void unref_chunk(tg_tenant_chunk_t *chunk)
{
    if (chunk == NULL || atomic_fetch_sub(&chunk->refs, 1) != 1)
        return;
    for (size_t i = 0; i < TG_CHUNK_TENANTS; i++)
        tg_plan_box_unref(chunk->slots[i].box);
    free(chunk);
}

static tg_tenant_chunk_t *copy_chunk(const tg_tenant_chunk_t *from)
{
    tg_tenant_chunk_t *chunk = calloc(1, sizeof(*chunk));
    if (chunk == NULL)
        return NULL;
    atomic_init(&chunk->refs, 1);
    for (size_t i = 0; from != NULL && i < TG_CHUNK_TENANTS; i++) {
        chunk->slots[i] = from->slots[i];
        if (chunk->slots[i].box != NULL)
            (void)tg_plan_box_ref(chunk->slots[i].box);
    }
    return chunk;
}

const tg_tenant_slot_t *tg_directory_slot(const tg_directory_t *directory, uint32_t number)
{
    assert(number < TG_DIRECTORY_TENANTS_MAX);
    const tg_tenant_chunk_t *chunk = directory->chunks[number / TG_CHUNK_TENANTS];
    if (chunk == NULL)
        return NULL;
    const tg_tenant_slot_t *slot = &chunk->slots[number % TG_CHUNK_TENANTS];
    return slot->tenant.id[0] != '\0' ? slot : NULL;
}

tg_tenant_slot_t *tg_directory_own_slot(tg_directory_t *directory, uint32_t number)
{
    assert(number < TG_DIRECTORY_TENANTS_MAX);
    tg_tenant_chunk_t **place = &directory->chunks[number / TG_CHUNK_TENANTS];
    if (*place == NULL || atomic_load(&(*place)->refs) > 1) {
        tg_tenant_chunk_t *chunk = copy_chunk(*place);
        if (chunk == NULL)
            return NULL;
        unref_chunk(*place);
        *place = chunk;
    }
    return &(*place)->slots[number % TG_CHUNK_TENANTS];
}

/* --- keys --- */

static uint64_t *hashes_of(const tg_key_shard_t *shard)
{
    return (uint64_t *)(uintptr_t)&shard->keys[shard->capacity];
}

static size_t shard_size(uint32_t capacity)
{
    return sizeof(tg_key_shard_t) + capacity * (sizeof(tg_api_key_t) + sizeof(uint64_t));
}

_Static_assert(sizeof(tg_key_shard_t) % sizeof(uint64_t) == 0, "keys begin aligned");
_Static_assert(sizeof(tg_api_key_t) % sizeof(uint64_t) == 0, "hashes behind them as well");

static void unref_shard(tg_key_shard_t *shard)
{
    if (shard != NULL && atomic_fetch_sub(&shard->refs, 1) == 1)
        free(shard);
}

static tg_key_shard_t *copy_shard(const tg_key_shard_t *from, uint32_t capacity)
{
    assert(from == NULL || from->count <= capacity);
    tg_key_shard_t *shard = malloc(shard_size(capacity));
    if (shard == NULL)
        return NULL;
    atomic_init(&shard->refs, 1);
    shard->count = from == NULL ? 0 : from->count;
    shard->capacity = capacity;
    if (shard->count > 0) {
        memcpy(shard->keys, from->keys, shard->count * sizeof(shard->keys[0]));
        memcpy(hashes_of(shard), hashes_of(from), shard->count * sizeof(uint64_t));
    }
    return shard;
}

/* The shard, this snapshot's alone, with room for one more key. */
static tg_key_shard_t *own_shard(tg_directory_t *directory, size_t index)
{
    tg_key_shard_t **place = &directory->shards[index];
    uint32_t count = *place == NULL ? 0 : (*place)->count;
    if (*place == NULL || atomic_load(&(*place)->refs) > 1 || count == (*place)->capacity) {
        tg_key_shard_t *shard = copy_shard(*place, count + 2 + count / 8);
        if (shard == NULL)
            return NULL;
        unref_shard(*place);
        *place = shard;
    }
    return *place;
}

static size_t shard_of(uint64_t hash)
{
    return (size_t)(hash >> (64 - TG_SHARD_BITS));
}

/* The first place whose hash is not below `hash`. */
static uint32_t lower_bound(const tg_key_shard_t *shard, uint64_t hash)
{
    const uint64_t *hashes = hashes_of(shard);
    uint32_t low = 0, high = shard->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (hashes[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The key's place, or UINT32_MAX. */
static uint32_t find_in(const tg_key_shard_t *shard, uint64_t hash, tg_str_t id)
{
    if (shard == NULL || id.len != TG_KEY_ID_LEN)
        return UINT32_MAX;
    const uint64_t *hashes = hashes_of(shard);
    for (uint32_t i = lower_bound(shard, hash); i < shard->count && hashes[i] == hash; i++) {
        if (memcmp(shard->keys[i].id, id.ptr, TG_KEY_ID_LEN) == 0)
            return i;
    }
    return UINT32_MAX;
}

const tg_api_key_t *tg_directory_find(const tg_directory_t *directory, tg_str_t key_id,
                                      const tg_tenant_t **out_tenant)
{
    assert(directory != NULL);
    assert(out_tenant != NULL);
    uint64_t hash = tg_hash_table(key_id);
    const tg_key_shard_t *shard = directory->shards[shard_of(hash)];
    uint32_t at = find_in(shard, hash, key_id);
    if (at == UINT32_MAX)
        return NULL;
    const tg_tenant_slot_t *slot = tg_directory_slot(directory, shard->keys[at].tenant);
    if (slot == NULL)
        return NULL;
    *out_tenant = &slot->tenant;
    return &shard->keys[at];
}

tg_status_t tg_directory_put_key(tg_directory_t *directory, const tg_api_key_t *key)
{
    assert(key->tenant < TG_DIRECTORY_TENANTS_MAX);
    tg_str_t id = {key->id, TG_KEY_ID_LEN};
    uint64_t hash = tg_hash_table(id);
    tg_key_shard_t *shard = own_shard(directory, shard_of(hash));
    if (shard == NULL)
        return TG_NOMEM;
    uint32_t at = find_in(shard, hash, id);
    if (at != UINT32_MAX) {
        shard->keys[at] = *key;
        return TG_OK;
    }
    at = lower_bound(shard, hash);
    uint64_t *hashes = hashes_of(shard);
    uint32_t behind = shard->count - at;
    assert(shard->count < shard->capacity);
    memmove(&shard->keys[at + 1], &shard->keys[at], behind * sizeof(shard->keys[0]));
    memmove(&hashes[at + 1], &hashes[at], behind * sizeof(hashes[0]));
    shard->keys[at] = *key;
    hashes[at] = hash;
    shard->count++;
    return TG_OK;
}

static void remove_at(tg_key_shard_t *shard, uint32_t at)
{
    assert(at < shard->count);
    uint64_t *hashes = hashes_of(shard);
    uint32_t behind = shard->count - at - 1;
    memmove(&shard->keys[at], &shard->keys[at + 1], behind * sizeof(shard->keys[0]));
    memmove(&hashes[at], &hashes[at + 1], behind * sizeof(hashes[0]));
    shard->count--;
}

tg_status_t tg_directory_drop_key(tg_directory_t *directory, tg_str_t id)
{
    uint64_t hash = tg_hash_table(id);
    size_t index = shard_of(hash);
    uint32_t at = find_in(directory->shards[index], hash, id);
    if (at == UINT32_MAX)
        return TG_OK;
    tg_key_shard_t *shard = own_shard(directory, index);
    if (shard == NULL)
        return TG_NOMEM;
    remove_at(shard, at);
    return TG_OK;
}

tg_status_t tg_directory_drop_keys_of(tg_directory_t *directory, const bool *gone)
{
    for (size_t i = 0; i < TG_SHARDS; i++) {
        for (uint32_t at = directory->shards[i] == NULL ? 0 : directory->shards[i]->count; at > 0;
             at--) {
            if (!gone[directory->shards[i]->keys[at - 1].tenant])
                continue;
            tg_key_shard_t *shard = own_shard(directory, i);
            if (shard == NULL)
                return TG_NOMEM;
            remove_at(shard, at - 1);
        }
    }
    return TG_OK;
}

/* --- the snapshot --- */

tg_directory_t *tg_directory_copy(const tg_directory_t *from)
{
    tg_directory_t *directory = calloc(1, sizeof(*directory));
    if (directory == NULL)
        return NULL;
    if (from != NULL)
        memcpy(directory, from, sizeof(*directory));
    atomic_init(&directory->refs, 1);
    for (size_t i = 0; i < TG_DIRECTORY_PLANS_MAX; i++)
        if (directory->plans[i] != NULL)
            (void)tg_plan_box_ref(directory->plans[i]);
    for (size_t i = 0; i < TG_CHUNKS; i++)
        if (directory->chunks[i] != NULL)
            atomic_fetch_add(&directory->chunks[i]->refs, 1);
    for (size_t i = 0; i < TG_SHARDS; i++)
        if (directory->shards[i] != NULL)
            atomic_fetch_add(&directory->shards[i]->refs, 1);
    return directory;
}

void tg_directory_unref(tg_directory_t *directory)
{
    if (directory == NULL || atomic_fetch_sub(&directory->refs, 1) != 1)
        return;
    for (size_t i = 0; i < TG_SHARDS; i++)
        unref_shard(directory->shards[i]);
    for (size_t i = 0; i < TG_CHUNKS; i++)
        unref_chunk(directory->chunks[i]);
    for (size_t i = 0; i < TG_DIRECTORY_PLANS_MAX; i++)
        tg_plan_box_unref(directory->plans[i]);
    free(directory);
}

void tg_directory_release(void *snapshot, void *arg)
{
    (void)arg;
    tg_directory_unref(snapshot);
}

static void measure_chunk(const tg_tenant_chunk_t *chunk, tg_directory_stats_t *stats)
{
    if (chunk == NULL)
        return;
    stats->bytes += sizeof(*chunk);
    for (size_t i = 0; i < TG_CHUNK_TENANTS; i++) {
        stats->tenants += chunk->slots[i].tenant.id[0] != '\0';
        stats->bytes += chunk->slots[i].own ? sizeof(tg_plan_box_t) : 0;
    }
}

void tg_directory_measure(tg_directory_t *directory)
{
    tg_directory_stats_t stats = {.load_us = directory->stats.load_us,
                                  .whole = directory->stats.whole,
                                  .bytes = sizeof(*directory)};
    for (size_t i = 0; i < TG_DIRECTORY_PLANS_MAX; i++) {
        stats.plans += directory->plans[i] != NULL;
        stats.bytes += directory->plans[i] != NULL ? sizeof(tg_plan_box_t) : 0;
    }
    for (size_t i = 0; i < TG_CHUNKS; i++)
        measure_chunk(directory->chunks[i], &stats);
    for (size_t i = 0; i < TG_SHARDS; i++) {
        const tg_key_shard_t *shard = directory->shards[i];
        stats.keys += shard == NULL ? 0 : shard->count;
        stats.bytes += shard == NULL ? 0 : shard_size(shard->capacity);
    }
    directory->stats = stats;
}

tg_directory_stats_t tg_directory_stats(const tg_directory_t *directory)
{
    assert(directory != NULL);
    return directory->stats;
}
