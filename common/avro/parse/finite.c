/* Which records have a value at all. `record R { R next; }` has none: its reader would never
 * return. A record is finite when each field is: scalars, arrays and maps (they may be empty) are,
 * a union is when one branch is, a record when it was found so. That is a least fixed point, found
 * in one pass over all uses: a record waits for its fields that are not known to be finite, each
 * record that becomes finite tells the fields that wait for it, and a record whose last field was
 * told becomes finite itself.
 *
 * A record becomes finite only after all that it directly contains, so whether it may encode to no
 * bytes (which decides if a count of items can be held against the bytes left) is known then too.
 */
#include <stdlib.h>

#include "common/avro/parse/parse.h"

/* A field that waits for a record, in the list of that record. */
struct waiting {
    struct waiting *next;
    tg_avro_type_t *record;
    uint32_t field;
};

struct finite {
    tg_arena_t *scratch;
    const tg_avro_schema_t *schema;
    struct waiting **waiting; /* by the id of the record that is waited for */
    uint32_t *open;           /* fields that are not finite yet, by id */
    bool **told;              /* fields that are, by id */
    tg_avro_type_t **ready;   /* finite, their waiting fields not told yet */
    size_t ready_count;
};

/* Types of references are settled and never waited for. */
static bool is_waited_for(const struct finite *f, const tg_avro_type_t *type)
{
    return type->kind == TG_AVRO_RECORD && !type->finite && type->id < f->schema->named_count &&
           f->schema->named[type->id] == type;
}

static bool type_finite(const tg_avro_type_t *type)
{
    if (type->kind == TG_AVRO_RECORD)
        return type->finite;
    if (type->kind != TG_AVRO_UNION || type->count == 0) /* no value at all, but none endless */
        return true;
    for (uint32_t i = 0; i < type->count; i++) {
        const tg_avro_type_t *branch = type->branches[i];
        if (branch->kind != TG_AVRO_RECORD || branch->finite)
            return true;
    }
    return false;
}

static bool wait_for(struct finite *f, tg_avro_type_t *record, uint32_t field,
                     const tg_avro_type_t *type)
{
    assert(field < record->count);
    if (!is_waited_for(f, type))
        return true;
    struct waiting *entry = tg_arena_alloc(f->scratch, sizeof(*entry));
    if (entry == NULL)
        return false;
    *entry = (struct waiting){f->waiting[type->id], record, field};
    f->waiting[type->id] = entry;
    return true;
}

static void settle(struct finite *f, tg_avro_type_t *record)
{
    assert(f->open[record->id] == 0);
    bool empty = true;
    for (uint32_t i = 0; i < record->count && empty; i++)
        empty = record->fields[i].type->may_be_empty;
    record->finite = true;
    record->may_be_empty = empty;
    f->ready[f->ready_count++] = record;
}

/* Lists what the record's fields wait for. */
static bool enter_record(struct finite *f, tg_avro_type_t *record)
{
    assert(record->kind == TG_AVRO_RECORD);
    assert(!record->finite);
    bool ok = true;
    f->told[record->id] = tg_arena_array(f->scratch, record->count + 1, sizeof(bool));
    if (f->told[record->id] == NULL)
        return false;
    for (uint32_t i = 0; i < record->count && ok; i++) {
        const tg_avro_type_t *type = record->fields[i].type;
        if (type_finite(type))
            continue;
        f->open[record->id]++;
        ok = wait_for(f, record, i, type);
        for (uint32_t j = 0; type->kind == TG_AVRO_UNION && j < type->count && ok; j++)
            ok = wait_for(f, record, i, type->branches[j]);
    }
    return ok;
}

static void tell(struct finite *f, const tg_avro_type_t *record)
{
    assert(record->finite);
    for (struct waiting *entry = f->waiting[record->id]; entry != NULL; entry = entry->next) {
        bool *told = &f->told[entry->record->id][entry->field];
        if (*told)
            continue; /* by another branch of the same union */
        *told = true;
        assert(f->open[entry->record->id] > 0);
        if (--f->open[entry->record->id] == 0)
            settle(f, entry->record);
    }
}

static bool prepare(struct finite *f)
{
    size_t count = f->schema->named_count + 1;
    f->waiting = tg_arena_array(f->scratch, count, sizeof(struct waiting *));
    f->open = tg_arena_array(f->scratch, count, sizeof(*f->open));
    f->told = tg_arena_array(f->scratch, count, sizeof(bool *));
    f->ready = tg_arena_array(f->scratch, count, sizeof(tg_avro_type_t *));
    return f->waiting != NULL && f->open != NULL && f->told != NULL && f->ready != NULL;
}

static bool find_finite(struct finite *f)
{
    if (!prepare(f))
        return false;
    const tg_avro_schema_t *schema = f->schema;
    for (size_t i = 0; i < schema->named_count; i++) {
        if (schema->named[i]->kind == TG_AVRO_RECORD && !enter_record(f, schema->named[i]))
            return false;
    }
    for (size_t i = 0; i < schema->named_count; i++) {
        if (schema->named[i]->kind == TG_AVRO_RECORD && f->open[i] == 0)
            settle(f, schema->named[i]);
    }
    while (f->ready_count > 0)
        tell(f, f->ready[--f->ready_count]);
    return true;
}

tg_status_t tg_avro_find_finite(tg_avro_schema_t *schema)
{
    assert(schema != NULL);
    struct finite f = {.schema = schema, .scratch = tg_arena_create(TG_AVRO_ARENA_MAX)};
    bool ok = f.scratch != NULL && find_finite(&f);
    tg_arena_destroy(f.scratch);
    return ok ? TG_OK : TG_NOMEM;
}

const tg_avro_type_t *tg_avro_first_endless(const tg_avro_schema_t *schema)
{
    for (size_t i = 0; i < schema->named_count; i++) {
        if (schema->named[i]->kind == TG_AVRO_RECORD && !schema->named[i]->finite)
            return schema->named[i];
    }
    return NULL;
}
