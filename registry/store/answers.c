/* Two hash tables of copies. */
#include "registry/store/answers.h"

#include <stdlib.h>

#include "common/base/table.h"
#include "registry/context.h"

#define OVERHEAD 96 /* of one entry: two allocations and its share of the table */
#define KEY_MAX  (4 + TG_CONTEXT_MAX)

struct answer {
    size_t len;
    char bytes[];
};

struct generation {
    tg_table_t *table;
    size_t bytes;
};

struct tg_answers {
    struct generation young, old;
    size_t max_bytes;
    uint64_t deletions;
};

struct key {
    char bytes[KEY_MAX];
    size_t len;
};

static struct key make_key(tg_str_t context, uint32_t id)
{
    struct key key = {.len = 4 + context.len};
    assert(context.len <= TG_CONTEXT_MAX);
    memcpy(key.bytes, &id, 4);
    if (context.len > 0)
        memcpy(key.bytes + 4, context.ptr, context.len);
    return key;
}

/* The bytes bound the entries, so this number only sizes nothing. */
static tg_table_t *make_table(size_t max_bytes)
{
    return tg_table_create(max_bytes / OVERHEAD + 1, free);
}

tg_answers_t *tg_answers_create(size_t max_bytes)
{
    assert(max_bytes >= (size_t)8 * OVERHEAD);
    tg_answers_t *answers = calloc(1, sizeof(*answers));
    if (answers == NULL)
        return NULL;
    answers->max_bytes = max_bytes;
    answers->young.table = make_table(max_bytes);
    answers->old.table = make_table(max_bytes);
    if (answers->young.table == NULL || answers->old.table == NULL) {
        tg_answers_destroy(answers);
        return NULL;
    }
    return answers;
}

void tg_answers_destroy(tg_answers_t *answers)
{
    if (answers == NULL)
        return;
    tg_table_destroy(answers->young.table);
    tg_table_destroy(answers->old.table);
    free(answers);
}

/* The young generation becomes the old one; false when there is no memory for a new one. */
static bool turn(tg_answers_t *answers)
{
    tg_table_t *fresh = make_table(answers->max_bytes);
    if (fresh == NULL)
        return false;
    tg_table_destroy(answers->old.table);
    answers->old = answers->young;
    answers->young = (struct generation){.table = fresh};
    return true;
}

bool tg_answers_see(tg_answers_t *answers, uint64_t deletions)
{
    if (deletions > answers->deletions) {
        if (!turn(answers) || !turn(answers))
            return false; /* out of memory: tried again at the next look, nothing is put meanwhile
                           */
        answers->deletions = deletions;
    }
    return deletions == answers->deletions;
}

/* The number has grown by one at least, so what is still under way cannot be put. */
void tg_answers_deleted(tg_answers_t *answers)
{
    (void)tg_answers_see(answers, answers->deletions + 1);
}

static void add(tg_answers_t *answers, const struct key *key, tg_str_t body)
{
    size_t bytes = OVERHEAD + key->len + body.len;
    if (bytes > answers->max_bytes / 8)
        return;
    struct answer *answer = malloc(sizeof(*answer) + body.len);
    if (answer == NULL)
        return;
    answer->len = body.len;
    memcpy(answer->bytes, body.ptr, body.len); /* before the turn, which may free `body` */
    bool full = answers->young.bytes + bytes > answers->max_bytes / 2;
    if ((!full || turn(answers)) &&
        tg_table_put(answers->young.table, (tg_str_t){key->bytes, key->len}, answer) == TG_OK)
        answers->young.bytes += bytes;
    else
        free(answer);
}

tg_str_t tg_answers_get(tg_answers_t *answers, tg_str_t context, uint32_t id)
{
    struct key key = make_key(context, id);
    tg_str_t name = {key.bytes, key.len};
    const struct answer *answer = tg_table_get(answers->young.table, name);
    if (answer != NULL)
        return (tg_str_t){answer->bytes, answer->len};
    answer = tg_table_get(answers->old.table, name);
    if (answer == NULL)
        return (tg_str_t){NULL, 0};
    add(answers, &key, (tg_str_t){answer->bytes, answer->len});
    /* Adding may have turned the generations, which keeps this one or frees it: look again. */
    answer = tg_table_get(answers->young.table, name);
    if (answer == NULL)
        answer = tg_table_get(answers->old.table, name);
    return answer == NULL ? (tg_str_t){NULL, 0} : (tg_str_t){answer->bytes, answer->len};
}

void tg_answers_put(tg_answers_t *answers, tg_str_t context, uint32_t id, tg_str_t body)
{
    struct key key = make_key(context, id);
    tg_str_t name = {key.bytes, key.len};
    if (body.len > 0 && tg_table_get(answers->young.table, name) == NULL)
        add(answers, &key, body);
}

size_t tg_answers_bytes(const tg_answers_t *answers)
{
    return answers->young.bytes + answers->old.bytes;
}
