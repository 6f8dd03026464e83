/* One recursive comparison with a memo of pairs. A pair that is being compared counts as readable,
 * which ends recursion; its verdict is kept. Whether a pair fails is decided at its first
 * comparison, in the order in which Java compares, because a verdict that leaned on an unfinished
 * one is kept as well.
 *
 * Branches of a reader's union are probed: their failures are not listed, only that no branch fits.
 * A pair that failed in a probe and is met again outside is compared once more, to list why.
 *
 * The place is a chain of steps on the stack; it is written out only for what is listed. */
#include "common/avro/compat.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/avro/internal.h"

#define PAIRS_MIN 64 /* slots of the memo at first; a power of two */

enum verdict { IN_WORK, READABLE, FAILED, LISTED };

struct pair {
    const tg_avro_type_t *reader, *writer; /* NULL: an empty slot */
    enum verdict verdict;
};

struct checker {
    tg_avro_compat_t *out;
    struct pair *pairs;
    size_t slots, pair_count;
    unsigned steps, depth;
    tg_status_t status; /* what ended the check early */
    bool ambiguous;     /* a field matched several: nothing can be read, whatever the unions say */
};

/* A step of a JSON pointer: a name or an index. */
struct step {
    const struct step *up; /* NULL at the root, which is no step */
    const char *name;      /* NULL: the index */
    uint32_t index;
};

/* Where two types meet, and whether failures are listed. */
struct place {
    const struct step *step;
    bool listed;
};

static bool check(struct checker *c, const tg_avro_type_t *reader, const tg_avro_type_t *writer,
                  struct place at);

static const char *const java_kinds[TG_AVRO_KINDS] = {
    "NULL",   "BOOLEAN", "INT",  "LONG",  "FLOAT", "DOUBLE", "BYTES",
    "STRING", "RECORD",  "ENUM", "FIXED", "ARRAY", "MAP",    "UNION",
};

const char *tg_avro_incompat_name(tg_avro_incompat_t type)
{
    static const char *const names[TG_AVRO_INCOMPATS] = {
        "NAME_MISMATCH",        "FIXED_SIZE_MISMATCH",
        "MISSING_ENUM_SYMBOLS", "READER_FIELD_MISSING_DEFAULT_VALUE",
        "TYPE_MISMATCH",        "MISSING_UNION_BRANCH",
    };
    assert(type < TG_AVRO_INCOMPATS);
    return names[type];
}

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

/* Gives the pair's slot, new ones IN_WORK; NULL without memory. */
static struct pair *recall(struct checker *c, const tg_avro_type_t *reader,
                           const tg_avro_type_t *writer, bool *out_new)
{
    if (4 * (c->pair_count + 1) > 3 * c->slots && !grow_pairs(c))
        return NULL;
    struct pair *pair = find_pair(c->pairs, c->slots, reader, writer);
    *out_new = pair->reader == NULL;
    if (*out_new) {
        *pair = (struct pair){reader, writer, IN_WORK};
        c->pair_count++;
    }
    return pair;
}

/* --- the list --- */

static void write_path(const struct step *step, tg_buf_t *out)
{
    const struct step *steps[3 * TG_AVRO_COMPAT_DEPTH_MAX + 3];
    size_t count = 0;
    for (; step != NULL; step = step->up) {
        assert(count < TG_ARRAY_LEN(steps));
        steps[count++] = step;
    }
    if (count == 0)
        tg_buf_byte(out, '/');
    for (; count > 0; count--) {
        step = steps[count - 1];
        if (step->name != NULL)
            tg_buf_printf(out, "/%s", step->name);
        else
            tg_buf_printf(out, "/%u", (unsigned)step->index);
    }
}

