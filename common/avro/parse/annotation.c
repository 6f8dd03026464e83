/* Logical types: what an annotation means for the type it stands on. One that does not fit, or that
 * nobody knows, is ignored and the base type stays, as the specification demands. */
#include "common/avro/parse/parse.h"

#define UUID_BYTES     16
#define DURATION_BYTES 12

/* A fixed of n bytes holds floor(log10(2^(8n-1))) digits. */
static bool digits_fit(const tg_avro_type_t *type, json_int_t digits)
{
    return type->kind != TG_AVRO_FIXED || (double)digits <= 2.408239965 * type->size - 0.30103;
}

static void set_decimal(tg_avro_type_t *type)
{
    assert(type->kind == TG_AVRO_BYTES || type->kind == TG_AVRO_FIXED);
    const json_t *precision = json_object_get(type->json, "precision");
    const json_t *scale = json_object_get(type->json, "scale");
    json_int_t digits = json_integer_value(precision);
    json_int_t behind = json_integer_value(scale);
    if (!json_is_integer(precision) || (scale != NULL && !json_is_integer(scale)))
        return;
    if (digits < 1 || digits > TG_AVRO_PRECISION_MAX || behind < 0 || behind > digits)
        return;
    if (!digits_fit(type, digits))
        return;
    type->logical = TG_AVRO_DECIMAL;
    type->precision = (uint32_t)digits;
    type->scale = (uint32_t)behind;
}

void tg_avro_annotate(tg_avro_type_t *type)
{
    assert(type->logical == TG_AVRO_PLAIN);
    static const struct {
        const char *name;
        tg_avro_kind_t kind;
        uint32_t size; /* of fixed */
        tg_avro_logical_t logical;
    } rows[] = {
        {"uuid", TG_AVRO_STRING, 0, TG_AVRO_UUID},
        {"uuid", TG_AVRO_FIXED, UUID_BYTES, TG_AVRO_UUID},
        {"duration", TG_AVRO_FIXED, DURATION_BYTES, TG_AVRO_DURATION},
        {"date", TG_AVRO_INT, 0, TG_AVRO_DATE},
        {"time-millis", TG_AVRO_INT, 0, TG_AVRO_TIME_MILLIS},
        {"time-micros", TG_AVRO_LONG, 0, TG_AVRO_TIME_MICROS},
        {"timestamp-millis", TG_AVRO_LONG, 0, TG_AVRO_TIMESTAMP_MILLIS},
        {"timestamp-micros", TG_AVRO_LONG, 0, TG_AVRO_TIMESTAMP_MICROS},
        {"timestamp-nanos", TG_AVRO_LONG, 0, TG_AVRO_TIMESTAMP_NANOS},
        {"local-timestamp-millis", TG_AVRO_LONG, 0, TG_AVRO_LOCAL_MILLIS},
        {"local-timestamp-micros", TG_AVRO_LONG, 0, TG_AVRO_LOCAL_MICROS},
        {"local-timestamp-nanos", TG_AVRO_LONG, 0, TG_AVRO_LOCAL_NANOS},
    };
    tg_str_t name = tg_avro_attribute(type->json, "logicalType");
    if (name.len == 0)
        return;
    if (tg_str_eq(name, TG_STR("decimal")) &&
        (type->kind == TG_AVRO_BYTES || type->kind == TG_AVRO_FIXED)) {
        set_decimal(type);
        return;
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (rows[i].kind == type->kind && rows[i].size == type->size &&
            tg_str_eq(name, tg_str_from(rows[i].name)))
            type->logical = rows[i].logical;
    }
}
