/* The wire form of a one-dimensional array (array_recv): dimensions, has-null flag, element type,
 * length, lower bound, then each element as length and bytes, length -1 for NULL. */
#include "worker/pg/pgarray.h"

#include "common/base/time.h"

#define HEADER_BYTES 20

_Static_assert(sizeof(double) == sizeof(int64_t), "float8 travels as the bits of a double");

int32_t tg_pg_get_int4(const char *bytes)
{
    uint32_t value = 0;
    for (size_t i = 0; i < sizeof(value); i++)
        value = value << 8 | (uint8_t)bytes[i];
    return (int32_t)value;
}

int64_t tg_pg_get_int8(const char *bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(value); i++)
        value = value << 8 | (uint8_t)bytes[i];
    return (int64_t)value;
}

void tg_pg_put_int4(char *bytes, int32_t value)
{
    uint32_t bits = (uint32_t)value;
    for (size_t i = sizeof(bits); i-- > 0; bits >>= 8)
        bytes[i] = (char)(bits & 0xff);
}

void tg_pg_put_int8(char *bytes, int64_t value)
{
    uint64_t bits = (uint64_t)value;
    for (size_t i = sizeof(bits); i-- > 0; bits >>= 8)
        bytes[i] = (char)(bits & 0xff);
}

void tg_pgarray_init(tg_pgarray_t *array, unsigned element, size_t max_bytes)
{
    assert(array != NULL);
    assert(max_bytes > HEADER_BYTES);
    *array = (tg_pgarray_t){.bytes = tg_buf_make(max_bytes), .element = element};
}

void tg_pgarray_dispose(tg_pgarray_t *array)
{
    if (array != NULL)
        tg_buf_dispose(&array->bytes);
}

void tg_pgarray_clear(tg_pgarray_t *array)
{
    assert(array->element != 0);
    tg_buf_clear(&array->bytes);
    array->count = 0;
    array->nulls = false;
}

char *tg_pg_cell(tg_buf_t *out, size_t size)
{
    char *at = size > INT32_MAX ? NULL : tg_buf_reserve(out, 4 + size);

    if (at == NULL) {
        out->failed = true;
        return NULL;
    }
    out->len += 4 + size;
    tg_pg_put_int4(at, (int32_t)size);
    return at + 4;
}

void tg_pg_cell_null(tg_buf_t *out)
{
    char *at = tg_pg_cell(out, 0);
    if (at != NULL)
        tg_pg_put_int4(at - 4, -1);
}

void tg_pg_cell_text(tg_buf_t *out, tg_str_t text)
{
    char *at = tg_pg_cell(out, text.len);
    if (at != NULL && text.len > 0)
        memcpy(at, text.ptr, text.len);
}

void tg_pg_cell_int4(tg_buf_t *out, int32_t value)
{
    char *at = tg_pg_cell(out, sizeof(value));
    if (at != NULL)
        tg_pg_put_int4(at, value);
}

void tg_pg_cell_int8(tg_buf_t *out, int64_t value)
{
    char *at = tg_pg_cell(out, sizeof(value));
    if (at != NULL)
        tg_pg_put_int8(at, value);
}

void tg_pg_cell_float8(tg_buf_t *out, double value)
{
    int64_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    tg_pg_cell_int8(out, bits);
}

void tg_pg_cell_time(tg_buf_t *out, int64_t unix_us)
{
    assert(unix_us >= INT64_MIN + TG_PG_EPOCH_US);
    tg_pg_cell_int8(out, unix_us - TG_PG_EPOCH_US);
}

void tg_pg_cell_uuid(tg_buf_t *out, const tg_uuid_t *uuid)
{
    char *at = tg_pg_cell(out, sizeof(uuid->bytes));
    if (at != NULL)
        memcpy(at, uuid->bytes, sizeof(uuid->bytes));
}

/* Counts one more element; the first one stands behind the header, which is written last. */
static tg_buf_t *next(tg_pgarray_t *array)
{
    if (array->count++ == 0 && tg_buf_reserve(&array->bytes, HEADER_BYTES) != NULL)
        array->bytes.len = HEADER_BYTES;
    return &array->bytes;
}

void tg_pgarray_null(tg_pgarray_t *array)
{
    tg_pg_cell_null(next(array));
    array->nulls = true;
}

void tg_pgarray_text(tg_pgarray_t *array, tg_str_t text)
{
    tg_pg_cell_text(next(array), text);
}

void tg_pgarray_int4(tg_pgarray_t *array, int32_t value)
{
    tg_pg_cell_int4(next(array), value);
}

void tg_pgarray_int8(tg_pgarray_t *array, int64_t value)
{
    tg_pg_cell_int8(next(array), value);
}

void tg_pgarray_float8(tg_pgarray_t *array, double value)
{
    tg_pg_cell_float8(next(array), value);
}

void tg_pgarray_time(tg_pgarray_t *array, int64_t unix_us)
{
    tg_pg_cell_time(next(array), unix_us);
}

void tg_pgarray_date(tg_pgarray_t *array, int64_t unix_us)
{
    int64_t day = tg_time_floor(unix_us, TG_US_PER_DAY) / TG_US_PER_DAY;
    tg_pgarray_int4(array, (int32_t)(day - TG_PG_EPOCH_US / TG_US_PER_DAY));
}

void tg_pgarray_uuid(tg_pgarray_t *array, const tg_uuid_t *uuid)
{
    tg_pg_cell_uuid(next(array), uuid);
}

tg_status_t tg_pgarray_finish(tg_pgarray_t *array, tg_str_t *out_bytes)
{
    assert(array->count > 0);
    if (array->bytes.failed)
        return TG_TOO_LARGE;
    char *header = array->bytes.data;
    tg_pg_put_int4(header, 1);
    tg_pg_put_int4(header + 4, array->nulls ? 1 : 0);
    tg_pg_put_int4(header + 8, (int32_t)array->element);
    tg_pg_put_int4(header + 12, (int32_t)array->count);
    tg_pg_put_int4(header + 16, 1);
    *out_bytes = tg_buf_view(&array->bytes);
    return TG_OK;
}
