/* One recursive comparison with a memo of pairs. A pair that is being compared counts as readable,
 * which ends recursion; its verdict is kept. Whether a pair fails is decided at its first
 * comparison, in the order in which Java compares, because a verdict that leaned on an unfinished
 * one is kept as well.
 *
 * Branches of a reader's union are probed: their failures are not listed, only that no branch fits.
 * A pair that failed in a probe and is met again outside is compared once more, to list why.
 *
 * The place is a chain of steps on the stack; it is written out only for what is listed
 * (compat_words.c). */
#include "common/avro/compat.h"

#include <stdlib.h>

#include "common/avro/compat_words.h"
#include "common/avro/internal.h"

#define PAIRS_MIN 64 /* slots of the memo at first; a power of two */

enum verdict { IN_WORK, READABLE, FAILED, LISTED };

struct pair {
    const tg_avro_type_t *reader, *writer; /* NULL: an empty slot */
    enum verdict verdict;
};

struct checker {
    struct tg_avro_failures list;
    struct pair *pairs;
    size_t slots, pair_count;
    unsigned steps, depth;
    tg_status_t status; /* what ended the check early */
    bool ambiguous;     /* a field matched several: nothing can be read, whatever the unions say */
};

static bool check(struct checker *c, const tg_avro_type_t *reader, const tg_avro_type_t *writer,
                  struct tg_avro_place at);

/* --- the memo --- */

static size_t pair_hash(const tg_avro_type_t *reader, const tg_avro_type_t *writer)
{
    uint64_t mixed = (uint64_t)(uintptr_t)reader * UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= (uint64_t)(uintptr_t)writer * UINT64_C(0xc2b2ae3d27d4eb4f);
    return (size_t)(mixed >> 20 ^ mixed);
}

/* The pair's slot, or the empty one where it belongs. */
static struct pair *find_pair(struct pair *pairs, size_t slots, const tg_avro_type_t *reader,
                              const tg_avro_type_t *writer)
{
    assert((slots & (slots - 1)) == 0);
    size_t at = pair_hash(reader, writer) & (slots - 1);
    while (pairs[at].reader != NULL && (pairs[at].reader != reader || pairs[at].writer != writer))
        at = (at + 1) & (slots - 1);
    return &pairs[at];
}

static bool grow_pairs(struct checker *c)
{
    assert(c->pair_count <= c->slots);
    size_t slots = c->slots == 0 ? PAIRS_MIN : 2 * c->slots;
    struct pair *pairs = calloc(slots, sizeof(*pairs));
    if (pairs == NULL) {
        c->status = TG_NOMEM;
        return false;
    }
    for (size_t i = 0; i < c->slots; i++) {
        if (c->pairs[i].reader != NULL)
            *find_pair(pairs, slots, c->pairs[i].reader, c->pairs[i].writer) = c->pairs[i];
    }
    free(c->pairs);
    c->pairs = pairs;
    c->slots = slots;
    return true;
}

/* Gives the pair's slot, new ones IN_WORK; NULL without memory or at the limit. */
static struct pair *recall(struct checker *c, const tg_avro_type_t *reader,
                           const tg_avro_type_t *writer, bool *out_new)
{
    if (4 * (c->pair_count + 1) > 3 * c->slots && !grow_pairs(c))
        return NULL;
    struct pair *pair = find_pair(c->pairs, c->slots, reader, writer);
    *out_new = pair->reader == NULL;
    if (*out_new && c->pair_count == TG_AVRO_COMPAT_PAIRS_MAX) {
        c->status = TG_TOO_LARGE;
        return NULL;
    }
    if (*out_new) {
        *pair = (struct pair){reader, writer, IN_WORK};
        c->pair_count++;
    }
    return pair;
}

/* --- named types --- */

bool tg_avro_names_match(const tg_avro_type_t *reader, const tg_avro_type_t *writer)
{
    assert(reader->name.len > 0);
    assert(writer->name.len > 0);
    if (tg_str_eq(tg_avro_short_name(reader->name), tg_avro_short_name(writer->name)))
        return true;
    bool spaced = tg_avro_space(reader->name).len > 0;
    for (uint32_t i = 0; i < reader->alias_count; i++) {
        /* Java never finds an alias without namespace of a type that has one. */
        bool bare = spaced && tg_avro_space(reader->aliases[i]).len == 0;
        if (!bare && tg_str_eq(reader->aliases[i], writer->name))
            return true;
    }
    return false;
}

static bool check_names(struct checker *c, const tg_avro_type_t *reader,
                        const tg_avro_type_t *writer, struct tg_avro_place at)
{
    return tg_avro_names_match(reader, writer) || tg_avro_fail_name(&c->list, at, reader, writer);
}

