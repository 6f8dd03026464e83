/* Messages name the place, what the two schemas have there, and what to do. `detail` is what Java's
 * SchemaCompatibility says, because clients know it. Texts are cut where they are very long: a list
 * of incompatibilities is for a person. */
#include "common/avro/compat_words.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PATH_MAX_BYTES  ((size_t)16 << 10)
#define STEPS_PER_LEVEL 3 /* fields, index, type */

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

/* --- room and place --- */

static void write_path(const struct tg_avro_step *step, tg_buf_t *out)
{
    const struct tg_avro_step *steps[STEPS_PER_LEVEL * (TG_AVRO_COMPAT_DEPTH_MAX + 1)];
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
static tg_avro_incompatibility_t *next_found(struct tg_avro_failures *list)
{
    tg_avro_compat_t *out = list->out;
    assert(out->count <= out->total);
    out->total++;
    if (out->count == TG_AVRO_COMPAT_FOUND_MAX)
        return NULL;
    if ((out->count & (out->count - 1)) == 0) { /* full at each power of two */
        size_t room = out->count == 0 ? 1 : 2 * out->count;
        void *found = realloc(out->found, room * sizeof(*out->found));
        if (found == NULL) {
            list->no_memory = true;
            return NULL;
        }
        out->found = found;
    }
    return &out->found[out->count++];
}

/* A new entry at the place, or at its `member`; NULL when none is to be listed. */
static tg_avro_incompatibility_t *add(struct tg_avro_failures *list, struct tg_avro_place at,
                                      tg_avro_incompat_t type, const char *member)
{
    assert(type < TG_AVRO_INCOMPATS);
    tg_avro_incompatibility_t *found = at.listed ? next_found(list) : NULL;
    if (found == NULL)
        return NULL;
    struct tg_avro_step last = {at.step, member, 0};
    tg_buf_t path = tg_buf_make(PATH_MAX_BYTES);
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

/* --- types --- */

bool tg_avro_fail_type(struct tg_avro_failures *list, struct tg_avro_place at,
                       const tg_avro_type_t *reader, const tg_avro_type_t *writer)
{
    tg_avro_incompatibility_t *found = add(list, at, TG_AVRO_TYPE_MISMATCH, NULL);
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

bool tg_avro_fail_branch(struct tg_avro_failures *list, struct tg_avro_place at,
                         const tg_avro_type_t *writer)
{
    tg_avro_incompatibility_t *found = add(list, at, TG_AVRO_MISSING_UNION_BRANCH, NULL);
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

/* --- fields --- */

bool tg_avro_fail_ambiguous(struct tg_avro_failures *list, struct tg_avro_place at,
                            const tg_avro_field_t *field)
{
    tg_avro_incompatibility_t *found = add(list, at, TG_AVRO_NAME_MISMATCH, NULL);
    if (found == NULL)
        return false;
    say_detail(found, "%.128s", field->name.ptr);
    say(found,
        "at %s the reader's field %.128s matches several fields of the writer by its name and "
        "aliases; leave it only one of them",
        found->path, field->name.ptr);
    return false;
}

bool tg_avro_fail_missing(struct tg_avro_failures *list, struct tg_avro_place at,
                          const tg_avro_field_t *field)
{
    tg_avro_incompatibility_t *found =
        add(list, at, TG_AVRO_READER_FIELD_MISSING_DEFAULT_VALUE, NULL);
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

bool tg_avro_fail_name(struct tg_avro_failures *list, struct tg_avro_place at,
                       const tg_avro_type_t *reader, const tg_avro_type_t *writer)
{
    assert(reader->kind == writer->kind);
    tg_avro_incompatibility_t *found = add(list, at, TG_AVRO_NAME_MISMATCH, "name");
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

bool tg_avro_fail_size(struct tg_avro_failures *list, struct tg_avro_place at,
                       const tg_avro_type_t *reader, const tg_avro_type_t *writer)
{
    assert(reader->size != writer->size);
    tg_avro_incompatibility_t *found = add(list, at, TG_AVRO_FIXED_SIZE_MISMATCH, "size");
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
static void put_missing_symbols(const tg_avro_type_t *reader, const tg_avro_type_t *writer,
                                tg_buf_t *out)
{
    assert(reader->kind == TG_AVRO_ENUM);
    assert(writer->kind == TG_AVRO_ENUM);
    for (uint32_t i = 0; i < writer->count; i++) {
        tg_str_t symbol = writer->symbols[writer->by_name[i]];
        if (tg_avro_type_find(reader, symbol) >= 0)
            continue;
        tg_buf_str(out, out->len == 0 ? TG_STR("[") : TG_STR(", "));
        tg_buf_str(out, symbol);
    }
    tg_buf_byte(out, ']');
}

bool tg_avro_fail_symbols(struct tg_avro_failures *list, struct tg_avro_place at,
                          const tg_avro_type_t *reader, const tg_avro_type_t *writer)
{
    assert(reader->default_symbol < 0);
    tg_avro_incompatibility_t *found = add(list, at, TG_AVRO_MISSING_ENUM_SYMBOLS, "symbols");
    if (found == NULL)
        return false;
    tg_buf_t symbols = tg_buf_make(2 * TG_AVRO_SCHEMA_BYTES_MAX);
    put_missing_symbols(reader, writer, &symbols);
    tg_str_t words = tg_buf_view(&symbols);
    say_detail(found, TG_STR_FMT, TG_STR_ARG(words));
    say(found,
        "at %s the reader's enum %.128s lacks the writer's symbols %.256s; add them, or give the "
        "enum a default",
        found->path, reader->name.ptr, found->detail);
    tg_buf_dispose(&symbols);
    return false;
}
