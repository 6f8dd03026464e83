/* Rows in the binary format of COPY (PostgreSQL 15, "COPY", File Formats, Binary Format).
 *
 * Why beside the arrays: COPY writes a page of rows at a time and looks each key up once, where
 * INSERT … ON CONFLICT does both for each row apart: half of the server's time. It cannot skip a
 * duplicate, it fails.
 *
 * Limit: the buffer's own; what does not fit fails as a whole. Threads: values of one thread. */
#ifndef TG_WORKER_PG_PGCOPY_H
#define TG_WORKER_PG_PGCOPY_H

#include "common/base/str.h"

/* Begins anew. */
void tg_pgcopy_start(tg_buf_t *rows);

/* Begins a row; `columns` cells follow (tg_pg_cell and its kin), or the one below. */
void tg_pgcopy_row(tg_buf_t *rows, int16_t columns);
void tg_pgcopy_jsonb(tg_buf_t *rows, tg_str_t json);

/* Ends the rows. rows->failed tells when something did not fit. */
void tg_pgcopy_end(tg_buf_t *rows);

#endif