static bool check_fixed(struct checker *c, const tg_avro_type_t *reader,
                        const tg_avro_type_t *writer, struct tg_avro_place at)
{
    assert(reader->kind == TG_AVRO_FIXED);
    assert(writer->kind == TG_AVRO_FIXED);
    bool named = check_names(c, reader, writer, at);
    if (reader->size != writer->size)
        return tg_avro_fail_size(&c->list, at, reader, writer);
    return named;
}

static bool has_symbols(const tg_avro_type_t *reader, const tg_avro_type_t *writer)
{
    for (uint32_t i = 0; i < writer->count; i++) {
        if (tg_avro_type_find(reader, writer->symbols[i]) < 0)
            return false;
    }
    return true;
}

static bool check_enum(struct checker *c, const tg_avro_type_t *reader,
                       const tg_avro_type_t *writer, struct tg_avro_place at)
{
    assert(reader->kind == TG_AVRO_ENUM);
    assert(writer->kind == TG_AVRO_ENUM);
    bool named = check_names(c, reader, writer, at);
    if (reader->default_symbol < 0 && !has_symbols(reader, writer))
        return tg_avro_fail_symbols(&c->list, at, reader, writer);
    return named;
}

/* How many of the writer's fields the reader's field stands for; the last of them in *out. */
static unsigned find_writer_field(const tg_avro_type_t *writer, const tg_avro_field_t *field,
                                  const tg_avro_field_t **out)
{
    assert(writer->kind == TG_AVRO_RECORD);
    int index = tg_avro_type_find(writer, field->name);
    unsigned count = index >= 0;
    for (uint32_t i = 0; i < field->alias_count; i++) {
        int other = tg_avro_type_find(writer, field->aliases[i]);
        count += other >= 0;
        index = other >= 0 ? other : index;
    }
    if (count > 0)
        *out = &writer->fields[index];
    return count;
}

static bool check_field(struct checker *c, const tg_avro_field_t *field,
                        const tg_avro_type_t *writer, struct tg_avro_place at)
{
    const tg_avro_field_t *source = NULL;
    struct tg_avro_step type_step = {at.step, "type", 0};
    struct tg_avro_place type_place = {&type_step, at.listed};
    unsigned matches = find_writer_field(writer, field, &source);
    if (matches > 1) {
        at.listed = at.listed || !c->ambiguous; /* it decides the verdict, so it is never silent */
        c->ambiguous = true;
        return tg_avro_fail_ambiguous(&c->list, at, field);
    }
    if (matches == 1)
        return check(c, field->type, source->type, type_place);
    if (field->has_default)
        return true;
    /* An enum's own default does not stand in for the field's: Java compares it with the record. */
    if (field->type->kind == TG_AVRO_ENUM && field->type->default_symbol >= 0)
        return tg_avro_fail_type(&c->list, type_place, field->type, writer);
    return tg_avro_fail_missing(&c->list, at, field);
}

static bool check_record(struct checker *c, const tg_avro_type_t *reader,
                         const tg_avro_type_t *writer, struct tg_avro_place at)
{
    assert(reader->kind == TG_AVRO_RECORD);
    assert(writer->kind == TG_AVRO_RECORD);
    bool ok = check_names(c, reader, writer, at);
    struct tg_avro_step fields = {at.step, "fields", 0};
    for (uint32_t i = 0; i < reader->count && c->status == TG_OK; i++) {
        struct tg_avro_step step = {&fields, NULL, i};
        ok = check_field(c, &reader->fields[i], writer, (struct tg_avro_place){&step, at.listed}) &&
             ok;
    }
    return ok;
}

/* --- the rest --- */

static bool check_items(struct checker *c, const tg_avro_type_t *reader,
                        const tg_avro_type_t *writer, struct tg_avro_place at)
{
    assert(reader->kind == writer->kind);
    struct tg_avro_step step = {at.step, reader->kind == TG_AVRO_ARRAY ? "items" : "values", 0};
    return check(c, reader->items, writer->items, (struct tg_avro_place){&step, at.listed});
}

/* All branches of the writer's union must be readable. */
static bool check_branches(struct checker *c, const tg_avro_type_t *reader,
                           const tg_avro_type_t *writer, struct tg_avro_place at)
{
    assert(writer->kind == TG_AVRO_UNION);
    bool ok = true;
    for (uint32_t i = 0; i < writer->count && c->status == TG_OK; i++) {
        const tg_avro_type_t *branch = writer->branches[i];
        struct tg_avro_step step = {at.step, NULL, i};
        struct tg_avro_place inside = {&step, at.listed};
        if (reader->kind != TG_AVRO_UNION)
            ok = check(c, reader, branch, inside) && ok;
        else if (!check(c, reader, branch, (struct tg_avro_place){&step, false}))
            ok = tg_avro_fail_branch(&c->list, inside, branch);
    }
    return ok;
}

