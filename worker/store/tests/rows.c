/* One arena for all rows of a test program. */
#include "worker/store/tests/rows.h"

#include <stdio.h>

#include "worker/pg/pgarray.h"

#define SERIES_MAX 512

tg_row_t tg_test_row(const char *tenant, const char *type, const char *kind, const char *entity,
                     unsigned number, int64_t occurred_at)
{
    static char texts[1 << 22];
    static size_t used;
    assert(used + SERIES_MAX < sizeof(texts));
    char *at = texts + used;
    int len = snprintf(at, SERIES_MAX, "%s%c%s%c%s%c%s", tenant, 0, type, 0, kind, 0, entity);
    tg_row_t row = {.series = {at, (size_t)len},
                    .payload = TG_STR("{}"),
                    .occurred_at = occurred_at,
                    .received_at = occurred_at};

    used += (size_t)len + 1;
    row.tenant = (tg_str_t){at, strlen(tenant)};
    row.type = (tg_str_t){row.tenant.ptr + row.tenant.len + 1, strlen(type)};
    row.kind = (tg_str_t){row.type.ptr + row.type.len + 1, strlen(kind)};
    row.entity = (tg_str_t){row.kind.ptr + row.kind.len + 1, strlen(entity)};
    tg_pg_put_int4((char *)row.id.bytes + 12, (int32_t)number);
    return row;
}

tg_row_t tg_test_row_value(const char *tenant, const char *type, const char *kind,
                           const char *entity, unsigned number, int64_t occurred_at, double value)
{
    tg_row_t row = tg_test_row(tenant, type, kind, entity, number, occurred_at);
    row.has_value = true;
    row.value = value;
    return row;
}
