/* A signature, flags and the length of an extension; each row as its number of columns and its
 * values; -1 where a row would begin. */
#include "worker/pg/pgcopy.h"

#include "worker/pg/pgarray.h"

#define JSONB_VERSION 1

static const char header[] = "PGCOPY\n\377\r\n\0" /* signature */
                             "\0\0\0\0"           /* flags */
                             "\0\0\0"; /* extension: none; ends with the literal's own NUL */

_Static_assert(sizeof(header) == 19, "COPY's header");

void tg_pgcopy_start(tg_buf_t *rows)
{
    tg_buf_clear(rows);
    tg_buf_append(rows, header, sizeof(header));
}

void tg_pgcopy_row(tg_buf_t *rows, int16_t columns)
{
    const uint16_t bits = (uint16_t)columns;
    const char number[] = {(char)(bits >> 8), (char)(bits & 0xff)};
    tg_buf_append(rows, number, sizeof(number));
}

void tg_pgcopy_jsonb(tg_buf_t *rows, tg_str_t json)
{
    char *at = tg_pg_cell(rows, 1 + json.len);
    if (at == NULL)
        return;
    at[0] = JSONB_VERSION;
    memcpy(at + 1, json.ptr, json.len);
}

void tg_pgcopy_end(tg_buf_t *rows)
{
    tg_pgcopy_row(rows, -1);
}
