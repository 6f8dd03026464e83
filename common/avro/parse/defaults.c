/* Field defaults: JSON in the schema to the Avro bytes that stand for an absent field.
 *
 * Encoding is the check: what cannot be encoded does not fit the type. A record's default leans on
 * its fields' own defaults, so those are made first, on demand; a default that needs itself is
 * refused. Work is bounded by steps (unions are tried branch by branch) and by the bytes of one
 * default. */
#include <float.h>

#include "common/avro/parse/parse.h"

#define STEPS_MAX 1000000u
#define DEPTH_MAX 256u

struct defaults {
    tg_avro_schema_t *schema;
    tg_error_t *error;
    unsigned steps, depth;
    const char *why; /* set only for what ends the whole parse */
};

/* Marks a default that is being made; never read. */
static const char in_work[1];

static bool encode(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                   tg_buf_t *out);

ptrdiff_t tg_avro_latin1_len(tg_str_t text)
{
    ptrdiff_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c > 0xc3)
            return -1;
        if (c < 0x80 || c >= 0xc0)
            count++;
    }
    return count;
}

void tg_avro_write_latin1(tg_buf_t *out, tg_str_t text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0xc0 && i + 1 < text.len)
            c = (unsigned char)((unsigned)c << 6 | ((unsigned char)text.ptr[++i] & 0x3f));
        tg_buf_byte(out, (char)c);
    }
}

static tg_str_t text_of(const json_t *json)
{
    return (tg_str_t){json_string_value(json), json_string_length(json)};
}

static bool encode_null(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                        tg_buf_t *out)
{
    (void)d, (void)type, (void)out;
    return json_is_null(json);
}

static bool encode_boolean(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                           tg_buf_t *out)
{
    (void)d, (void)type;
    tg_buf_byte(out, json_is_true(json) ? 1 : 0);
    return json_is_boolean(json);
}

static bool encode_integer(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                           tg_buf_t *out)
{
    (void)d;
    json_int_t value = json_integer_value(json);
    tg_avro_write_long(out, value);
    return json_is_integer(json) &&
           (type->kind == TG_AVRO_LONG || (value >= INT32_MIN && value <= INT32_MAX));
}

static bool encode_real(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                        tg_buf_t *out)
{
    (void)d;
    double value = json_number_value(json);
    if (type->kind == TG_AVRO_DOUBLE)
        tg_avro_write_double(out, value);
    else if (value >= -FLT_MAX && value <= FLT_MAX)
        tg_avro_write_float(out, (float)value);
    else
        return false;
    return json_is_number(json);
}

static bool encode_string(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                          tg_buf_t *out)
{
    (void)d, (void)type;
    if (json_is_string(json))
        tg_avro_write_bytes(out, text_of(json));
    return json_is_string(json);
}

static bool encode_bytes(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                         tg_buf_t *out)
{
    (void)d;
    if (!json_is_string(json))
        return false;
    ptrdiff_t len = tg_avro_latin1_len(text_of(json));
    if (len < 0 || (type->kind == TG_AVRO_FIXED && len != (ptrdiff_t)type->size))
        return false;
    if (type->kind == TG_AVRO_BYTES)
        tg_avro_write_long(out, len);
    tg_avro_write_latin1(out, text_of(json));
    return true;
}

static bool encode_enum(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                        tg_buf_t *out)
{
    (void)d;
    int index = json_is_string(json) ? tg_avro_type_find(type, text_of(json)) : -1;
    tg_avro_write_long(out, index);
    return index >= 0;
}

static bool encode_array(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                         tg_buf_t *out)
{
    if (!json_is_array(json))
        return false;
    size_t count = json_array_size(json);
    if (count > 0)
        tg_avro_write_long(out, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        if (!encode(d, type->items, json_array_get(json, i), out))
            return false;
    }
    tg_buf_byte(out, 0);
    return true;
}

static bool encode_map(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                       tg_buf_t *out)
{
    if (!json_is_object(json))
        return false;
    const char *key;
    json_t *value;
    if (json_object_size(json) > 0)
        tg_avro_write_long(out, (int64_t)json_object_size(json));
    json_object_foreach((json_t *)json, key, value)
    {
        tg_avro_write_bytes(out, tg_str_from(key));
        if (!encode(d, type->items, value, out))
            return false;
    }
    tg_buf_byte(out, 0);
    return true;
}

static bool encode_union(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                         tg_buf_t *out)
{
    assert(type->kind == TG_AVRO_UNION);
    for (uint32_t i = 0; i < type->count && d->why == NULL; i++) {
        size_t before = out->len;
        tg_avro_write_long(out, i);
        if (encode(d, type->branches[i], json, out))
            return true;
        out->len = before;
    }
    return false;
}

