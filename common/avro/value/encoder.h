/* One value on its way from JSON nodes to Avro bytes: what encode.c (containers) and scalar.c (the
 * rest) share.
 *
 * Threads: values of one thread. */
#ifndef TG_AVRO_ENCODER_H
#define TG_AVRO_ENCODER_H

#include "common/avro/codec.h"

typedef struct tg_avro_encoder {
    tg_avro_codec_t *codec;
    const tg_json_node_t *nodes;
    tg_buf_t *out;
    tg_avro_error_t *error;
    unsigned flags, depth;
} tg_avro_encoder_t;

static inline bool tg_avro_encoder_strict(const tg_avro_encoder_t *e)
{
    return (e->flags & TG_AVRO_STRICT_JSON) != 0;
}

/* Fills the error and returns TG_INVALID. */
tg_status_t tg_avro_encoder_refuse(tg_avro_encoder_t *e, const char *code, const char *format, ...)
    TG_PRINTF(3, 4);

/* "expected `what`, got …" of the node. */
tg_status_t tg_avro_encoder_expected(tg_avro_encoder_t *e, const char *code, const char *what,
                                     size_t index);

/* Text that the flags let pass, or the reason why not. */
TG_NODISCARD tg_status_t tg_avro_encoder_check_text(tg_avro_encoder_t *e, tg_str_t text);

/* Any type but records, arrays, maps and unions. */
TG_NODISCARD tg_status_t tg_avro_encode_scalar(tg_avro_encoder_t *e, const tg_avro_type_t *type,
                                               size_t index);

/* Whether plain JSON's value is one of that type; not for records, arrays, maps and unions. */
bool tg_avro_scalar_fits(const tg_avro_type_t *type, const tg_json_node_t *node);

#endif
