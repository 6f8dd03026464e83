/* One column of many rows as a PostgreSQL array in binary format, for INSERT … SELECT FROM
 * unnest().
 *
 * Why binary arrays: of the ways to insert a batch that can also say ON CONFLICT, this one is the
 * fastest (see the store), and nothing is quoted or parsed.
 *
 * Limit: the bytes of one column, given at init; a column beyond it fails as a whole. Threads:
 * values of one thread. */
#ifndef TG_WORKER_PG_PGARRAY_H
#define TG_WORKER_PG_PGARRAY_H

#include "common/base/str.h"
#include "common/base/uuid.h"

/* Type oids of the server's catalogue; they never change. */
enum {
    TG_PG_INT8 = 20,
    TG_PG_INT4 = 23,
    TG_PG_TEXT = 25,
    TG_PG_BYTEA = 17,
    TG_PG_FLOAT8 = 701,
    TG_PG_DATE = 1082,
    TG_PG_TIMESTAMPTZ = 1184,
    TG_PG_UUID = 2950,
    TG_PG_INT4_ARRAY = 1007,
    TG_PG_TEXT_ARRAY = 1009,
    TG_PG_BYTEA_ARRAY = 1001,
    TG_PG_INT8_ARRAY = 1016,
    TG_PG_FLOAT8_ARRAY = 1022,
    TG_PG_DATE_ARRAY = 1182,
    TG_PG_TIMESTAMPTZ_ARRAY = 1185,
    TG_PG_UUID_ARRAY = 2951,
};

typedef struct tg_pgarray {
    tg_buf_t bytes;
    unsigned element; /* type oid */
    uint32_t count;
    bool nulls;
} tg_pgarray_t;

/* An array of elements of this type oid that may grow to `max_bytes`. */
void tg_pgarray_init(tg_pgarray_t *array, unsigned element, size_t max_bytes);
void tg_pgarray_dispose(tg_pgarray_t *array);

/* Empties it, keeping its memory. */
void tg_pgarray_clear(tg_pgarray_t *array);

void tg_pgarray_null(tg_pgarray_t *array);
void tg_pgarray_text(tg_pgarray_t *array, tg_str_t text); /* text, bytea */
void tg_pgarray_int4(tg_pgarray_t *array, int32_t value);
void tg_pgarray_int8(tg_pgarray_t *array, int64_t value);
void tg_pgarray_float8(tg_pgarray_t *array, double value);
void tg_pgarray_time(tg_pgarray_t *array, int64_t unix_us); /* timestamptz */
void tg_pgarray_date(tg_pgarray_t *array, int64_t unix_us); /* the UTC day of that moment */
void tg_pgarray_uuid(tg_pgarray_t *array, const tg_uuid_t *uuid);

/* Completes the header; the parameter's bytes, borrowed until the next change. TG_TOO_LARGE when
 * something did not fit. */
TG_NODISCARD tg_status_t tg_pgarray_finish(tg_pgarray_t *array, tg_str_t *out_bytes);

/* Room for one value of `size` bytes behind its length, the form that arrays and COPY share; NULL,
 * and `out` has failed, when it does not fit. */
char *tg_pg_cell(tg_buf_t *out, size_t size);
void tg_pg_cell_null(tg_buf_t *out);
void tg_pg_cell_text(tg_buf_t *out, tg_str_t text); /* text, bytea */
void tg_pg_cell_int4(tg_buf_t *out, int32_t value);
void tg_pg_cell_int8(tg_buf_t *out, int64_t value);
void tg_pg_cell_float8(tg_buf_t *out, double value);
void tg_pg_cell_time(tg_buf_t *out, int64_t unix_us); /* timestamptz */
void tg_pg_cell_uuid(tg_buf_t *out, const tg_uuid_t *uuid);

/* Big-endian integers, as libpq's binary format has them. */
int32_t tg_pg_get_int4(const char *bytes);
int64_t tg_pg_get_int8(const char *bytes);
void tg_pg_put_int4(char *bytes, int32_t value);
void tg_pg_put_int8(char *bytes, int64_t value);

/* Between µs since 1970 and the server's µs since 2000. */
#define TG_PG_EPOCH_US INT64_C(946684800000000)

#endif
