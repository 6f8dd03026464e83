/* libavro's part of the codec's benchmark: the same order, filled into its generic value and
 * written, and read back. What it is given is already parsed, and its value is made once and used
 * again, as a careful user of it would.
 *
 * Threads: one. */
#ifndef TG_CODEC_LIBAVRO_H
#define TG_CODEC_LIBAVRO_H

#include "common/base/str.h"

typedef struct tg_libavro tg_libavro_t;

typedef struct tg_libavro_order {
    tg_str_t order_id, customer_id, currency, channel;
    double amount;
    int64_t event_time; /* µs */
} tg_libavro_order_t;

/* NULL when libavro is not there or can't read the schema (schemas/order.avsc). */
tg_libavro_t *tg_libavro_open(tg_str_t schema);
void tg_libavro_close(tg_libavro_t *avro); /* NULL is allowed */

/* Writes the order; the bytes are borrowed until the next call. Empty when it failed. */
tg_str_t tg_libavro_write(tg_libavro_t *avro, const tg_libavro_order_t *order);

/* Reads an order's bytes and looks at each field. Texts are borrowed until the next call. */
bool tg_libavro_read(tg_libavro_t *avro, tg_str_t bytes, tg_libavro_order_t *out_order);

#endif