/* Room for one more in the list, NULL when it is full or without memory. */
static tg_avro_incompatibility_t *next_found(struct checker *c)
{
    tg_avro_compat_t *out = c->out;
    out->total++;
    if (out->count == TG_AVRO_COMPAT_FOUND_MAX)
        return NULL;
    if ((out->count & (out->count - 1)) == 0) { /* full at each power of two */
        size_t room = out->count == 0 ? 1 : 2 * out->count;
        void *found = realloc(out->found, room * sizeof(*out->found));
        if (found == NULL) {
            c->status = TG_NOMEM;
            return NULL;
        }
        out->found = found;
    }
    return &out->found[out->count++];
}

static tg_avro_incompatibility_t *list(struct checker *c, struct place at, tg_avro_incompat_t type,
                                       const char *member)
{
    tg_avro_incompatibility_t *found = at.listed ? next_found(c) : NULL;
    if (found == NULL)
        return NULL;
    struct step last = {at.step, member, 0};
    tg_buf_t path = tg_buf_make(16 << 10);
    write_path(member != NULL ? &last : at.step, &path);
    *found = (tg_avro_incompatibility_t){.type = type};
    snprintf(found->path, sizeof(found->path), "%.*s", (int)path.len,
             path.data != NULL ? path.data : "");
    tg_buf_dispose(&path);
    return found;
}

static void say_detail(tg_avro_incompatibility_t *found, const char *format, ...) TG_PRINTF(2, 3);
static void say(tg_avro_incompatibility_t *found, const char *format, ...) TG_PRINTF(2, 3);

static void say_detail(tg_avro_incompatibility_t *found, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(found->detail, sizeof(found->detail), format, args);
    va_end(args);
}

static void say(tg_avro_incompatibility_t *found, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(found->message, sizeof(found->message), format, args);
    va_end(args);
}

/* "record a.b.Order", "int": for messages. */
static void describe(const tg_avro_type_t *type, char *out, size_t size)
{
    snprintf(out, size, "%s%s%.96s", tg_avro_kind_name(type->kind), type->name.len > 0 ? " " : "",
             type->name.len > 0 ? type->name.ptr : "");
}

/* --- failures --- */

static bool fail_type(struct checker *c, const tg_avro_type_t *reader, const tg_avro_type_t *writer,
                      struct place at)
{
    tg_avro_incompatibility_t *found = list(c, at, TG_AVRO_TYPE_MISMATCH, NULL);
    if (found == NULL)
        return false;
    char ours[128], theirs[128];
    describe(reader, ours, sizeof(ours));
    describe(writer, theirs, sizeof(theirs));
    say_detail(found, "reader type: %s not compatible with writer type: %s",
               java_kinds[reader->kind], java_kinds[writer->kind]);
    say(found,
        "at %s the reader has %s, which cannot be read from the writer's %s; keep the type, use "
        "one that it can become (int → long → float → double, string ↔ bytes), or a union that "
        "has both",
        found->path, ours, theirs);
    return false;
}

static bool fail_branch(struct checker *c, const tg_avro_type_t *writer, struct place at)
{
    tg_avro_incompatibility_t *found = list(c, at, TG_AVRO_MISSING_UNION_BRANCH, NULL);
    if (found == NULL)
        return false;
    char theirs[128];
    describe(writer, theirs, sizeof(theirs));
    say_detail(found, "reader union lacking writer type: %s", java_kinds[writer->kind]);
    say(found,
        "at %s no branch of the reader's union can read the writer's %s; add a branch that can",
        found->path, theirs);
    return false;
}

static bool fail_ambiguous(struct checker *c, const tg_avro_field_t *field, struct place at)
{
    bool known = c->ambiguous;
    c->ambiguous = true;
    at.listed = at.listed || !known; /* it decides the whole verdict, so it is never silent */
    tg_avro_incompatibility_t *found = list(c, at, TG_AVRO_NAME_MISMATCH, NULL);
    if (found == NULL)
        return false;
    say_detail(found, "%.128s", field->name.ptr);
    say(found,
        "at %s the reader's field %.128s matches several fields of the writer by its name and "
        "aliases; leave it only one of them",
        found->path, field->name.ptr);
    return false;
}

