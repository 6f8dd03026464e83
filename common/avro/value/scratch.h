/* What a codec is: the scratch memory that encoding and resolving keep between values, so that
 * neither allocates for a value once it has grown.
 *
 * Threads: one. */
#ifndef TG_AVRO_SCRATCH_H
#define TG_AVRO_SCRATCH_H

#include "common/avro/codec.h"

struct tg_avro_codec {
    uint32_t *slots; /* a stack of frames, a few entries for each field of a record */
    size_t slots_used, slots_cap;
    tg_buf_t bytes; /* records whose fields change places, the inner behind the outer */
    tg_buf_t value; /* a whole resolved value */
};

/* A zeroed frame of `count` slots on top of the stack; gives where it starts, or SIZE_MAX without
 * memory. The caller sets slots_used back to that. */
size_t tg_avro_push_slots(tg_avro_codec_t *codec, size_t count);

/* Empties the buffers, and gives back what an unusually large value made them grow to. */
void tg_avro_clear_scratch(tg_avro_codec_t *codec);

#endif
