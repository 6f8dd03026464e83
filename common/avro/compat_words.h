/* The list of incompatibilities that a check makes: room, places and words. Private to compat.c.
 *
 * Threads: values of one thread. */
#ifndef TG_AVRO_COMPAT_WORDS_H
#define TG_AVRO_COMPAT_WORDS_H

#include "common/avro/compat.h"

/* A step of a JSON pointer, on the stack of the check: a name or an index. */
struct tg_avro_step {
    const struct tg_avro_step *up; /* NULL at the first step */
    const char *name;              /* NULL: the index */
    uint32_t index;
};

/* Where two types meet, and whether failures are listed there. */
struct tg_avro_place {
    const struct tg_avro_step *step; /* NULL: the roots */
    bool listed;
};

struct tg_avro_failures {
    tg_avro_compat_t *out;
    bool no_memory;
};

/* Each lists one failure, if the place is listed at all, and returns false for the check. */
bool tg_avro_fail_type(struct tg_avro_failures *list, struct tg_avro_place at,
                       const tg_avro_type_t *reader, const tg_avro_type_t *writer);
bool tg_avro_fail_branch(struct tg_avro_failures *list, struct tg_avro_place at,
                         const tg_avro_type_t *writer);
bool tg_avro_fail_ambiguous(struct tg_avro_failures *list, struct tg_avro_place at,
                            const tg_avro_field_t *field);
bool tg_avro_fail_missing(struct tg_avro_failures *list, struct tg_avro_place at,
                          const tg_avro_field_t *field);
bool tg_avro_fail_name(struct tg_avro_failures *list, struct tg_avro_place at,
                       const tg_avro_type_t *reader, const tg_avro_type_t *writer);
bool tg_avro_fail_size(struct tg_avro_failures *list, struct tg_avro_place at,
                       const tg_avro_type_t *reader, const tg_avro_type_t *writer);
bool tg_avro_fail_symbols(struct tg_avro_failures *list, struct tg_avro_place at,
                          const tg_avro_type_t *reader, const tg_avro_type_t *writer);

#endif
