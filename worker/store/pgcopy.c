/* A signature, flags and the length of an extension; each row as its number of columns and its
 * values; -1 where a row would begin. */
#include "worker/store/pgcopy.h"

#include "worker/store/pgarray.h"

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

void tg_pgcopy_null(tg_buf_t *rows)
{
    tg_pg_cell_null(rows);
}

void tg_pgcopy_text(tg_buf_t *rows, tg_str_t text)
{
    char *at = tg_pg_cell(rows, text.len);
    if (at != NULL && text.len > 0)
        memcpy(at, text.ptr, text.len);
}

void tg_pgcopy_jsonb(tg_buf_t *rows, tg_str_t json)
{
    char *at = tg_pg_cell(rows, 1 + json.len);
    if (at == NULL)
        return;
    at[0] = JSONB_VERSION;
    memcpy(at + 1, json.ptr, json.len);
}

static void put_int8(tg_buf_t *rows, int64_t value)
{
    char *at = tg_pg_cell(rows, sizeof(value));
    if (at != NULL)
        tg_pg_put_int8(at, value);
}

void tg_pgcopy_float8(tg_buf_t *rows, double value)
{
    int64_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    put_int8(rows, bits);
}

void tg_pgcopy_time(tg_buf_t *rows, int64_t unix_us)
{
    put_int8(rows, unix_us - TG_PG_EPOCH_US);
}

void tg_pgcopy_uuid(tg_buf_t *rows, const tg_uuid_t *uuid)
{
    char *at = tg_pg_cell(rows, sizeof(uuid->bytes));
    if (at != NULL)
        memcpy(at, uuid->bytes, sizeof(uuid->bytes));
}

void tg_pgcopy_end(tg_buf_t *rows)
{
    tg_pgcopy_row(rows, -1);
}
