/* The form is written from the checked tree, where names are full and attributes that do not count
 * are out of the way already. A named type is written where it is first met, by name after that.
 * Definitions nest at most TG_AVRO_SCHEMA_DEPTH_MAX deep, references TG_AVRO_REF_DEPTH_MAX, which
 * bounds the recursion. */
#include "common/avro/canonical.h"

#include "common/base/table.h"

struct writer {
    tg_buf_t *out;
    tg_table_t *seen; /* full names that were written */
};

static tg_status_t write_type(struct writer *w, const tg_avro_type_t *type);

static void write_name(struct writer *w, const tg_avro_type_t *type)
{
    tg_buf_str(w->out, TG_STR("{\"name\":"));
    tg_buf_json_string(w->out, type->name);
    tg_buf_printf(w->out, ",\"type\":\"%s\"", tg_avro_kind_name(type->kind));
}

static tg_status_t write_record(struct writer *w, const tg_avro_type_t *type)
{
    write_name(w, type);
    tg_buf_str(w->out, TG_STR(",\"fields\":["));
    for (uint32_t i = 0; i < type->count; i++) {
        tg_buf_str(w->out, i == 0 ? TG_STR("{\"name\":") : TG_STR(",{\"name\":"));
        tg_buf_json_string(w->out, type->fields[i].name);
        tg_buf_str(w->out, TG_STR(",\"type\":"));
        tg_status_t status = write_type(w, type->fields[i].type);
        if (status != TG_OK)
            return status;
        tg_buf_byte(w->out, '}');
    }
    tg_buf_str(w->out, TG_STR("]}"));
    return TG_OK;
}

static void write_enum(struct writer *w, const tg_avro_type_t *type)
{
    write_name(w, type);
    tg_buf_str(w->out, TG_STR(",\"symbols\":["));
    for (uint32_t i = 0; i < type->count; i++) {
        if (i > 0)
            tg_buf_byte(w->out, ',');
        tg_buf_json_string(w->out, type->symbols[i]);
    }
    tg_buf_str(w->out, TG_STR("]}"));
}

static tg_status_t write_named(struct writer *w, const tg_avro_type_t *type)
{
    assert(type->name.len > 0);
    if (tg_table_get(w->seen, type->name) != NULL) {
        tg_buf_json_string(w->out, type->name);
        return TG_OK;
    }
    if (tg_table_put(w->seen, type->name, (void *)type) != TG_OK)
        return TG_NOMEM;
    if (type->kind == TG_AVRO_RECORD)
        return write_record(w, type);
    if (type->kind == TG_AVRO_ENUM) {
        write_enum(w, type);
    } else {
        write_name(w, type);
        tg_buf_printf(w->out, ",\"size\":%u}", (unsigned)type->size);
    }
    return TG_OK;
}

static tg_status_t write_union(struct writer *w, const tg_avro_type_t *type)
{
    tg_buf_byte(w->out, '[');
    for (uint32_t i = 0; i < type->count; i++) {
        if (i > 0)
            tg_buf_byte(w->out, ',');
        tg_status_t status = write_type(w, type->branches[i]);
        if (status != TG_OK)
            return status;
    }
    tg_buf_byte(w->out, ']');
    return TG_OK;
}

static tg_status_t write_type(struct writer *w, const tg_avro_type_t *type)
{
    assert(type != NULL);
    tg_status_t status;
    switch (type->kind) {
    case TG_AVRO_RECORD:
    case TG_AVRO_ENUM:
    case TG_AVRO_FIXED:
        return write_named(w, type);
    case TG_AVRO_UNION:
        return write_union(w, type);
    case TG_AVRO_ARRAY:
    case TG_AVRO_MAP:
        tg_buf_str(w->out, type->kind == TG_AVRO_ARRAY ? TG_STR("{\"type\":\"array\",\"items\":")
                                                       : TG_STR("{\"type\":\"map\",\"values\":"));
        status = write_type(w, type->items);
        tg_buf_byte(w->out, '}');
        return status;
    default:
        tg_buf_printf(w->out, "\"%s\"", tg_avro_kind_name(type->kind));
        return TG_OK;
    }
}

tg_status_t tg_avro_canonical_type(const tg_avro_type_t *type, tg_buf_t *out)
{
    assert(type != NULL);
    assert(out != NULL);
    struct writer w = {.out = out,
                       .seen = tg_table_create(TG_AVRO_NAMES_MAX + TG_AVRO_KNOWN_MAX, NULL)};
    if (w.seen == NULL)
        return TG_NOMEM;
    tg_status_t status = write_type(&w, type);
    tg_table_destroy(w.seen);
    return status == TG_OK && out->failed ? TG_NOMEM : status;
}

tg_status_t tg_avro_canonical(const tg_avro_schema_t *schema, tg_buf_t *out)
{
    assert(schema != NULL);
    return tg_avro_canonical_type(tg_avro_schema_root(schema), out);
}
