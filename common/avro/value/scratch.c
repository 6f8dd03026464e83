/* The codec's memory. The stack of slots is bounded by what may nest: TG_AVRO_DEPTH_MAX records of
 * at most TG_AVRO_FIELDS_MAX fields. */
#include "common/avro/value/scratch.h"

#include <stdlib.h>

#define KEEP_BYTES      ((size_t)1 << 20) /* a larger value's memory is not kept */
#define SLOTS_PER_FIELD 2
#define SLOTS_MIN       64
#define SLOTS_MAX       ((size_t)TG_AVRO_DEPTH_MAX * TG_AVRO_FIELDS_MAX * SLOTS_PER_FIELD)

tg_avro_codec_t *tg_avro_codec_create(void)
{
    tg_avro_codec_t *codec = calloc(1, sizeof(*codec));
    if (codec != NULL)
        codec->bytes = codec->value = tg_buf_make(TG_AVRO_RESOLVED_MAX);
    return codec;
}

void tg_avro_codec_destroy(tg_avro_codec_t *codec)
{
    if (codec == NULL)
        return;
    free(codec->slots);
    tg_buf_dispose(&codec->bytes);
    tg_buf_dispose(&codec->value);
    free(codec);
}

size_t tg_avro_push_slots(tg_avro_codec_t *codec, size_t count)
{
    size_t need = codec->slots_used + count;
    assert(need <= SLOTS_MAX);
    if (need > codec->slots_cap) {
        size_t cap = need < SLOTS_MIN ? SLOTS_MIN : need * 2;
        uint32_t *slots = realloc(codec->slots, cap * sizeof(*slots));
        if (slots == NULL)
            return SIZE_MAX;
        codec->slots = slots;
        codec->slots_cap = cap;
    }
    size_t base = codec->slots_used;
    if (count > 0)
        memset(codec->slots + base, 0, count * sizeof(*codec->slots));
    codec->slots_used = need;
    return base;
}

void tg_avro_clear_scratch(tg_avro_codec_t *codec)
{
    tg_buf_t *const buffers[] = {&codec->bytes, &codec->value};
    for (size_t i = 0; i < TG_ARRAY_LEN(buffers); i++) {
        if (buffers[i]->cap > KEEP_BYTES)
            tg_buf_dispose(buffers[i]);
        tg_buf_clear(buffers[i]);
    }
    codec->slots_used = 0;
}
