/* One event as the store takes it, without any Kafka: the row of data.events, and what its type
 * adds to a running state.
 *
 * `series` holds tenant, type, kind and entity in one piece of memory with a NUL between them:
 * equal series are equal bytes, and its bytewise order is the order of the four texts under
 * collation "C" (none of them holds a NUL; the decoder sees to it).
 *
 * Threads: plain values. */
#ifndef TG_ROW_H
#define TG_ROW_H

#include "common/base/time.h"
#include "common/base/uuid.h"

typedef struct tg_row {
    tg_str_t series; /* tenant NUL type NUL kind NUL entity; the four below point into it */
    tg_str_t tenant, type, kind, entity;
    tg_str_t user;    /* empty: none */
    tg_str_t payload; /* JSON text; empty: none */
    tg_uuid_t id;
    int64_t occurred_at, received_at; /* µs */
    double value;
    tg_str_t state; /* name of the type's running state; empty: none */
    int64_t delta;  /* what this event adds to it */
    bool has_value;
    bool time_own; /* occurred_at is ours, and gives way to the time kept for this id */
} tg_row_t;

/* "tenant NUL type": the first half of the series. */
static inline tg_str_t tg_row_scope(const tg_row_t *row)
{
    return (tg_str_t){row->series.ptr, row->tenant.len + 1 + row->type.len};
}

/* Order of the primary key: tenant, type, time, id. */
int tg_row_compare(const tg_row_t *a, const tg_row_t *b);

#endif
