/* Loading and searching the snapshot. Rows come sorted by nothing in particular; both tables are
 * hashed by the bytes of their ids. Everything of a snapshot lives in one allocation per kind, so
 * that releasing it is four frees however many keys there are. */
#include "gateway/directory.h"

#include <stdlib.h>

#include "common/watch/watch.h"

struct tg_bucket_table {
    tg_table_t *by_tenant; /* tenant id → tg_bucket_t[TG_CLASS_COUNT]; only the loader touches it */
};

struct tg_directory {
    tg_tenant_t *tenants;
    tg_api_key_t *keys;
    tg_table_t *tenants_by_id; /* borrowed pointers into the arrays */
    tg_table_t *keys_by_id;
    size_t tenant_count, key_count;
};

static const struct {
    const char *name;
    tg_scope_t scope;
} scope_names[] = {
    {"ingest", TG_SCOPE_INGEST},     {"read", TG_SCOPE_READ},   {"manage", TG_SCOPE_MANAGE},
    {"registry", TG_SCOPE_REGISTRY}, {"admin", TG_SCOPE_ADMIN},
};

const char *tg_scope_name(tg_scope_t scope)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(scope_names); i++) {
        if (scope_names[i].scope == scope)
            return scope_names[i].name;
    }
    return "";
}

tg_bucket_table_t *tg_bucket_table_create(void)
{
    tg_bucket_table_t *table = calloc(1, sizeof(*table));
    if (table == NULL)
        return NULL;
    table->by_tenant = tg_table_create(TG_DIRECTORY_TENANTS_MAX, free);
    if (table->by_tenant == NULL) {
        free(table);
        return NULL;
    }
    return table;
}

void tg_bucket_table_destroy(tg_bucket_table_t *table)
{
    if (table == NULL)
        return;
    tg_table_destroy(table->by_tenant);
    free(table);
}

/* The tenant's buckets, made at first sight. A deleted tenant's stay: ids are not used again, and
 * their number is bounded by the table. */
static tg_bucket_t *buckets_of(tg_bucket_table_t *table, tg_str_t tenant)
{
    assert(tenant.len > 0);
    tg_bucket_t *buckets = tg_table_get(table->by_tenant, tenant);
    if (buckets != NULL)
        return buckets;
    buckets = calloc(TG_CLASS_COUNT, sizeof(*buckets));
    if (buckets != NULL && tg_table_put(table->by_tenant, tenant, buckets) != TG_OK) {
        free(buckets);
        return NULL;
    }
    return buckets;
}

