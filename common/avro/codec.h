/* Values between JSON and Avro binary, driven by a checked schema.
 *
 * Plain JSON is what clients send: {"amount": 3.5}, not {"amount": {"double": 3.5}}. A union's
 * branch is chosen by the JSON value: the first branch that it fits, looking at the value itself
 * and, for records, at its member names, never deeper. So choosing is linear in the input, whatever
 * the schema.
 *
 *   timestamp-*         RFC 3339 text, or epoch seconds, ms or µs told apart by magnitude
 *   date, time-*        "2026-02-03", "10:00:05.25"; or the raw number
 *   local-timestamp-*   RFC 3339 without an offset; or the raw number
 *   decimal             a number, or its text where a double would round it; written as a number
 *   uuid                text, either case
 *   duration            ISO 8601 text, "P1M2DT3.004S"
 *   bytes, fixed        base64 (RFC 4648 section 4, padded)
 *   float, double       finite numbers only
 *
 * TG_AVRO_STRICT_JSON chooses Avro's own JSON encoding instead, in both directions: a union's value
 * other than null is an object with the branch's name ({"double": 3.5}), logical types are their
 * base values, bytes and fixed are text of code points up to U+00FF, NaN and the infinities are
 * text, and every field must be given.
 *
 * Reading is strict: booleans of 2, unknown symbols and branches, text that is not UTF-8, bytes
 * left over, numbers JSON has no words for are all refused. It never looks outside the bytes and
 * holds every count against the bytes that are left; items of no bytes are limited to
 * TG_AVRO_EMPTY_ITEMS_MAX per value.
 *
 * Threads: a codec is scratch memory of one thread. */
#ifndef TG_AVRO_CODEC_H
#define TG_AVRO_CODEC_H

#include "common/avro/schema.h"
#include "common/json/json.h"

#define TG_AVRO_DEPTH_MAX       64                 /* nesting of a value */
#define TG_AVRO_EMPTY_ITEMS_MAX 4096               /* nulls and the like in arrays, per value */
#define TG_AVRO_RESOLVED_MAX    ((size_t)16 << 20) /* bytes of scratch for one resolved value */

enum tg_avro_flag {
    TG_AVRO_REFUSE_NUL = 1,  /* no U+0000 in any text, in either direction */
    TG_AVRO_RAW_TIMES = 2,   /* decode: timestamps as µs since the epoch instead of RFC 3339 */
    TG_AVRO_STRICT_JSON = 4, /* Avro's own JSON encoding instead of plain JSON */
};

/* Why a value was refused. */
typedef struct tg_avro_error {
    const char *code;  /* missing_field, unknown_field, duplicate_field, wrong_type, invalid_value,
                          too_large */
    size_t offset;     /* decode: of the byte where reading stopped */
    char path[128];    /* dotted, "items[2].price"; "" for the value itself */
    char message[256]; /* expectation and what came */
} tg_avro_error_t;

typedef struct tg_avro_codec tg_avro_codec_t;
tg_avro_codec_t *tg_avro_codec_create(void); /* NULL when out of memory */
void tg_avro_codec_destroy(tg_avro_codec_t *codec);

/* Appends the Avro encoding of the JSON value nodes[index]. TG_INVALID with the reason, after which
 * `out` is as before. TG_NOMEM when `out` is at its limit (look at out->failed). */
TG_NODISCARD tg_status_t tg_avro_encode(tg_avro_codec_t *codec, const tg_avro_type_t *type,
                                        const tg_json_node_t *nodes, size_t index, unsigned flags,
                                        tg_buf_t *out, tg_avro_error_t *error);

/* Appends one value as JSON; `bytes` must hold exactly that value. */
TG_NODISCARD tg_status_t tg_avro_decode(const tg_avro_type_t *type, tg_str_t bytes, unsigned flags,
                                        tg_buf_t *out, tg_avro_error_t *error);

/* The branch that a plain JSON value goes to, or -1. */
int tg_avro_union_pick(const tg_avro_type_t *type, const tg_json_node_t *nodes, size_t index);

/* What a union's branch is called in Avro's own JSON encoding: the full name, or "int", "map", … */
tg_str_t tg_avro_branch_tag(const tg_avro_type_t *branch);

/* A time as a client may write it, to µs: RFC 3339, or a number whose magnitude tells its unit
 * (below 10^11 seconds, below 10^14 ms, below 10^17 µs). TG_INVALID for any other value. */
TG_NODISCARD tg_status_t tg_avro_json_time(const tg_json_node_t *node, int64_t *out_us);

/* "string \"x\"", "array of 3", …: what came, for messages. Cuts long text. */
void tg_avro_describe(const tg_json_node_t *node, char *out, size_t size);

/* --- reading piece by piece, for callers that take some fields out themselves --- */

typedef struct tg_avro_reader {
    const uint8_t *start, *at, *end;
    unsigned flags, depth;
    uint32_t empty_items; /* still allowed */
    tg_avro_error_t *error;
} tg_avro_reader_t;

void tg_avro_reader_init(tg_avro_reader_t *reader, tg_str_t bytes, unsigned flags,
                         tg_avro_error_t *error);

/* Each moves behind what it read; TG_INVALID with the reason and offset. */
TG_NODISCARD tg_status_t tg_avro_read_long(tg_avro_reader_t *reader, int64_t *out_value);
TG_NODISCARD tg_status_t tg_avro_read_text(tg_avro_reader_t *reader, tg_str_t *out_text);
TG_NODISCARD tg_status_t tg_avro_read_double(tg_avro_reader_t *reader, double *out_value);
TG_NODISCARD tg_status_t tg_avro_read_float(tg_avro_reader_t *reader, float *out_value);
TG_NODISCARD tg_status_t tg_avro_read_symbol(tg_avro_reader_t *reader, const tg_avro_type_t *type,
                                             tg_str_t *out_symbol);
TG_NODISCARD tg_status_t tg_avro_read_branch(tg_avro_reader_t *reader, const tg_avro_type_t *type,
                                             const tg_avro_type_t **out_branch);
TG_NODISCARD tg_status_t tg_avro_read_json(tg_avro_reader_t *reader, const tg_avro_type_t *type,
                                           tg_buf_t *out);

/* Fills the reader's error and returns TG_INVALID. */
tg_status_t tg_avro_reader_refuse(tg_avro_reader_t *reader, const char *format, ...)
    TG_PRINTF(2, 3);

/* Puts `name` (or, with a NULL name, [index]) in front of the error's path. */
void tg_avro_error_within(tg_avro_error_t *error, tg_str_t name, size_t index);

#endif
