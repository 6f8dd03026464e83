/* Base64 (RFC 4648, section 4: padded, nothing between): how bytes stand in plain JSON.
 *
 * Exact: of the texts that could stand for the same bytes only one is taken, so that a value has
 * one text.
 *
 * Threads: any. */
#ifndef TG_AVRO_BASE64_H
#define TG_AVRO_BASE64_H

#include "common/base/str.h"

/* Appends `bytes` as a JSON string with its quotes. */
void tg_avro_base64_write(tg_str_t bytes, tg_buf_t *out);

/* How many bytes the text stands for, or -1 when it is no base64. */
ptrdiff_t tg_avro_base64_len(tg_str_t text);

/* Appends those bytes; the text must have passed tg_avro_base64_len. */
void tg_avro_base64_read(tg_str_t text, tg_buf_t *out);

#endif
