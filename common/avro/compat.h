/* Whether data written with one schema can be read with another, by the rules of Avro's schema
 * resolution as org.apache.avro 1.12.1's SchemaCompatibility applies them:
 *
 *   - named types match by their name without namespace, or by an alias of the reader that is the
 *     writer's full name; the writer's aliases do not count;
 *   - fields match by name or by an alias of the reader's field; when that is more than one of the
 *     writer's fields, nothing can be read;
 *   - a field that the writer lacks needs a default in the reader;
 *   - an enum must have all of the writer's symbols, or a default;
 *   - int → long → float → double, string ↔ bytes; sizes of fixed are equal;
 *   - each branch of the writer's union must be readable, and by some branch of a reader's union;
 *   - a pair of types that is being compared counts as readable further inside.
 *
 * Logical types do not count. Each incompatibility is listed once, where it was first met.
 *
 * Work and memory are bounded: each pair of types is compared once (and once more to say why it
 * failed), within the limits below.
 *
 * Threads: any; nothing is kept between calls. */
#ifndef TG_AVRO_COMPAT_H
#define TG_AVRO_COMPAT_H

#include "common/avro/schema.h"

#define TG_AVRO_COMPAT_FOUND_MAX 64       /* incompatibilities that are listed */
#define TG_AVRO_COMPAT_STEPS_MAX 1000000u /* comparisons */
#define TG_AVRO_COMPAT_PAIRS_MAX 200000u  /* pairs of types that have parts */
#define TG_AVRO_COMPAT_DEPTH_MAX 1000u

typedef enum tg_avro_incompat {
    TG_AVRO_NAME_MISMATCH,
    TG_AVRO_FIXED_SIZE_MISMATCH,
    TG_AVRO_MISSING_ENUM_SYMBOLS,
    TG_AVRO_READER_FIELD_MISSING_DEFAULT_VALUE,
    TG_AVRO_TYPE_MISMATCH,
    TG_AVRO_MISSING_UNION_BRANCH,
    TG_AVRO_INCOMPATS,
} tg_avro_incompat_t;

typedef struct tg_avro_incompatibility {
    tg_avro_incompat_t type;
    char path[256];    /* JSON pointer into the reader's schema, "/" for its root; may be cut */
    char detail[256];  /* the names, sizes or types in question, as Java's message has them */
    char message[768]; /* what is wrong and what to do; "reader" and "writer" are the two schemas */
} tg_avro_incompatibility_t;

typedef struct tg_avro_compat {
    bool compatible;
    size_t total;                     /* incompatibilities; the first `count` are in `found` */
    size_t count;                     /* at most TG_AVRO_COMPAT_FOUND_MAX */
    tg_avro_incompatibility_t *found; /* owned; NULL when there is none */
} tg_avro_compat_t;

/* Fills *out (and nothing else) unless it gives TG_NOMEM, or TG_TOO_LARGE for a pair beyond the
 * limits above. */
TG_NODISCARD tg_status_t tg_avro_compat_check(const tg_avro_type_t *reader,
                                              const tg_avro_type_t *writer, tg_avro_compat_t *out);

/* Whether the reader's named type stands for the writer's, by its name or an alias. */
bool tg_avro_names_match(const tg_avro_type_t *reader, const tg_avro_type_t *writer);

/* Frees the list. NULL and an empty one are allowed. */
void tg_avro_compat_dispose(tg_avro_compat_t *compat);

/* "NAME_MISMATCH", …, as Java and Confluent's registry spell them. */
const char *tg_avro_incompat_name(tg_avro_incompat_t type);

#endif