static tg_str_t cell(const PGresult *rows, int row, int column)
{
    return (tg_str_t){PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
}

static int64_t number(const PGresult *rows, int row, int column, int64_t fallback)
{
    int64_t value = fallback;
    return tg_str_to_i64(cell(rows, row, column), &value) == TG_OK ? value : fallback;
}

/* The rows of `sql`, or NULL with the error filled. */
static PGresult *select_rows(PGconn *connection, const char *sql, int most, tg_error_t *error)
{
    PGresult *rows = tg_config_watch_query(connection, sql, error);
    if (rows != NULL && PQntuples(rows) > most) {
        (void)tg_error_set(error, TG_TOO_LARGE, "control tables: more than %d rows", most);
        PQclear(rows);
        return NULL;
    }
    return rows;
}

static tg_status_t read_tenant(tg_directory_t *directory, const PGresult *rows, int row,
                               tg_bucket_table_t *buckets)
{
    assert(row >= 0 && row < PQntuples(rows));
    tg_tenant_t *tenant = &directory->tenants[row];
    tg_str_t id = cell(rows, row, 0);
    if (id.len >= sizeof(tenant->id))
        return TG_INVALID;
    memcpy(tenant->id, id.ptr, id.len);
    tenant->disabled = tg_str_eq(cell(rows, row, 1), TG_STR("t"));
    int64_t per_second = number(rows, row, 2, 1), burst = number(rows, row, 3, 1);
    tenant->rate_per_second = per_second < 1 ? 1 : per_second;
    tenant->rate = tg_bucket_rate(tenant->rate_per_second, burst < 1 ? 1 : burst);
    tenant->buckets = buckets_of(buckets, id);
    if (tenant->buckets == NULL)
        return TG_NOMEM;
    directory->tenant_count++;
    return tg_table_put(directory->tenants_by_id, id, tenant);
}

static tg_status_t load_tenants(tg_directory_t *directory, PGconn *connection,
                                tg_bucket_table_t *buckets, tg_error_t *error)
{
    assert(directory->tenants == NULL);
    PGresult *rows =
        select_rows(connection,
                    "select t.id, t.disabled_at is not null, p.requests_per_second, p.burst"
                    " from control.tenants t join control.plans p on p.name = t.plan",
                    TG_DIRECTORY_TENANTS_MAX, error);
    if (rows == NULL)
        return TG_UNAVAILABLE;
    int count = PQntuples(rows);
    tg_status_t status = TG_OK;
    directory->tenants = calloc((size_t)count + 1, sizeof(*directory->tenants));
    if (directory->tenants == NULL)
        status = TG_NOMEM;
    for (int row = 0; status == TG_OK && row < count; row++)
        status = read_tenant(directory, rows, row, buckets);
    PQclear(rows);
    return status;
}

static unsigned read_scopes(tg_str_t list)
{
    unsigned scopes = 0;
    for (size_t at = 0; at < list.len;) {
        const char *comma = memchr(list.ptr + at, ',', list.len - at);
        size_t end = comma == NULL ? list.len : (size_t)(comma - list.ptr);
        tg_str_t word = {list.ptr + at, end - at};
        for (size_t i = 0; i < TG_ARRAY_LEN(scope_names); i++) {
            if (tg_str_eq(word, tg_str_from(scope_names[i].name)))
                scopes |= (unsigned)scope_names[i].scope;
        }
        at = end + 1;
    }
    return scopes;
}

/* "\x" and 64 hex digits, as PostgreSQL writes a bytea. */
static bool read_digest(tg_str_t text, uint8_t out[TG_SHA256_LEN])
{
    if (text.len != 2 + 2 * TG_SHA256_LEN)
        return false;
    for (size_t i = 0; i < TG_SHA256_LEN; i++) {
        const char pair[3] = {text.ptr[2 + 2 * i], text.ptr[3 + 2 * i], '\0'};
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static tg_status_t read_key(tg_directory_t *directory, const PGresult *rows, int row)
{
    assert(row >= 0 && row < PQntuples(rows));
    tg_api_key_t *key = &directory->keys[row];
    key->tenant = tg_table_get(directory->tenants_by_id, cell(rows, row, 1));
    if (key->tenant == NULL || !read_digest(cell(rows, row, 2), key->sha256))
        return TG_OK; /* left out: it can open nothing */
    key->scopes = read_scopes(cell(rows, row, 3));
    key->expires_at = number(rows, row, 4, INT64_MAX);
    directory->key_count++;
    return tg_table_put(directory->keys_by_id, cell(rows, row, 0), key);
}

static tg_status_t load_keys(tg_directory_t *directory, PGconn *connection, tg_error_t *error)
{
    assert(directory->tenants != NULL); /* keys point at them */
    assert(directory->keys == NULL);
    PGresult *rows =
        select_rows(connection,
                    "select id, tenant_id, secret_sha256, array_to_string(scopes, ','),"
                    /* one key's 'infinity' must not cost everybody the snapshot */
                    " case when expires_at is not null then"
                    " least(greatest(extract(epoch from expires_at) * 1000000, 0), 9e18)::bigint"
                    " end"
                    " from control.api_keys where revoked_at is null",
                    TG_DIRECTORY_KEYS_MAX, error);
    if (rows == NULL)
        return TG_UNAVAILABLE;
    int count = PQntuples(rows);
    tg_status_t status = TG_OK;
    directory->keys = calloc((size_t)count + 1, sizeof(*directory->keys));
    if (directory->keys == NULL)
        status = TG_NOMEM;
    for (int row = 0; status == TG_OK && row < count; row++)
        status = read_key(directory, rows, row);
    PQclear(rows);
    return status;
}

void *tg_directory_load(PGconn *connection, void *arg, tg_error_t *error)
{
    assert(connection != NULL);
    assert(arg != NULL);
    tg_directory_t *directory = calloc(1, sizeof(*directory));
    tg_status_t status = TG_NOMEM;
    if (directory == NULL)
        goto fail;
    directory->tenants_by_id = tg_table_create(TG_DIRECTORY_TENANTS_MAX, NULL);
    directory->keys_by_id = tg_table_create(TG_DIRECTORY_KEYS_MAX, NULL);
    if (directory->tenants_by_id == NULL || directory->keys_by_id == NULL)
        goto fail;
    status = load_tenants(directory, connection, arg, error);
    if (status == TG_OK)
        status = load_keys(directory, connection, error);
    if (status != TG_OK)
        goto fail;
    return directory;

fail:
    if (status != TG_UNAVAILABLE)
        (void)tg_error_set(error, status, "control tables: %s", tg_status_name(status));
    tg_directory_release(directory, arg);
    return NULL;
}

void tg_directory_release(void *snapshot, void *arg)
{
    (void)arg;
    tg_directory_t *directory = snapshot;
    if (directory == NULL)
        return;
    tg_table_destroy(directory->keys_by_id);
    tg_table_destroy(directory->tenants_by_id);
    free(directory->keys);
    free(directory->tenants);
    free(directory);
}

const tg_api_key_t *tg_directory_find(const tg_directory_t *directory, tg_str_t key_id)
{
    assert(directory != NULL);
    return tg_table_get(directory->keys_by_id, key_id);
}

size_t tg_directory_tenants(const tg_directory_t *directory)
{
    assert(directory != NULL);
    return directory->tenant_count;
}

size_t tg_directory_keys(const tg_directory_t *directory)
{
    assert(directory != NULL);
    return directory->key_count;
}
