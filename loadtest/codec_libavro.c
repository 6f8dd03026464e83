/* Fields are addressed by their index in schemas/order.avsc, the fastest way that libavro has. */
#include "loadtest/codec_libavro.h"

#include <stdlib.h>

#ifndef TG_HAVE_AVRO

tg_libavro_t *tg_libavro_open(tg_str_t schema)
{
    (void)schema;
    return NULL;
}

void tg_libavro_close(tg_libavro_t *avro)
{
    (void)avro;
}

tg_str_t tg_libavro_write(tg_libavro_t *avro, const tg_libavro_order_t *order)
{
    (void)avro, (void)order;
    return (tg_str_t){NULL, 0};
}

bool tg_libavro_read(tg_libavro_t *avro, tg_str_t bytes, tg_libavro_order_t *out_order)
{
    (void)avro, (void)bytes, (void)out_order;
    return false;
}

#else

#include <avro.h>

/* libavro's macros call through a table that the analyser cannot see filled. */
// NOLINTBEGIN(clang-analyzer-core.NullDereference)

enum { ORDER_ID, CUSTOMER_ID, AMOUNT, CURRENCY, CHANNEL, EVENT_TIME };

struct tg_libavro {
    avro_schema_t schema;
    avro_value_iface_t *iface;
    avro_value_t value;
    avro_writer_t writer;
    avro_reader_t reader;
    char bytes[4096];
};

tg_libavro_t *tg_libavro_open(tg_str_t schema)
{
    tg_libavro_t *avro = calloc(1, sizeof(*avro));
    if (avro == NULL)
        return NULL;
    if (avro_schema_from_json_length(schema.ptr, schema.len, &avro->schema) != 0) {
        free(avro);
        return NULL;
    }
    avro->iface = avro_generic_class_from_schema(avro->schema);
    avro->writer = avro_writer_memory(avro->bytes, sizeof(avro->bytes));
    avro->reader = avro_reader_memory(avro->bytes, sizeof(avro->bytes));
    if (avro->iface == NULL || avro->writer == NULL || avro->reader == NULL ||
        avro_generic_value_new(avro->iface, &avro->value) != 0)
        abort();
    return avro;
}

void tg_libavro_close(tg_libavro_t *avro)
{
    if (avro == NULL)
        return;
    avro_value_decref(&avro->value);
    avro_value_iface_decref(avro->iface);
    avro_schema_decref(avro->schema);
    avro_writer_free(avro->writer);
    avro_reader_free(avro->reader);
    free(avro);
}

static int set_text(avro_value_t *record, size_t field, tg_str_t text)
{
    avro_value_t value;
    char terminated[256];
    if (avro_value_get_by_index(record, field, &value, NULL) != 0 || text.len >= sizeof(terminated))
        return 1;
    memcpy(terminated, text.ptr, text.len); /* its strings end in NUL */
    terminated[text.len] = '\0';
    return avro_value_set_string_len(&value, terminated, text.len + 1);
}

static int set_branch(avro_value_t *record, size_t field, avro_value_t *out_branch)
{
    avro_value_t value;
    return avro_value_get_by_index(record, field, &value, NULL) != 0 ||
           avro_value_set_branch(&value, 1, out_branch) != 0;
}

static int fill(tg_libavro_t *avro, const tg_libavro_order_t *order)
{
    avro_value_t value;
    char id[256];
    avro_value_reset(&avro->value);
    if (order->order_id.len >= sizeof(id))
        return 1;
    memcpy(id, order->order_id.ptr, order->order_id.len);
    id[order->order_id.len] = '\0';
    int failed = set_branch(&avro->value, ORDER_ID, &value) ||
                 avro_value_set_string_len(&value, id, order->order_id.len + 1);
    failed = failed || set_text(&avro->value, CUSTOMER_ID, order->customer_id);
    failed = failed || avro_value_get_by_index(&avro->value, AMOUNT, &value, NULL) ||
             avro_value_set_double(&value, order->amount);
    failed = failed || set_text(&avro->value, CURRENCY, order->currency);
    failed = failed || set_text(&avro->value, CHANNEL, order->channel);
    return failed || set_branch(&avro->value, EVENT_TIME, &value) ||
           avro_value_set_long(&value, order->event_time);
}

tg_str_t tg_libavro_write(tg_libavro_t *avro, const tg_libavro_order_t *order)
{
    avro_writer_reset(avro->writer);
    if (fill(avro, order) != 0 || avro_value_write(avro->writer, &avro->value) != 0)
        return (tg_str_t){NULL, 0};
    return (tg_str_t){avro->bytes, (size_t)avro_writer_tell(avro->writer)};
}

static int get_text(avro_value_t *record, size_t field, tg_str_t *out_text)
{
    avro_value_t value;
    const char *text = NULL;
    size_t size = 0;
    int failed = avro_value_get_by_index(record, field, &value, NULL);
    if (failed == 0 && avro_value_get_type(&value) == AVRO_UNION)
        failed = avro_value_get_current_branch(&value, &value);
    failed = failed != 0 || avro_value_get_string(&value, &text, &size) != 0;
    *out_text = (tg_str_t){text, size == 0 ? 0 : size - 1};
    return failed;
}

bool tg_libavro_read(tg_libavro_t *avro, tg_str_t bytes, tg_libavro_order_t *out_order)
{
    avro_value_t value;
    avro_reader_memory_set_source(avro->reader, bytes.ptr, (int64_t)bytes.len);
    int failed = avro_value_read(avro->reader, &avro->value);
    failed = failed || get_text(&avro->value, ORDER_ID, &out_order->order_id);
    failed = failed || get_text(&avro->value, CUSTOMER_ID, &out_order->customer_id);
    failed = failed || get_text(&avro->value, CURRENCY, &out_order->currency);
    failed = failed || get_text(&avro->value, CHANNEL, &out_order->channel);
    failed = failed || avro_value_get_by_index(&avro->value, AMOUNT, &value, NULL) ||
             avro_value_get_double(&value, &out_order->amount);
    failed = failed || avro_value_get_by_index(&avro->value, EVENT_TIME, &value, NULL) ||
             avro_value_get_current_branch(&value, &value) ||
             avro_value_get_long(&value, &out_order->event_time);
    return failed == 0;
}

// NOLINTEND(clang-analyzer-core.NullDereference)
#endif