static bool fail_missing(struct checker *c, const tg_avro_field_t *field, struct place at)
{
    tg_avro_incompatibility_t *found =
        list(c, at, TG_AVRO_READER_FIELD_MISSING_DEFAULT_VALUE, NULL);
    if (found == NULL)
        return false;
    say_detail(found, "%.128s", field->name.ptr);
    say(found,
        "the field %.128s at %s is missing in the writer's schema and has no default in the "
        "reader's; give it a default, or an alias that names the field it replaces",
        field->name.ptr, found->path);
    return false;
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
                        const tg_avro_type_t *writer, struct place at)
{
    if (tg_avro_names_match(reader, writer))
        return true;
    tg_avro_incompatibility_t *found = list(c, at, TG_AVRO_NAME_MISMATCH, "name");
    if (found == NULL)
        return false;
    say_detail(found, "expected: %.200s", writer->name.ptr);
    say(found,
        "at %s the reader's %s %.128s is not the writer's %.128s; give it the same name, or the "
        "reader's the alias \"%.128s\"",
        found->path, tg_avro_kind_name(reader->kind), reader->name.ptr, writer->name.ptr,
        writer->name.ptr);
    return false;
}

static bool check_fixed(struct checker *c, const tg_avro_type_t *reader,
                        const tg_avro_type_t *writer, struct place at)
{
    bool named = check_names(c, reader, writer, at);
    if (reader->size == writer->size)
        return named;
    tg_avro_incompatibility_t *found = list(c, at, TG_AVRO_FIXED_SIZE_MISMATCH, "size");
    if (found == NULL)
        return false;
    say_detail(found, "expected: %u, found: %u", (unsigned)writer->size, (unsigned)reader->size);
    say(found,
        "at %s the reader's fixed %.128s has %u bytes and the writer's %u; a size cannot change: "
        "define a new type under another name",
        found->path, reader->name.ptr, (unsigned)reader->size, (unsigned)writer->size);
    return false;
}

/* "[A, C]": the writer's symbols, sorted, that the reader has not. */
static bool missing_symbols(const tg_avro_type_t *reader, const tg_avro_type_t *writer,
                            tg_buf_t *out)
{
    bool any = false;
    for (uint32_t i = 0; i < writer->count; i++) {
        tg_str_t symbol = writer->symbols[writer->by_name[i]];
        if (tg_avro_type_find(reader, symbol) >= 0)
            continue;
        tg_buf_str(out, any ? TG_STR(", ") : TG_STR("["));
        tg_buf_str(out, symbol);
        any = true;
    }
    if (any)
        tg_buf_byte(out, ']');
    return any;
}

static bool check_enum(struct checker *c, const tg_avro_type_t *reader,
                       const tg_avro_type_t *writer, struct place at)
{
    bool named = check_names(c, reader, writer, at);
    tg_buf_t symbols = tg_buf_make(TG_AVRO_SCHEMA_BYTES_MAX * 2);
    bool missing = reader->default_symbol < 0 && missing_symbols(reader, writer, &symbols);
    tg_avro_incompatibility_t *found =
        missing ? list(c, at, TG_AVRO_MISSING_ENUM_SYMBOLS, "symbols") : NULL;
    if (found != NULL) {
        tg_str_t words = tg_buf_view(&symbols);
        say_detail(found, TG_STR_FMT, TG_STR_ARG(words));
        say(found,
            "at %s the reader's enum %.128s lacks the writer's symbols %.256s; add them, or give "
            "the enum a default",
            found->path, reader->name.ptr, found->detail);
    }
    tg_buf_dispose(&symbols);
    return named && !missing;
}

