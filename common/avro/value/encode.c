/* JSON nodes to Avro bytes: records, arrays, maps and unions, and the way into a value.
 *
 * A record's members may come in any order, its fields leave in the schema's. Clients mostly send
 * them in the schema's order, and as long as they do, each is written as it comes. From the first
 * that does not, one pass over the members notes each field's node, a second over the fields
 * writes. The notes live in the codec's scratch array, used as a stack by nested records. Recursion
 * is bounded by TG_AVRO_DEPTH_MAX. */
#include <stdio.h>

#include "common/avro/internal.h"
#include "common/avro/value/encoder.h"
#include "common/avro/value/scratch.h"

#define COLD  __attribute__((cold, noinline))
#define APART __attribute__((noinline)) /* keeps the record's loop small */

static tg_status_t encode_container(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index);

static inline tg_status_t encode(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index)
{
    return type->kind == TG_AVRO_RECORD || type->kind >= TG_AVRO_ARRAY
               ? encode_container(e, type, index)
               : tg_avro_encode_scalar(e, type, index);
}

_Static_assert(TG_AVRO_ARRAY < TG_AVRO_MAP && TG_AVRO_MAP < TG_AVRO_UNION &&
                   TG_AVRO_UNION == TG_AVRO_KINDS - 1,
               "what nests stands at the end, but for records");

/* --- containers --- */

APART static tg_status_t encode_array(tg_avro_encoder_t *e, const tg_avro_type_t *type,
                                      size_t index)
{
    assert(type->items != NULL);
    const tg_json_node_t *node = &e->nodes[index];
    if (node->type != TG_JSON_ARRAY)
        return tg_avro_encoder_expected(e, "wrong_type", "an array", index);
    if (type->items->may_be_empty && node->count > TG_AVRO_EMPTY_ITEMS_MAX)
        return tg_avro_encoder_refuse(e, "too_large", "more than %d items without content",
                                      TG_AVRO_EMPTY_ITEMS_MAX);
    if (node->count > 0)
        tg_avro_write_long(e->out, node->count);
    size_t at = index + 1;
    for (uint32_t i = 0; i < node->count; i++, at = e->nodes[at].next) {
        tg_status_t status = encode(e, type->items, at);
        if (status != TG_OK) {
            tg_avro_error_within(e->error, (tg_str_t){NULL, 0}, i);
            return status;
        }
    }
    tg_buf_byte(e->out, 0);
    return TG_OK;
}

APART static tg_status_t encode_map(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index)
{
    assert(type->items != NULL);
    const tg_json_node_t *node = &e->nodes[index];
    if (node->type != TG_JSON_OBJECT)
        return tg_avro_encoder_expected(e, "wrong_type", "an object", index);
    if (node->count > 0)
        tg_avro_write_long(e->out, node->count);
    size_t at = index + 1;
    for (uint32_t i = 0; i < node->count; i++, at = e->nodes[at].next) {
        tg_str_t key = e->nodes[at].key;
        tg_status_t status = tg_avro_encoder_check_text(e, key);
        if (status == TG_OK) {
            tg_avro_write_bytes(e->out, key);
            status = encode(e, type->items, at);
        }
        if (status != TG_OK) {
            tg_avro_error_within(e->error, key, 0);
            return status;
        }
    }
    tg_buf_byte(e->out, 0);
    return TG_OK;
}

/* Notes the rest of an object's members, from `at`, by field. The first `done` fields are given
 * already. */
static tg_status_t note_members(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t at,
                                uint32_t members, uint32_t done, size_t base)
{
    assert(base + type->count <= e->codec->slots_used);
    const tg_json_node_t *nodes = e->nodes;
    uint32_t guess = done;
    for (uint32_t i = 0; i < members; i++, at = nodes[at].next) {
        tg_str_t key = nodes[at].key;
        int field = guess < type->count && tg_avro_same(type->fields[guess].name, key)
                        ? (int)guess
                        : tg_avro_type_find(type, key);
        tg_status_t status = TG_OK;
        if (field < 0)
            status = tg_avro_encoder_refuse(e, "unknown_field", "no such field");
        else if ((uint32_t)field < done || e->codec->slots[base + (size_t)field] != 0)
            status = tg_avro_encoder_refuse(e, "duplicate_field", "given twice");
        if (status != TG_OK) {
            tg_avro_error_within(e->error, key, 0);
            return status;
        }
        e->codec->slots[base + (size_t)field] = (uint32_t)at;
        guess = (uint32_t)field + 1;
    }
    return TG_OK;
}

