/* Schema resolution: values that one schema wrote as another schema reads them.
 *
 * A plan is compiled once for a pair (writer, reader) and turns the writer's bytes into the bytes
 * that the reader's schema would have written for the same value: fields in the reader's order,
 * those that the reader does not know left out, those that the writer did not know from their
 * defaults, numbers widened, symbols and branches renumbered. Why bytes and not a tree: whatever
 * takes bytes of the reader's schema (JSON, a store row, the next topic) needs no second way in,
 * and what is the same in both schemas is checked and copied in one run.
 *
 * The rules are those of the specification as Avro Java 1.12 applies them: fields match by name or
 * by the reader's aliases; enum and fixed types by unqualified name or by the reader's aliases; of
 * a reader's union the branch of the same kind and name, else the first that the value widens to.
 * What the pair can't do for some values only (a symbol or a branch the reader lacks) is refused
 * when such a value comes.
 *
 * Limits: TG_AVRO_PLAN_NODES_MAX pairs of types, TG_AVRO_PLAN_BYTES_MAX of memory.
 * Threads: a plan is immutable and may be used from any thread; it borrows from both schemas, which
 * must live as long. The codec is scratch memory of one thread. */
#ifndef TG_AVRO_RESOLVE_H
#define TG_AVRO_RESOLVE_H

#include "common/avro/codec.h"

#define TG_AVRO_PLAN_NODES_MAX 65536 /* pairs of types that meet */
#define TG_AVRO_PLAN_DEPTH_MAX 256   /* nesting of such pairs */
#define TG_AVRO_PLAN_BYTES_MAX ((size_t)16 << 20)

typedef struct tg_avro_plan tg_avro_plan_t;

/* Compiles the pair. TG_INVALID with the reason when the reader can read no value of the writer;
 * TG_TOO_LARGE beyond the limits. */
TG_NODISCARD tg_status_t tg_avro_plan_create(const tg_avro_type_t *writer,
                                             const tg_avro_type_t *reader,
                                             tg_avro_plan_t **out_plan, tg_error_t *error);
void tg_avro_plan_destroy(tg_avro_plan_t *plan); /* NULL is allowed */

/* The type that the plan's results have. */
const tg_avro_type_t *tg_avro_plan_reader(const tg_avro_plan_t *plan);

/* Whether both schemas write every value alike, so that the bytes need no resolving. */
bool tg_avro_plan_is_copy(const tg_avro_plan_t *plan);

/* Appends the reader's bytes of one value; `bytes` must hold exactly that value as the writer wrote
 * it. TG_INVALID with path, expectation and what came, after which `out` is as before; TG_NOMEM
 * when `out` is at its limit. */
TG_NODISCARD tg_status_t tg_avro_resolve(tg_avro_codec_t *codec, const tg_avro_plan_t *plan,
                                         tg_str_t bytes, unsigned flags, tg_buf_t *out,
                                         tg_avro_error_t *error);

/* The same as JSON of the reader's schema (see tg_avro_decode). A resolved value of more than
 * TG_AVRO_RESOLVED_MAX bytes is TG_NOMEM. */
TG_NODISCARD tg_status_t tg_avro_resolve_json(tg_avro_codec_t *codec, const tg_avro_plan_t *plan,
                                              tg_str_t bytes, unsigned flags, tg_buf_t *out,
                                              tg_avro_error_t *error);

#endif