/* How many of the writer's fields the reader's field stands for; the last of them in *out. */
static unsigned find_writer_field(const tg_avro_type_t *writer, const tg_avro_field_t *field,
                                  const tg_avro_field_t **out)
{
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
                        const tg_avro_type_t *writer, struct place at)
{
    const tg_avro_field_t *source = NULL;
    struct step type_step = {at.step, "type", 0};
    struct place type_place = {&type_step, at.listed};
    unsigned matches = find_writer_field(writer, field, &source);
    if (matches > 1)
        return fail_ambiguous(c, field, at);
    if (matches == 1)
        return check(c, field->type, source->type, type_place);
    if (field->has_default)
        return true;
    /* An enum's own default does not stand in for the field's: Java compares it with the record. */
    if (field->type->kind == TG_AVRO_ENUM && field->type->default_symbol >= 0)
        return fail_type(c, field->type, writer, type_place);
    return fail_missing(c, field, at);
}

static bool check_record(struct checker *c, const tg_avro_type_t *reader,
                         const tg_avro_type_t *writer, struct place at)
{
    bool ok = check_names(c, reader, writer, at);
    struct step fields = {at.step, "fields", 0};
    for (uint32_t i = 0; i < reader->count && c->status == TG_OK; i++) {
        struct step step = {&fields, NULL, i};
        ok = check_field(c, &reader->fields[i], writer, (struct place){&step, at.listed}) && ok;
    }
    return ok;
}

/* --- the rest --- */

static bool check_items(struct checker *c, const tg_avro_type_t *reader,
                        const tg_avro_type_t *writer, struct place at)
{
    struct step step = {at.step, reader->kind == TG_AVRO_ARRAY ? "items" : "values", 0};
    return check(c, reader->items, writer->items, (struct place){&step, at.listed});
}

/* All branches of the writer's union must be readable. */
static bool check_branches(struct checker *c, const tg_avro_type_t *reader,
                           const tg_avro_type_t *writer, struct place at)
{
    bool ok = true;
    for (uint32_t i = 0; i < writer->count && c->status == TG_OK; i++) {
        const tg_avro_type_t *branch = writer->branches[i];
        struct step step = {at.step, NULL, i};
        struct place inside = {&step, at.listed};
        if (reader->kind != TG_AVRO_UNION)
            ok = check(c, reader, branch, inside) && ok;
        else if (!check(c, reader, branch, (struct place){&step, false}))
            ok = fail_branch(c, branch, inside);
    }
    return ok;
}

/* Some branch of the reader's union must read the writer's type. */
static bool check_choice(struct checker *c, const tg_avro_type_t *reader,
                         const tg_avro_type_t *writer, struct place at)
{
    for (uint32_t i = 0; i < reader->count && c->status == TG_OK; i++) {
        if (check(c, reader->branches[i], writer, (struct place){at.step, false}))
            return true;
    }
    return fail_branch(c, writer, at);
}

static bool is_promotion(tg_avro_kind_t reader, tg_avro_kind_t writer)
{
    if (reader >= TG_AVRO_LONG && reader <= TG_AVRO_DOUBLE)
        return writer >= TG_AVRO_INT && writer < reader;
    return (reader == TG_AVRO_BYTES && writer == TG_AVRO_STRING) ||
           (reader == TG_AVRO_STRING && writer == TG_AVRO_BYTES);
}

static bool compare_same(struct checker *c, const tg_avro_type_t *reader,
                         const tg_avro_type_t *writer, struct place at)
{
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
                    struct place at)
{
    if (reader->kind == writer->kind)
        return compare_same(c, reader, writer, at);
    if (writer->kind == TG_AVRO_UNION)
        return check_branches(c, reader, writer, at);
    if (reader->kind == TG_AVRO_UNION)
        return check_choice(c, reader, writer, at);
    return is_promotion(reader->kind, writer->kind) || fail_type(c, reader, writer, at);
}

/* Compares a pair of types that have parts, unless it is known. */
static bool check_pair(struct checker *c, const tg_avro_type_t *reader,
                       const tg_avro_type_t *writer, struct place at)
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
                  struct place at)
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
    struct checker c = {.out = &compat, .status = TG_OK};
    bool ok = check(&c, reader, writer, (struct place){NULL, true});
    free(c.pairs);
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