/* Makes the field's default_bytes unless they are there. */
static bool make_default(struct defaults *d, tg_avro_field_t *field)
{
    assert(field->has_default);
    if (field->default_bytes.ptr == in_work) {
        d->why = "needs itself";
        return false;
    }
    if (field->default_bytes.ptr != NULL)
        return true;
    field->default_bytes.ptr = in_work;
    tg_buf_t bytes = tg_buf_make(TG_AVRO_DEFAULT_BYTES_MAX);
    bool ok = encode(d, field->type, json_object_get(field->json, "default"), &bytes);
    field->default_bytes.ptr = NULL;
    if (bytes.failed && d->why == NULL)
        d->why = "is too large";
    if (ok && !bytes.failed) {
        field->default_bytes = tg_arena_copy(d->schema->arena, tg_buf_view(&bytes));
        if (field->default_bytes.ptr == NULL)
            d->why = "needs more memory than is allowed";
    }
    tg_buf_dispose(&bytes);
    return field->default_bytes.ptr != NULL;
}

static bool encode_record(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                          tg_buf_t *out)
{
    assert(type->kind == TG_AVRO_RECORD);
    if (!json_is_object(json))
        return false;
    for (uint32_t i = 0; i < type->count; i++) {
        tg_avro_field_t *field = (tg_avro_field_t *)&type->fields[i];
        const json_t *member = json_object_getn(json, field->name.ptr, field->name.len);
        if (member == NULL && (!field->has_default || !make_default(d, field)))
            return false;
        if (member == NULL)
            tg_buf_str(out, field->default_bytes);
        else if (!encode(d, field->type, member, out))
            return false;
    }
    return true;
}

static bool encode(struct defaults *d, const tg_avro_type_t *type, const json_t *json,
                   tg_buf_t *out)
{
    typedef bool (*encode_fn)(struct defaults *, const tg_avro_type_t *, const json_t *,
                              tg_buf_t *);
    static const encode_fn by_kind[TG_AVRO_KINDS] = {
        [TG_AVRO_NULL] = encode_null,     [TG_AVRO_BOOLEAN] = encode_boolean,
        [TG_AVRO_INT] = encode_integer,   [TG_AVRO_LONG] = encode_integer,
        [TG_AVRO_FLOAT] = encode_real,    [TG_AVRO_DOUBLE] = encode_real,
        [TG_AVRO_BYTES] = encode_bytes,   [TG_AVRO_STRING] = encode_string,
        [TG_AVRO_RECORD] = encode_record, [TG_AVRO_ENUM] = encode_enum,
        [TG_AVRO_FIXED] = encode_bytes,   [TG_AVRO_ARRAY] = encode_array,
        [TG_AVRO_MAP] = encode_map,       [TG_AVRO_UNION] = encode_union,
    };
    assert(type->kind < TG_AVRO_KINDS);
    if (d->why == NULL && (++d->steps > STEPS_MAX || d->depth == DEPTH_MAX))
        d->why = "is too complex";
    if (out->failed && d->why == NULL)
        d->why = "is too large";
    if (d->why != NULL)
        return false;
    d->depth++;
    bool ok = by_kind[type->kind](d, type, json, out);
    d->depth--;
    return ok;
}

static tg_status_t refuse_default(const struct defaults *d, const tg_avro_type_t *record,
                                  const tg_avro_field_t *field)
{
    const json_t *value = json_object_get(field->json, "default");
    if (d->why != NULL)
        return tg_error_set(d->error, TG_INVALID,
                            "record %.128s, field %.128s: the default %s (%s)", record->name.ptr,
                            field->name.ptr, d->why, tg_avro_kind_name(field->type->kind));
    return tg_error_set(d->error, TG_INVALID,
                        "record %.128s, field %.128s: the default does not fit the type (%s), "
                        "got %s",
                        record->name.ptr, field->name.ptr, tg_avro_kind_name(field->type->kind),
                        tg_avro_json_words(value));
}

tg_status_t tg_avro_encode_defaults(tg_avro_schema_t *schema, tg_error_t *error)
{
    assert(schema != NULL);
    struct defaults d = {.schema = schema, .error = error};
    for (size_t i = 0; i < schema->named_count; i++) {
        const tg_avro_type_t *type = schema->named[i];
        for (uint32_t j = 0; type->kind == TG_AVRO_RECORD && j < type->count; j++) {
            tg_avro_field_t *field = (tg_avro_field_t *)&type->fields[j];
            if (field->has_default && !make_default(&d, field))
                return refuse_default(&d, type, field);
        }
    }
    return TG_OK;
}
