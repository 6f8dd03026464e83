/* References: schemas whose named types are known in another one.
 *
 * A schema keeps the flat list of all that it refers to, directly or not, each once, and a share in
 * each of them; so whatever a type points to lives as long as the type does. Two objects of the
 * same schema (parsed twice) are one reference: the first one counts. */
#include "common/avro/canonical.h"
#include "common/avro/parse/parse.h"

#define KNOWN_FORM_MAX ((size_t)4 << 20) /* canonical form of a reference that comes twice */

static bool is_listed(const tg_avro_schema_t *schema, const tg_avro_schema_t *ref)
{
    for (size_t i = 0; i < schema->ref_count; i++) {
        if (schema->refs[i] == ref)
            return true;
    }
    return false;
}

static tg_status_t list_ref(struct tg_avro_parse *p, tg_avro_schema_t *ref)
{
    assert(ref != p->schema);
    tg_avro_schema_t *schema = p->schema;
    if (is_listed(schema, ref))
        return TG_OK;
    if (schema->ref_count == TG_AVRO_REFS_MAX)
        return tg_avro_refuse(p, TG_TOO_LARGE, "more than %d references", TG_AVRO_REFS_MAX);
    schema->refs[schema->ref_count++] = ref;
    atomic_fetch_add_explicit(&ref->shares, 1, memory_order_relaxed);
    return TG_OK;
}

/* First what a reference refers to, so that definitions come before uses. */
static tg_status_t list_refs(struct tg_avro_parse *p, const tg_avro_schema_t *const *refs,
                             size_t count)
{
    tg_status_t status = TG_OK;
    for (size_t i = 0; i < count && status == TG_OK; i++) {
        tg_avro_schema_t *ref = (tg_avro_schema_t *)refs[i];
        assert(ref != NULL);
        for (size_t j = 0; j < ref->ref_count && status == TG_OK; j++)
            status = list_ref(p, ref->refs[j]);
        if (status == TG_OK)
            status = list_ref(p, ref);
        if (ref->ref_depth >= p->schema->ref_depth)
            p->schema->ref_depth = ref->ref_depth + 1;
    }
    return status;
}

static bool same_type(const tg_avro_type_t *a, const tg_avro_type_t *b)
{
    tg_buf_t forms[2] = {tg_buf_make(KNOWN_FORM_MAX), tg_buf_make(KNOWN_FORM_MAX)};
    bool same = tg_avro_canonical_type(a, &forms[0]) == TG_OK &&
                tg_avro_canonical_type(b, &forms[1]) == TG_OK &&
                tg_str_eq(tg_buf_view(&forms[0]), tg_buf_view(&forms[1]));
    tg_buf_dispose(&forms[0]);
    tg_buf_dispose(&forms[1]);
    return same;
}

static tg_status_t know_types(struct tg_avro_parse *p, const tg_avro_schema_t *ref)
{
    assert(ref->root != NULL);
    for (size_t i = 0; i < ref->named_count; i++) {
        tg_avro_type_t *type = ref->named[i];
        const tg_avro_type_t *known = tg_table_get(p->known, type->name);
        if (i == 0 && known != NULL && same_type(known, type))
            return TG_OK; /* the same schema, parsed twice: its other types are there as well */
        if (known != NULL)
            return tg_avro_refuse(p, TG_INVALID,
                                  "type \"%.128s\" is defined by two of the references",
                                  type->name.ptr);
        if (tg_table_len(p->known) == TG_AVRO_KNOWN_MAX)
            return tg_avro_refuse(p, TG_TOO_LARGE, "the references define more than %d types",
                                  TG_AVRO_KNOWN_MAX);
        if (tg_table_put(p->known, type->name, type) != TG_OK)
            return tg_avro_refuse_memory(p);
    }
    return TG_OK;
}

tg_status_t tg_avro_take_refs(struct tg_avro_parse *p, const tg_avro_schema_t *const *refs,
                              size_t count)
{
    assert(p->schema->refs == NULL);
    if (count == 0)
        return TG_OK;
    size_t room = 0;
    for (size_t i = 0; i < count && room < TG_AVRO_REFS_MAX; i++)
        room += 1 + refs[i]->ref_count;
    room = room < TG_AVRO_REFS_MAX ? room : TG_AVRO_REFS_MAX;
    p->schema->refs = tg_arena_array(p->schema->arena, room, sizeof(tg_avro_schema_t *));
    if (p->schema->refs == NULL)
        return tg_avro_refuse_memory(p);
    tg_status_t status = list_refs(p, refs, count);
    if (status == TG_OK && p->schema->ref_depth > TG_AVRO_REF_DEPTH_MAX)
        status = tg_avro_refuse(p, TG_TOO_LARGE, "references nest deeper than %d levels",
                                TG_AVRO_REF_DEPTH_MAX);
    for (size_t i = 0; i < p->schema->ref_count && status == TG_OK; i++)
        status = know_types(p, p->schema->refs[i]);
    return status;
}
