/* Rows in the binary format of COPY (PostgreSQL 15, "COPY", File Formats, Binary Format).
 *
 * Why beside the arrays: COPY writes a page of rows at a time and looks each key up once, where
 * INSERT … ON CONFLICT does both for each row apart: half of the server's time. It cannot skip a
 * duplicate, it fails.
 *
 * Limit: the buffer's own; what does not fit fails as a whole. Threads: values of one thread. */
#ifndef TG_PGCOPY_H
#define TG_PGCOPY_H

#include "common/base/str.h"
#include "common/base/uuid.h"

/* Begins anew. */
void tg_pgcopy_start(tg_buf_t *rows);

/* Begins a row; `columns` values follow. */
void tg_pgcopy_row(tg_buf_t *rows, int16_t columns);

void tg_pgcopy_null(tg_buf_t *rows);
void tg_pgcopy_text(tg_buf_t *rows, tg_str_t text);
void tg_pgcopy_jsonb(tg_buf_t *rows, tg_str_t json);
void tg_pgcopy_float8(tg_buf_t *rows, double value);
void tg_pgcopy_time(tg_buf_t *rows, int64_t unix_us); /* timestamptz */
void tg_pgcopy_uuid(tg_buf_t *rows, const tg_uuid_t *uuid);

/* Ends the rows. rows->failed tells when something did not fit. */
void tg_pgcopy_end(tg_buf_t *rows);

#endif
