/* What a resolution plan is made of; only plan.c (which compiles) and resolve.c (which runs) look.
 *
 * A node stands for one pair of types that meet: what to do with the writer's bytes so that they
 * become the reader's. Nodes may form cycles, as types do. */
#ifndef TG_AVRO_PLAN_H
#define TG_AVRO_PLAN_H

#include "common/avro/resolve.h"
#include "common/base/arena.h"

typedef enum tg_avro_action {
    TG_AVRO_ACT_COPY, /* one value of the writer's type, as it stands */
    TG_AVRO_ACT_TEXT, /* bytes that the reader takes for a string */
    TG_AVRO_ACT_FLOAT,
    TG_AVRO_ACT_DOUBLE,
    TG_AVRO_ACT_RECORD,
    TG_AVRO_ACT_ENUM,
    TG_AVRO_ACT_ITEMS,        /* array or map */
    TG_AVRO_ACT_WRITER_UNION, /* which branch decides what to do */
    TG_AVRO_ACT_READER_UNION, /* the branch is known: its index, then the value */
    TG_AVRO_ACT_REFUSE,
} tg_avro_action_t;

typedef enum tg_avro_step_op {
    TG_AVRO_STEP_FIELD,
    TG_AVRO_STEP_SKIP,
    TG_AVRO_STEP_DEFAULT
} tg_avro_step_op_t;

typedef struct tg_avro_plan_node tg_avro_plan_node_t;

typedef struct tg_avro_step {
    tg_avro_step_op_t op;
    uint32_t field;                  /* the reader's, or for SKIP the writer's */
    const tg_avro_plan_node_t *node; /* FIELD */
} tg_avro_step_t;

struct tg_avro_plan_node {
    tg_avro_action_t action;
    bool same; /* every value has the same bytes in both schemas: check, and copy */
    const tg_avro_type_t *writer, *reader;
    tg_avro_plan_node_t *older; /* in order of making */
    union {
        struct {
            const tg_avro_step_t *steps;
            uint32_t count;
            bool reordered; /* steps are in the writer's order; the defaults are not among them */
        } record;
        const int32_t *symbols;               /* by the writer's index; -1: the reader has none */
        const tg_avro_plan_node_t *items;     /* array, map */
        const tg_avro_plan_node_t **branches; /* by the writer's index */
        struct {
            uint32_t branch;
            const tg_avro_plan_node_t *value;
        } chosen;
        const char *why; /* refuse */
    } as;
};

struct tg_avro_plan {
    tg_arena_t *arena; /* every node */
    const tg_avro_plan_node_t *root;
    tg_avro_plan_node_t *newest;
};

#endif
