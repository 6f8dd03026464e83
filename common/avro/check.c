/* Which records have a value at all. `record R { R next; }` has none: its reader would never
 * return. A record is finite when each field is: scalars, arrays and maps (they may be empty) are,
 * a union is when one branch is, a record when it was found so. That is a least fixed point: passes
 * over the records until nothing changes, at most as many as there are records.
 *
 * A record becomes finite only after all that it directly contains, so whether it may encode to no
 * bytes (which decides if a count of items can be held against the bytes left) is known then too.
 */
#include "common/avro/internal.h"

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

static bool settle(tg_avro_type_t *record)
{
    assert(record->kind == TG_AVRO_RECORD);
    assert(!record->finite);
    bool empty = true;
    for (uint32_t i = 0; i < record->count; i++) {
        if (!type_finite(record->fields[i].type))
            return false;
        empty = empty && record->fields[i].type->may_be_empty;
    }
    record->finite = true;
    record->may_be_empty = empty;
    return true;
}

static const tg_avro_type_t *first_endless(const tg_avro_schema_t *schema)
{
    for (size_t i = 0; i < schema->named_count; i++) {
        if (schema->named[i]->kind == TG_AVRO_RECORD && !schema->named[i]->finite)
            return schema->named[i];
    }
    return NULL;
}

tg_status_t tg_avro_check_finite(tg_avro_schema_t *schema, tg_error_t *error)
{
    assert(schema != NULL);
    assert(schema->named_count <= TG_AVRO_NAMED_MAX);
    bool changed = true;
    while (changed) {
        changed = false;
        /* Backwards: what is defined inside a record stands behind it. */
        for (size_t i = schema->named_count; i > 0; i--) {
            tg_avro_type_t *type = schema->named[i - 1];
            if (type->kind == TG_AVRO_RECORD && !type->finite)
                changed = settle(type) || changed;
        }
    }
    const tg_avro_type_t *endless = first_endless(schema);
    if (endless == NULL)
        return TG_OK;
    return tg_error_set(error, TG_INVALID,
                        "record " TG_STR_FMT " contains itself: no value of it has an end",
                        TG_STR_ARG(endless->name));
}