static tg_status_t encode_absent(tg_avro_encoder_t *e, const tg_avro_field_t *field)
{
    if (!field->has_default || tg_avro_encoder_strict(e))
        return tg_avro_encoder_refuse(e, "missing_field", "required (%s), but not given",
                                      tg_avro_kind_name(field->type->kind));
    tg_buf_append(e->out, field->default_bytes.ptr, field->default_bytes.len);
    return TG_OK;
}

/* The fields from `done` on, from the notes. */
static tg_status_t encode_noted(tg_avro_encoder_t *e, const tg_avro_type_t *type, uint32_t done,
                                size_t base)
{
    for (uint32_t i = done; i < type->count; i++) {
        const tg_avro_field_t *field = &type->fields[i];
        uint32_t at = e->codec->slots[base + i];
        tg_status_t status = at != 0 ? encode(e, field->type, at) : encode_absent(e, field);
        if (status != TG_OK) {
            tg_avro_error_within(e->error, field->name, 0);
            return status;
        }
    }
    return TG_OK;
}

/* What is left of an object once its members leave the schema's order. */
APART static tg_status_t encode_rest(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t at,
                                     uint32_t members, uint32_t done)
{
    size_t base = tg_avro_push_slots(e->codec, type->count);
    if (base == SIZE_MAX)
        return TG_NOMEM;
    tg_status_t status = note_members(e, type, at, members, done, base);
    if (status == TG_OK)
        status = encode_noted(e, type, done, base);
    e->codec->slots_used = base;
    return status;
}

/* Members in the schema's order are written as they come; nothing needs to be noted for them. */
static tg_status_t encode_record(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index)
{
    assert(type->kind == TG_AVRO_RECORD);
    const tg_json_node_t *nodes = e->nodes;
    if (nodes[index].type != TG_JSON_OBJECT)
        return tg_avro_encoder_expected(e, "wrong_type", "an object", index);
    uint32_t members = nodes[index].count, most = members < type->count ? members : type->count;
    uint32_t done = 0;
    size_t at = index + 1;
    for (; done < most && tg_avro_same(type->fields[done].name, nodes[at].key); done++) {
        tg_status_t status = encode(e, type->fields[done].type, at);
        if (status != TG_OK) {
            tg_avro_error_within(e->error, type->fields[done].name, 0);
            return status;
        }
        at = nodes[at].next;
    }
    if (done == members && done == type->count)
        return TG_OK;
    return encode_rest(e, type, at, members - done, done);
}

/* --- unions --- */

/* Whether the object's members are all fields of the record and no required one is missing. */
static bool fits_record(const tg_avro_type_t *type, const tg_json_node_t *nodes, size_t index)
{
    assert(type->kind == TG_AVRO_RECORD);
    uint32_t required = 0, given = 0;
    size_t at = index + 1;
    for (uint32_t i = 0; i < type->count; i++)
        required += !type->fields[i].has_default;
    for (uint32_t i = 0; i < nodes[index].count; i++, at = nodes[at].next) {
        int field = tg_avro_type_find(type, nodes[at].key);
        if (field < 0)
            return false;
        given += !type->fields[field].has_default;
    }
    return given >= required;
}

static bool fits(const tg_avro_type_t *type, const tg_json_node_t *nodes, size_t index)
{
    switch (type->kind) {
    case TG_AVRO_ARRAY:
        return nodes[index].type == TG_JSON_ARRAY;
    case TG_AVRO_MAP:
        return nodes[index].type == TG_JSON_OBJECT;
    case TG_AVRO_RECORD:
        return nodes[index].type == TG_JSON_OBJECT && fits_record(type, nodes, index);
    case TG_AVRO_UNION: /* never a branch */
        return false;
    default:
        return tg_avro_scalar_fits(type, &nodes[index]);
    }
}

int tg_avro_union_pick(const tg_avro_type_t *type, const tg_json_node_t *nodes, size_t index)
{
    assert(type->kind == TG_AVRO_UNION);
    for (uint32_t i = 0; i < type->count; i++) {
        if (fits(type->branches[i], nodes, index))
            return (int)i;
    }
    return -1;
}

