/* From the control tables to snapshots: everything at first, then the rows that changed.
 *
 * control.changes names the rows of each version; the loader asks for those above the version of
 * its last snapshot, as long as it is on the same connection and the log goes back so far
 * (config_version.floor). All of it is read in the transaction of the watch, so that rows and
 * version belong together. A load that fails leaves the last snapshot as it is; numbers that it has
 * given away meanwhile do no harm, because a snapshot finds tenants in its own chunks only. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/table.h"
#include "common/base/time.h"
#include "common/watch/watch.h"
#include "gateway/directory/pieces.h"

#define BATCH_ROWS 5000 /* of a whole load: bounds what libpq holds at once */
#define SQL_MAX    1024

struct tg_directory_loader {
    tg_table_t *numbers; /* tenant id → number + 1 */
    uint32_t *free_numbers;
    uint32_t free_count, next_number;
    tg_table_t *plan_numbers; /* plan name → number + 1 */
    tg_directory_t *last;
    uint64_t version; /* of `last` */
    const PGconn *connection;
    int backend;
};

/* One load under way. */
struct load {
    tg_directory_loader_t *loader;
    PGconn *pg;
    tg_directory_t *directory;
    uint64_t since; /* the rows above this version; 0: all */
    bool plans_changed[TG_DIRECTORY_PLANS_MAX];
    bool any_plan_changed, any_tenant_gone;
    bool *gone; /* by tenant number */
    tg_error_t *error;
};

typedef tg_status_t (*row_fn)(struct load *load, const PGresult *rows, int row);

/* --- the loader --- */

tg_directory_loader_t *tg_directory_loader_create(void)
{
    tg_directory_loader_t *loader = calloc(1, sizeof(*loader));
    if (loader == NULL)
        return NULL;
    loader->numbers = tg_table_create(TG_DIRECTORY_TENANTS_MAX, NULL);
    loader->plan_numbers = tg_table_create(TG_DIRECTORY_PLANS_MAX, NULL);
    loader->free_numbers = calloc(TG_DIRECTORY_TENANTS_MAX, sizeof(*loader->free_numbers));
    if (loader->numbers == NULL || loader->plan_numbers == NULL || loader->free_numbers == NULL) {
        tg_directory_loader_destroy(loader);
        return NULL;
    }
    return loader;
}

void tg_directory_loader_destroy(tg_directory_loader_t *loader)
{
    if (loader == NULL)
        return;
    tg_directory_unref(loader->last);
    tg_table_destroy(loader->plan_numbers);
    tg_table_destroy(loader->numbers);
    free(loader->free_numbers);
    free(loader);
}

/* Numbers are kept in tables as pointers that are never followed. */
static void *as_value(uint32_t number)
{
    return (void *)((uintptr_t)number + 1);
}

static uint32_t as_number(const void *value)
{
    assert(value != NULL);
    return (uint32_t)((uintptr_t)value - 1);
}

static tg_status_t give_number(tg_directory_loader_t *loader, tg_str_t id, uint32_t *out_number)
{
    uint32_t number =
        loader->free_count > 0 ? loader->free_numbers[loader->free_count - 1] : loader->next_number;
    if (number >= TG_DIRECTORY_TENANTS_MAX)
        return TG_FULL;
    tg_status_t status = tg_table_put(loader->numbers, id, as_value(number));
    if (status != TG_OK)
        return status;
    if (loader->free_count > 0)
        loader->free_count--;
    else
        loader->next_number++;
    *out_number = number;
    return TG_OK;
}

static tg_status_t number_of(tg_directory_loader_t *loader, tg_str_t id, uint32_t *out_number)
{
    const void *known = tg_table_get(loader->numbers, id);
    if (known == NULL)
        return give_number(loader, id, out_number);
    *out_number = as_number(known);
    return TG_OK;
}

/* --- cells --- */

