/* Moving behind a value without keeping it: one switch over the kinds, since a call through a table
 * costs more than most values.
 *
 * What is skipped is checked as strictly as what is read: a resolved record copies such spans to
 * its reader, who may rely on them. */
#include "common/avro/value/cursor.h"

static tg_status_t skip_int(tg_avro_reader_t *r)
{
    int64_t value = 0;
    const uint8_t *before = r->at;
    tg_status_t status = tg_avro_take_long(r, &value);
    if (status == TG_OK && (value < INT32_MIN || value > INT32_MAX)) {
        r->at = before;
        return tg_avro_reader_refuse(r, "an int of %lld", (long long)value);
    }
    return status;
}

static tg_status_t skip_boolean(tg_avro_reader_t *r)
{
    if (r->at == r->end)
        return tg_avro_ends_early(r);
    if (*r->at > 1)
        return tg_avro_reader_refuse(r, "a boolean of %u", (unsigned)*r->at);
    r->at++;
    return TG_OK;
}

static tg_status_t skip_record(tg_avro_reader_t *r, const tg_avro_type_t *type)
{
    assert(type->kind == TG_AVRO_RECORD);
    for (uint32_t i = 0; i < type->count; i++) {
        tg_status_t status = tg_avro_skip(r, type->fields[i].type);
        if (status != TG_OK) {
            tg_avro_error_within(r->error, type->fields[i].name, 0);
            return status;
        }
    }
    return TG_OK;
}

static tg_status_t skip_item(tg_avro_reader_t *r, const tg_avro_type_t *type, size_t index)
{
    tg_str_t key = {NULL, 0};
    if (type->kind == TG_AVRO_MAP) {
        tg_status_t status = tg_avro_take_text(r, &key);
        if (status != TG_OK)
            return status;
    }
    tg_status_t status = tg_avro_skip(r, type->items);
    if (status != TG_OK)
        tg_avro_error_within(r->error, key, index);
    return status;
}

static tg_status_t skip_blocks(tg_avro_reader_t *r, const tg_avro_type_t *type)
{
    assert(type->items != NULL);
    size_t done = 0, count = 0;
    for (;;) {
        const uint8_t *end;
        tg_status_t status = tg_avro_read_block(r, type, &count, &end);
        if (status != TG_OK || count == 0)
            return status;
        for (size_t i = 0; i < count; i++) {
            status = skip_item(r, type, done++);
            if (status != TG_OK)
                return status;
        }
        if (end != NULL && end != r->at)
            return tg_avro_reader_refuse(r, "a block that does not end where it says");
    }
}

/* What may nest. */
static tg_status_t skip_container(tg_avro_reader_t *r, const tg_avro_type_t *type)
{
    const tg_avro_type_t *branch = NULL;
    tg_status_t status;
    if (r->depth == TG_AVRO_DEPTH_MAX)
        return tg_avro_reader_refuse(r, "nested deeper than %d levels", TG_AVRO_DEPTH_MAX);
    r->depth++;
    if (type->kind == TG_AVRO_RECORD) {
        status = skip_record(r, type);
    } else if (type->kind == TG_AVRO_UNION) {
        status = tg_avro_read_branch(r, type, &branch);
        if (status == TG_OK)
            status = tg_avro_skip(r, branch);
    } else {
        status = skip_blocks(r, type);
    }
    r->depth--;
    return status;
}

tg_status_t tg_avro_skip(tg_avro_reader_t *r, const tg_avro_type_t *type)
{
    assert(type != NULL);
    tg_str_t bytes = {NULL, 0};
    size_t index = 0;
    switch (type->kind) {
    case TG_AVRO_NULL:
        return TG_OK;
    case TG_AVRO_BOOLEAN:
        return skip_boolean(r);
    case TG_AVRO_INT:
        return skip_int(r);
    case TG_AVRO_LONG:
        return tg_avro_skip_long(r);
    case TG_AVRO_FLOAT:
        return tg_avro_take_raw(r, sizeof(float), &bytes);
    case TG_AVRO_DOUBLE:
        return tg_avro_take_raw(r, sizeof(double), &bytes);
    case TG_AVRO_STRING:
        return tg_avro_take_text(r, &bytes);
    case TG_AVRO_BYTES:
        return tg_avro_take_bytes(r, &bytes);
    case TG_AVRO_FIXED:
        return tg_avro_take_raw(r, type->size, &bytes);
    case TG_AVRO_ENUM:
        if (type->count == 0)
            return tg_avro_reader_refuse(r, "an enum without symbols");
        return tg_avro_take_index(r, type->count, "symbol", &index);
    default:
        return skip_container(r, type);
    }
}