/* With one branch besides null, that branch says best what is wrong. */
COLD static tg_status_t refuse_union(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index)
{
    char what[160] = "one of";
    size_t len = strlen(what);
    const tg_avro_type_t *only = NULL;
    uint32_t others = 0;
    for (uint32_t i = 0; i < type->count; i++) {
        const tg_avro_type_t *branch = type->branches[i];
        if (branch->kind != TG_AVRO_NULL) {
            others++;
            only = branch;
        }
        if (len < sizeof(what) - 1)
            len += (size_t)snprintf(what + len, sizeof(what) - len, "%s %s", i == 0 ? "" : ",",
                                    tg_avro_kind_name(branch->kind));
    }
    if (others == 1) {
        tg_status_t status = encode(e, only, index);
        if (status != TG_OK)
            return status;
    }
    return tg_avro_encoder_expected(e, "wrong_type", what, index);
}

tg_str_t tg_avro_branch_tag(const tg_avro_type_t *branch)
{
    assert(branch->kind != TG_AVRO_UNION);
    return branch->name.len > 0 ? branch->name : tg_str_from(tg_avro_kind_name(branch->kind));
}

/* The branch with that name; -1 if there is none. */
static int find_tag(const tg_avro_type_t *type, tg_str_t tag)
{
    for (uint32_t i = 0; i < type->count; i++) {
        if (tg_str_eq(tg_avro_branch_tag(type->branches[i]), tag))
            return (int)i;
    }
    return -1;
}

/* Avro's own form: null, or an object whose one member names the branch. */
static tg_status_t encode_tagged(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index)
{
    const tg_json_node_t *node = &e->nodes[index];
    bool is_null = node->type == TG_JSON_NULL;
    if (!is_null && (node->type != TG_JSON_OBJECT || node->count != 1))
        return tg_avro_encoder_expected(e, "wrong_type", "null, or an object that names its branch",
                                        index);
    size_t value = is_null ? index : index + 1;
    tg_str_t tag = is_null ? TG_STR("null") : e->nodes[value].key;
    int branch = find_tag(type, tag);
    if (branch < 0)
        return tg_avro_encoder_refuse(e, "invalid_value",
                                      "the union has no branch \"" TG_STR_FMT "\"",
                                      (int)(tag.len > 64 ? 64 : tag.len), tag.ptr);
    tg_avro_write_long(e->out, branch);
    tg_status_t status = encode(e, type->branches[branch], value);
    if (status == TG_INVALID && !is_null)
        tg_avro_error_within(e->error, tag, 0);
    return status;
}

static tg_status_t encode_union(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index)
{
    assert(type->kind == TG_AVRO_UNION);
    if (tg_avro_encoder_strict(e))
        return encode_tagged(e, type, index);
    if (type->nullable_branch >= 0 && e->nodes[index].type != TG_JSON_NULL) {
        /* Of null and one other type: what is not null can only be that one. */
        tg_avro_write_long(e->out, type->nullable_branch);
        return encode(e, type->branches[type->nullable_branch], index);
    }
    int branch = tg_avro_union_pick(type, e->nodes, index);
    if (branch < 0)
        return refuse_union(e, type, index);
    tg_avro_write_long(e->out, branch);
    return encode(e, type->branches[branch], index);
}

/* --- the whole --- */

/* What may nest. */
static tg_status_t encode_container(tg_avro_encoder_t *e, const tg_avro_type_t *type, size_t index)
{
    tg_status_t status;
    if (e->depth == TG_AVRO_DEPTH_MAX)
        return tg_avro_encoder_refuse(e, "too_large", "nested deeper than %d levels",
                                      TG_AVRO_DEPTH_MAX);
    if (e->out->failed)
        return TG_NOMEM;
    e->depth++;
    switch (type->kind) {
    case TG_AVRO_RECORD:
        status = encode_record(e, type, index);
        break;
    case TG_AVRO_UNION:
        status = encode_union(e, type, index);
        break;
    case TG_AVRO_ARRAY:
        status = encode_array(e, type, index);
        break;
    default:
        assert(type->kind == TG_AVRO_MAP);
        status = encode_map(e, type, index);
    }
    e->depth--;
    return status;
}

tg_status_t tg_avro_encode(tg_avro_codec_t *codec, const tg_avro_type_t *type,
                           const tg_json_node_t *nodes, size_t index, unsigned flags, tg_buf_t *out,
                           tg_avro_error_t *error)
{
    assert(codec != NULL);
    assert(codec->slots_used == 0);
    assert(error != NULL);
    tg_avro_encoder_t e = {codec, nodes, out, error, flags, 0};
    error->path[0] = '\0'; /* running out of memory leaves the rest as it is */
    size_t before = out->len;
    tg_status_t status = encode(&e, type, index);
    codec->slots_used = 0;
    if (status == TG_OK && out->failed)
        status = TG_NOMEM;
    if (status != TG_OK)
        out->len = before;
    return status;
}