static tg_str_t cell(const PGresult *rows, int row, int column)
{
    return (tg_str_t){PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
}

static bool is_true(const PGresult *rows, int row, int column)
{
    return tg_str_eq(cell(rows, row, column), TG_STR("t"));
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

/* --- plans: name, settings; settings NULL: it has gone --- */

static tg_status_t plan_number(struct load *load, tg_str_t name, uint32_t *out_number)
{
    const void *known = tg_table_get(load->loader->plan_numbers, name);
    if (known != NULL) {
        *out_number = as_number(known);
        return TG_OK;
    }
    uint32_t number = 0;
    while (number < TG_DIRECTORY_PLANS_MAX && load->directory->plans[number] != NULL)
        number++;
    if (number == TG_DIRECTORY_PLANS_MAX)
        return TG_FULL;
    *out_number = number;
    return tg_table_put(load->loader->plan_numbers, name, as_value(number));
}

static void forget_plan(struct load *load, tg_str_t name)
{
    const void *known = tg_table_get(load->loader->plan_numbers, name);
    if (known == NULL)
        return;
    tg_plan_box_t **place = &load->directory->plans[as_number(known)];
    tg_plan_box_unref(*place);
    *place = NULL;
    (void)tg_table_remove(load->loader->plan_numbers, name);
}

static tg_status_t read_plan(struct load *load, const PGresult *rows, int row)
{
    tg_str_t name = cell(rows, row, 0);
    uint32_t number = 0;
    if (PQgetisnull(rows, row, 1)) {
        forget_plan(load, name);
        return TG_OK;
    }
    if (name.len >= sizeof(((tg_plan_t *)NULL)->name))
        return TG_INVALID;
    tg_plan_settings_t settings = tg_plan_read(cell(rows, row, 1));
    tg_plan_box_t *box = tg_plan_box_create(name, &settings, NULL);
    tg_status_t status = box == NULL ? TG_NOMEM : plan_number(load, name, &number);
    if (status != TG_OK) {
        tg_plan_box_unref(box);
        return status;
    }
    tg_plan_box_unref(load->directory->plans[number]);
    load->directory->plans[number] = box;
    load->plans_changed[number] = load->any_plan_changed = true;
    return TG_OK;
}

/* --- tenants: id, disabled, operator, plan, settings; plan NULL: it has gone --- */

/* Gives the slot the plan of its number, with the tenant's own settings (NULL: none). */
static tg_status_t set_plan(tg_directory_t *directory, tg_tenant_slot_t *slot, uint32_t plan,
                            const tg_plan_settings_t *own)
{
    tg_plan_box_t *shared = directory->plans[plan];
    if (shared == NULL)
        return TG_INVALID;
    tg_plan_box_t *box =
        own == NULL ? tg_plan_box_ref(shared)
                    : tg_plan_box_create(tg_str_from(shared->plan.name), &shared->settings, own);
    if (box == NULL)
        return TG_NOMEM;
    tg_plan_box_unref(slot->box); /* after `own` was read out of it */
    slot->box = box;
    slot->plan = plan;
    slot->own = own != NULL;
    slot->tenant.plan = &box->plan;
    return TG_OK;
}

static tg_status_t forget_tenant(struct load *load, tg_str_t id)
{
    const void *known = tg_table_get(load->loader->numbers, id);
    if (known == NULL)
        return TG_OK;
    uint32_t number = as_number(known);
    tg_tenant_slot_t *slot = tg_directory_own_slot(load->directory, number);
    if (slot == NULL)
        return TG_NOMEM;
    tg_plan_box_unref(slot->box);
    *slot = (tg_tenant_slot_t){.box = NULL};
    load->gone[number] = load->any_tenant_gone = true;
    return TG_OK;
}

static tg_status_t read_tenant(struct load *load, const PGresult *rows, int row)
{
    tg_str_t id = cell(rows, row, 0), limits = cell(rows, row, 4);
    uint32_t number = 0;
    if (PQgetisnull(rows, row, 3))
        return forget_tenant(load, id);
    const void *plan = tg_table_get(load->loader->plan_numbers, cell(rows, row, 3));
    if (id.len >= sizeof(((tg_tenant_t *)NULL)->id) || id.len == 0 || plan == NULL)
        return TG_INVALID;
    tg_status_t status = number_of(load->loader, id, &number);
    if (status != TG_OK)
        return status;
    tg_tenant_slot_t *slot = tg_directory_own_slot(load->directory, number);
    if (slot == NULL)
        return TG_NOMEM;
    tg_plan_settings_t own = limits.len > 0 ? tg_plan_read(limits) : tg_plan_settings_none();
    status = set_plan(load->directory, slot, as_number(plan), limits.len > 0 ? &own : NULL);
    if (status != TG_OK)
        return status;
    load->gone[number] = false;
    memset(slot->tenant.id, 0, sizeof(slot->tenant.id));
    memcpy(slot->tenant.id, id.ptr, id.len);
    slot->tenant.number = number;
    slot->tenant.disabled = is_true(rows, row, 1);
    slot->tenant.is_operator = is_true(rows, row, 2);
    return TG_OK;
}

/* Tenants that did not change themselves, but whose plan did. */
static tg_status_t renew_plans(struct load *load)
{
    tg_status_t status = TG_OK;
    for (uint32_t number = 0; status == TG_OK && number < load->loader->next_number; number++) {
        const tg_tenant_slot_t *seen = tg_directory_slot(load->directory, number);
        if (seen == NULL || !load->plans_changed[seen->plan])
            continue;
        tg_tenant_slot_t *slot = tg_directory_own_slot(load->directory, number);
        if (slot == NULL)
            return TG_NOMEM;
        const tg_plan_settings_t own = slot->box->settings;
        status = set_plan(load->directory, slot, slot->plan, slot->own ? &own : NULL);
    }
    return status;
}

/* --- keys: id, tenant, digest, scopes, expiry; tenant NULL: it has gone --- */

static unsigned read_scopes(tg_str_t list)
{
    static const tg_scope_t scopes[] = {TG_SCOPE_INGEST, TG_SCOPE_READ, TG_SCOPE_MANAGE,
                                        TG_SCOPE_REGISTRY, TG_SCOPE_ADMIN};
    unsigned found = 0;
    for (size_t at = 0; at < list.len;) {
        const char *comma = memchr(list.ptr + at, ',', list.len - at);
        size_t end = comma == NULL ? list.len : (size_t)(comma - list.ptr);
        for (size_t i = 0; i < TG_ARRAY_LEN(scopes); i++) {
            if (tg_str_eq((tg_str_t){list.ptr + at, end - at},
                          tg_str_from(tg_scope_name(scopes[i]))))
                found |= (unsigned)scopes[i];
        }
        at = end + 1;
    }
    return found;
}

static tg_status_t read_key(struct load *load, const PGresult *rows, int row)
{
    tg_str_t id = cell(rows, row, 0);
    tg_api_key_t key = {.expires_at = INT64_MAX};
    const void *tenant =
        PQgetisnull(rows, row, 1) ? NULL : tg_table_get(load->loader->numbers, cell(rows, row, 1));
    if (id.len != TG_KEY_ID_LEN)
        return TG_INVALID;
    if (tenant == NULL || !read_digest(cell(rows, row, 2), key.sha256))
        return tg_directory_drop_key(load->directory, id); /* it can open nothing */
    memcpy(key.id, id.ptr, id.len);
    key.tenant = as_number(tenant);
    key.scopes = (uint8_t)read_scopes(cell(rows, row, 3));
    if (!PQgetisnull(rows, row, 4) && tg_str_to_i64(cell(rows, row, 4), &key.expires_at) != TG_OK)
        return TG_INVALID;
    return tg_directory_put_key(load->directory, &key);
}

/* --- reading --- */

/* One kind of row. `whole` reads all; `changed`, a version and `joined` the same columns of the
 * rows that changed above it, where the telling column is NULL for a row that has gone. */
#define KEY_EXPIRY                                                                                 \
    /* one key's 'infinity' must not cost everybody the snapshot */                                \
    "case when k.expires_at is not null then"                                                      \
    " least(greatest(extract(epoch from k.expires_at) * 1000000, 0), 9e18)::bigint end"
/* those that expired long ago take no room */
#define KEY_LIVES                                                                                  \
    "k.revoked_at is null and (k.expires_at is null or k.expires_at > now() - interval '1 day')"
#define KEY_COLUMNS ", k.tenant_id, k.secret_sha256, array_to_string(k.scopes, ','), " KEY_EXPIRY
#define TENANT_COLUMNS                                                                             \
    ", t.disabled_at is not null, t.operator, t.plan, control.limits_text(t.limits)"
#define CHANGED(kind)                                                                              \
    " from (select distinct id from control.changes where kind = '" kind "' and version > "

static const struct kind {
    const char *whole, *changed, *joined;
    row_fn read;
    uint32_t most;
} kinds[] = {
    {"select p.name, control.limits_text(control.plan_limits(p)) from control.plans p",
     "select c.id, case when p.name is not null then"
     " control.limits_text(control.plan_limits(p)) end" CHANGED("plan"),
     ") c left join control.plans p on p.name = c.id", read_plan, TG_DIRECTORY_PLANS_MAX},
    {"select t.id" TENANT_COLUMNS " from control.tenants t where t.deleted_at is null",
     "select c.id" TENANT_COLUMNS CHANGED("tenant"),
     ") c left join control.tenants t on t.id = c.id and t.deleted_at is null", read_tenant,
     TG_DIRECTORY_TENANTS_MAX},
    {"select k.id" KEY_COLUMNS " from control.api_keys k where " KEY_LIVES,
     "select c.id" KEY_COLUMNS CHANGED("key"),
     ") c left join control.api_keys k on k.id = c.id and " KEY_LIVES, read_key,
     TG_DIRECTORY_KEYS_MAX},
};

static tg_status_t read_rows(struct load *load, const struct kind *kind, const PGresult *rows)
{
    tg_status_t status = TG_OK;
    for (int row = 0; status == TG_OK && row < PQntuples(rows); row++)
        status = kind->read(load, rows, row);
    if (status != TG_OK)
        (void)tg_error_set(load->error, status, "control tables: %s", tg_status_name(status));
    return status;
}

static tg_status_t command(struct load *load, const char *sql)
{
    PGresult *result = tg_config_watch_query(load->pg, sql, load->error);
    PQclear(result);
    return result != NULL ? TG_OK : TG_UNAVAILABLE;
}

static tg_status_t read_whole(struct load *load, const struct kind *kind)
{
    char sql[SQL_MAX];
    uint64_t seen = 0;
    int len = snprintf(sql, sizeof(sql), "declare tg_rows no scroll cursor for %s", kind->whole);
    assert(len > 0 && len < SQL_MAX);
    tg_status_t status = command(load, sql);
    (void)snprintf(sql, sizeof(sql), "fetch %d from tg_rows", BATCH_ROWS);
    for (bool more = true; status == TG_OK && more;) {
        PGresult *rows = tg_config_watch_query(load->pg, sql, load->error);
        if (rows == NULL)
            return TG_UNAVAILABLE;
        more = PQntuples(rows) == BATCH_ROWS;
        seen += (uint64_t)PQntuples(rows);
        status = seen > kind->most ? tg_error_set(load->error, TG_TOO_LARGE,
                                                  "control tables: more than %u rows", kind->most)
                                   : read_rows(load, kind, rows);
        PQclear(rows);
    }
    return status == TG_OK ? command(load, "close tg_rows") : status;
}

static tg_status_t read_changed(struct load *load, const struct kind *kind)
{
    char sql[SQL_MAX];
    int len = snprintf(sql, sizeof(sql), "%s%llu%s", kind->changed, (unsigned long long)load->since,
                       kind->joined);
    assert(len > 0 && len < SQL_MAX);
    PGresult *rows = tg_config_watch_query(load->pg, sql, load->error);
    if (rows == NULL)
        return TG_UNAVAILABLE;
    tg_status_t status = read_rows(load, kind, rows);
    PQclear(rows);
    return status;
}

/* Numbers of tenants that the snapshot does not have go back. */
static tg_status_t free_numbers(struct load *load)
{
    tg_directory_loader_t *loader = load->loader;
    size_t cursor = 0, count = 0;
    tg_str_t id;
    void *value = NULL;
    tg_str_t *ids = calloc(tg_table_len(loader->numbers) + 1, sizeof(*ids));
    if (ids == NULL)
        return TG_NOMEM;
    while (tg_table_next(loader->numbers, &cursor, &id, &value)) {
        uint32_t number = as_number(value);
        if (tg_directory_slot(load->directory, number) != NULL)
            continue;
        load->gone[number] = load->any_tenant_gone = true;
        loader->free_numbers[loader->free_count++] = number;
        ids[count++] = id;
    }
    for (size_t i = 0; i < count; i++)
        (void)tg_table_remove(loader->numbers, ids[i]); /* `ids[i]` is the table's own */
    free(ids);
    return TG_OK;
}

static tg_status_t read_all(struct load *load)
{
    tg_status_t status = TG_OK;
    for (size_t i = 0; status == TG_OK && i < TG_ARRAY_LEN(kinds); i++) {
        status = load->since == 0 ? read_whole(load, &kinds[i]) : read_changed(load, &kinds[i]);
        if (status == TG_OK && kinds[i].read == read_plan && load->since > 0 &&
            load->any_plan_changed)
            status = renew_plans(load);
    }
    if (status == TG_OK && (load->since == 0 || load->any_tenant_gone))
        status = free_numbers(load);
    if (status == TG_OK && load->any_tenant_gone)
        status = tg_directory_drop_keys_of(load->directory, load->gone);
    return status;
}

/* --- a load --- */

/* The version of this transaction, and whether the changes since the last snapshot are known. */
static tg_status_t read_version(struct load *load, uint64_t *out_version)
{
    uint64_t floor = 0;
    const tg_directory_loader_t *loader = load->loader;
    PGresult *rows =
        tg_config_watch_query(load->pg, "select version, floor from control.config_version",
                              load->error);
    if (rows == NULL)
        return TG_UNAVAILABLE;
    tg_status_t status = TG_INVALID;
    if (PQntuples(rows) == 1 && tg_str_to_u64(cell(rows, 0, 0), out_version) == TG_OK)
        status = tg_str_to_u64(cell(rows, 0, 1), &floor);
    PQclear(rows);
    if (status != TG_OK)
        return tg_error_set(load->error, status, "control.config_version holds no version");
    bool same = loader->last != NULL && loader->connection == load->pg &&
                loader->backend == PQbackendPID(load->pg);
    if (same && loader->version >= floor && loader->version <= *out_version)
        load->since = loader->version;
    return TG_OK;
}

/* A whole load numbers the plans anew; tenants keep their numbers. */
static tg_status_t forget_plans(tg_directory_loader_t *loader)
{
    tg_table_t *fresh = tg_table_create(TG_DIRECTORY_PLANS_MAX, NULL);
    if (fresh == NULL)
        return TG_NOMEM;
    tg_table_destroy(loader->plan_numbers);
    loader->plan_numbers = fresh;
    return TG_OK;
}

static tg_status_t make(struct load *load, uint64_t *out_version)
{
    tg_status_t status = read_version(load, out_version);
    if (status != TG_OK)
        return status;
    load->gone = calloc(TG_DIRECTORY_TENANTS_MAX, sizeof(*load->gone));
    load->directory = tg_directory_copy(load->since > 0 ? load->loader->last : NULL);
    if (load->gone == NULL || load->directory == NULL ||
        (load->since == 0 && forget_plans(load->loader) != TG_OK))
        return tg_error_set(load->error, TG_NOMEM, "out of memory");
    return read_all(load);
}

void *tg_directory_load(PGconn *connection, void *arg, tg_error_t *error)
{
    assert(connection != NULL);
    assert(arg != NULL);
    tg_directory_loader_t *loader = arg;
    struct load load = {.loader = loader, .pg = connection, .error = error};
    uint64_t started_us = tg_time_mono_us(), version = 0;
    tg_status_t status = make(&load, &version);
    free(load.gone);
    if (status != TG_OK) {
        loader->connection = NULL; /* the next one reads everything */
        tg_directory_unref(load.directory);
        return NULL;
    }
    load.directory->stats.load_us = tg_time_mono_us() - started_us;
    load.directory->stats.whole = load.since == 0;
    tg_directory_measure(load.directory);
    tg_directory_unref(loader->last);
    atomic_fetch_add(&load.directory->refs, 1); /* the loader's own */
    loader->last = load.directory;
    loader->version = version;
    loader->connection = connection;
    loader->backend = PQbackendPID(connection);
    return load.directory;
}