/* Some branch of the reader's union must read the writer's type. */
static bool check_choice(struct checker *c, const tg_avro_type_t *reader,
                         const tg_avro_type_t *writer, struct tg_avro_place at)
{
    assert(reader->kind == TG_AVRO_UNION);
    assert(writer->kind != TG_AVRO_UNION);
    for (uint32_t i = 0; i < reader->count && c->status == TG_OK; i++) {
        if (check(c, reader->branches[i], writer, (struct tg_avro_place){at.step, false}))
            return true;
    }
    return tg_avro_fail_branch(&c->list, at, writer);
}

static bool is_promotion(tg_avro_kind_t reader, tg_avro_kind_t writer)
{
    if (reader >= TG_AVRO_LONG && reader <= TG_AVRO_DOUBLE)
        return writer >= TG_AVRO_INT && writer < reader;
    return (reader == TG_AVRO_BYTES && writer == TG_AVRO_STRING) ||
           (reader == TG_AVRO_STRING && writer == TG_AVRO_BYTES);
}

static bool compare_same(struct checker *c, const tg_avro_type_t *reader,
                         const tg_avro_type_t *writer, struct tg_avro_place at)
{
    assert(reader->kind == writer->kind);
    switch (reader->kind) {
    case TG_AVRO_RECORD:
        return check_record(c, reader, writer, at);
    case TG_AVRO_ENUM:
        return check_enum(c, reader, writer, at);
    case TG_AVRO_FIXED:
        return check_fixed(c, reader, writer, at);
    case TG_AVRO_ARRAY:
    case TG_AVRO_MAP:
        return check_items(c, reader, writer, at);
    case TG_AVRO_UNION:
        return check_branches(c, reader, writer, at);
    default:
        return true;
    }
}

static bool compare(struct checker *c, const tg_avro_type_t *reader, const tg_avro_type_t *writer,
                    struct tg_avro_place at)
{
    if (reader->kind == writer->kind)
        return compare_same(c, reader, writer, at);
    if (writer->kind == TG_AVRO_UNION)
        return check_branches(c, reader, writer, at);
    if (reader->kind == TG_AVRO_UNION)
        return check_choice(c, reader, writer, at);
    return is_promotion(reader->kind, writer->kind) ||
           tg_avro_fail_type(&c->list, at, reader, writer);
}

/* Compares a pair of types that have parts, unless it is known. */
static bool check_pair(struct checker *c, const tg_avro_type_t *reader,
                       const tg_avro_type_t *writer, struct tg_avro_place at)
{
    bool fresh;
    struct pair *pair = recall(c, reader, writer, &fresh);
    if (pair == NULL)
        return false;
    if (!fresh && (pair->verdict == IN_WORK || pair->verdict == READABLE))
        return true;
    if (!fresh && (pair->verdict == LISTED || !at.listed))
        return false;
    if (!fresh)
        pair->verdict = LISTED; /* before it is met again inside */
    bool ok = compare(c, reader, writer, at);
    if (!fresh)
        return false;
    pair = find_pair(c->pairs, c->slots, reader, writer); /* the memo may have grown */
    pair->verdict = ok ? READABLE : at.listed ? LISTED : FAILED;
    return ok;
}

static bool check(struct checker *c, const tg_avro_type_t *reader, const tg_avro_type_t *writer,
                  struct tg_avro_place at)
{
    if (c->status != TG_OK)
        return false;
    if (c->steps == TG_AVRO_COMPAT_STEPS_MAX || c->depth == TG_AVRO_COMPAT_DEPTH_MAX) {
        c->status = TG_TOO_LARGE;
        return false;
    }
    c->steps++;
    c->depth++;
    bool parts = reader->kind >= TG_AVRO_RECORD && writer->kind >= TG_AVRO_RECORD;
    bool ok = parts ? check_pair(c, reader, writer, at) : compare(c, reader, writer, at);
    c->depth--;
    return ok;
}

tg_status_t tg_avro_compat_check(const tg_avro_type_t *reader, const tg_avro_type_t *writer,
                                 tg_avro_compat_t *out)
{
    assert(reader != NULL);
    assert(writer != NULL);
    assert(out != NULL);
    tg_avro_compat_t compat = {0};
    struct checker c = {.list = {.out = &compat}, .status = TG_OK};
    bool ok = check(&c, reader, writer, (struct tg_avro_place){NULL, true});
    free(c.pairs);
    if (c.list.no_memory)
        c.status = TG_NOMEM;
    if (c.status != TG_OK) {
        tg_avro_compat_dispose(&compat);
        return c.status;
    }
    compat.compatible = ok && !c.ambiguous;
    assert(compat.compatible == (compat.total == 0));
    *out = compat;
    return TG_OK;
}

void tg_avro_compat_dispose(tg_avro_compat_t *compat)
{
    if (compat == NULL)
        return;
    free(compat->found);
    *compat = (tg_avro_compat_t){0};
}
