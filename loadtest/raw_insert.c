/* The raw limit of storing: one connection that inserts rows with ON CONFLICT DO NOTHING, from
 * binary arrays, one statement and one transaction per batch; no offsets, no aggregates, no
 * RETURNING.
 *
 * The rows are read back from data.events in the very batches in which the worker wrote them, so
 * that both did the same rows; they go into bench.events, a copy of the table
 * (loadtest/bench/drain.sql), in the order of its key. Reading is not timed; filling the arrays is,
 * as the worker does it too. Prints one JSON object.
 *
 * Limits: all rows are in memory. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/base/config.h"
#include "common/base/time.h"
#include "worker/pg/pgarray.h"

#define COLUMN_MAX ((size_t)256 << 20)

#define SOURCE                                                                                     \
    "SELECT processed_at, tenant_id, type, event_id, occurred_at, received_at, kind, entity, "     \
    "user_id, value, payload::text FROM data.events "                                              \
    "ORDER BY processed_at, tenant_id, type, "
#define INSERT                                                                                     \
    "INSERT INTO bench.events (tenant_id, type, event_id, occurred_at, received_at, kind, "        \
    "entity, user_id, value, payload, processed_at) "                                              \
    "SELECT t, y, i, o, r, k, e, u, v, p::jsonb, $11 "                                             \
    "FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS q(t, y, i, o, r, k, e, u, v, p) "     \
    "ON CONFLICT DO NOTHING"

/* The columns behind processed_at, as they come and as they go. */
static const struct column {
    Oid element, array;
} columns[] = {
    {TG_PG_TEXT, TG_PG_TEXT_ARRAY},               /* tenant_id */
    {TG_PG_TEXT, TG_PG_TEXT_ARRAY},               /* type */
    {TG_PG_UUID, TG_PG_UUID_ARRAY},               /* event_id */
    {TG_PG_TIMESTAMPTZ, TG_PG_TIMESTAMPTZ_ARRAY}, /* occurred_at */
    {TG_PG_TIMESTAMPTZ, TG_PG_TIMESTAMPTZ_ARRAY}, /* received_at */
    {TG_PG_TEXT, TG_PG_TEXT_ARRAY},               /* kind */
    {TG_PG_TEXT, TG_PG_TEXT_ARRAY},               /* entity */
    {TG_PG_TEXT, TG_PG_TEXT_ARRAY},               /* user_id */
    {TG_PG_FLOAT8, TG_PG_FLOAT8_ARRAY},           /* value */
    {TG_PG_TEXT, TG_PG_TEXT_ARRAY},               /* payload */
};
#define COLUMNS TG_ARRAY_LEN(columns)

struct settings {
    char *dsn;
    bool by_id; /* the table's key has the id before the time */
};

static const tg_option_t options[] = {
    {"pg.dsn", TG_OPT_SECRET, offsetof(struct settings, dsn), "dbname=tidegate", 1, 4096,
     "PostgreSQL connection string."},
    {"raw.by_id", TG_OPT_BOOL, offsetof(struct settings, by_id), "false", 0, 0,
     "Insert in the order of a key that has the id before the time."},
};

static const tg_program_t program = {
    .name = "raw_insert",
    .summary = "Inserts the stored events once more and measures; for benchmarks.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
};

struct raw {
    PGconn *pg;
    PGresult *rows;
    tg_pgarray_t arrays[COLUMNS];
    uint64_t batches;
};

static tg_status_t fail(const struct raw *raw, const char *what, tg_error_t *error)
{
    return tg_error_set(error, TG_INTERNAL, "%s: %s", what, PQerrorMessage(raw->pg));
}

static tg_status_t prepare(struct raw *raw, const struct settings *settings, tg_error_t *error)
{
    Oid types[COLUMNS + 1];
    for (size_t i = 0; i < COLUMNS; i++) {
        types[i] = columns[i].array;
        tg_pgarray_init(&raw->arrays[i], columns[i].element, COLUMN_MAX);
    }
    types[COLUMNS] = TG_PG_TIMESTAMPTZ;
    raw->pg = PQconnectdb(settings->dsn);
    PGresult *prepared = PQprepare(raw->pg, "insert", INSERT, COLUMNS + 1, types);
    bool ok = PQresultStatus(prepared) == PGRES_COMMAND_OK;
    PQclear(prepared);
    if (!ok)
        return fail(raw, "prepare", error);
    raw->rows = PQexecParams(raw->pg,
                             settings->by_id ? SOURCE "event_id, occurred_at"
                                             : SOURCE "occurred_at, event_id",
                             0, NULL, NULL, NULL, NULL, 1);
    if (PQresultStatus(raw->rows) != PGRES_TUPLES_OK)
        return fail(raw, "reading data.events", error);
    return PQntuples(raw->rows) > 0 ? TG_OK
                                    : tg_error_set(error, TG_NOT_FOUND, "data.events is empty");
}

static void add_cell(tg_pgarray_t *array, const PGresult *rows, int row, int column)
{
    const char *cell = PQgetvalue(rows, row, column);
    if (PQgetisnull(rows, row, column))
        tg_pgarray_null(array);
    else if (array->element == TG_PG_TEXT)
        tg_pgarray_text(array, (tg_str_t){cell, (size_t)PQgetlength(rows, row, column)});
    else if (array->element == TG_PG_UUID)
        tg_pgarray_uuid(array, (const tg_uuid_t *)cell);
    else if (array->element == TG_PG_TIMESTAMPTZ)
        tg_pgarray_time(array, tg_pg_get_int8(cell) + TG_PG_EPOCH_US);
    else {
        int64_t bits = tg_pg_get_int8(cell);
        double value;
        memcpy(&value, &bits, sizeof(value));
        tg_pgarray_float8(array, value);
    }
}

static tg_status_t insert(struct raw *raw, int first, int end, tg_error_t *error)
{
    const char *values[COLUMNS + 1];
    int lengths[COLUMNS + 1], formats[COLUMNS + 1];

    for (size_t i = 0; i < COLUMNS; i++) {
        tg_str_t bytes = {0};
        tg_pgarray_clear(&raw->arrays[i]);
        for (int row = first; row < end; row++)
            add_cell(&raw->arrays[i], raw->rows, row, (int)i + 1);
        if (tg_pgarray_finish(&raw->arrays[i], &bytes) != TG_OK)
            return tg_error_set(error, TG_TOO_LARGE, "a batch is too large");
        values[i] = bytes.ptr;
        lengths[i] = (int)bytes.len;
        formats[i] = 1;
    }
    values[COLUMNS] = PQgetvalue(raw->rows, first, 0);
    lengths[COLUMNS] = 8;
    formats[COLUMNS] = 1;
    PGresult *result = PQexecPrepared(raw->pg, "insert", COLUMNS + 1, values, lengths, formats, 1);
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    uint64_t inserted = 0;
    if (ok && tg_str_to_u64(tg_str_from(PQcmdTuples(result)), &inserted) != TG_OK)
        ok = false;
    PQclear(result);
    if (!ok)
        return fail(raw, "insert", error);
    raw->batches++;
    return inserted == (uint64_t)(end - first)
               ? TG_OK
               : tg_error_set(error, TG_CONFLICT, "bench.events was not empty");
}

static tg_status_t insert_all(struct raw *raw, tg_error_t *error)
{
    int count = PQntuples(raw->rows), first = 0;
    for (int row = 1; row <= count; row++) {
        bool same = row < count &&
                    memcmp(PQgetvalue(raw->rows, row, 0), PQgetvalue(raw->rows, first, 0), 8) == 0;
        if (same)
            continue;
        tg_status_t status = insert(raw, first, row, error);
        if (status != TG_OK)
            return status;
        first = row;
    }
    return TG_OK;
}

static double cpu_seconds(void)
{
    struct rusage own;
    (void)getrusage(RUSAGE_SELF, &own);
    return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
           (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6;
}

/* The CPU time of our backend so far: ticks 14 and 15 of its stat line, behind the name. */
static double backend_seconds(const struct raw *raw)
{
    char path[64], line[1024] = "";
    unsigned long user = 0, system = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", PQbackendPID(raw->pg));
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    (void)!fgets(line, sizeof(line), file);
    fclose(file);
    const char *behind = strrchr(line, ')');
    if (behind == NULL || sscanf(behind, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                 &user, &system) != 2)
        return 0;
    return (double)(user + system) / 100;
}

static tg_status_t run(struct raw *raw, const struct settings *settings, tg_error_t *error)
{
    tg_status_t status = prepare(raw, settings, error);
    if (status != TG_OK)
        return status;
    uint64_t start = tg_time_mono_us();
    double cpu = cpu_seconds(), backend = backend_seconds(raw);
    status = insert_all(raw, error);
    if (status != TG_OK)
        return status;
    printf("{\"rows\":%d,\"batches\":%llu,\"seconds\":%.4f,\"cpu_seconds\":%.4f,"
           "\"backend_seconds\":%.2f}\n",
           PQntuples(raw->rows), (unsigned long long)raw->batches,
           (double)(tg_time_mono_us() - start) / 1e6, cpu_seconds() - cpu,
           backend_seconds(raw) - backend);
    return TG_OK;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    struct raw raw = {0};
    tg_config_action_t action = TG_CONFIG_RUN;
    tg_error_t error = {.status = TG_OK};
    int code = 0;
    if (tg_config_load(&program, argc, argv, &settings, &action, &error) != TG_OK)
        code = 2;
    else if (action == TG_CONFIG_RUN && run(&raw, &settings, &error) != TG_OK)
        code = 1;
    if (code != 0)
        (void)fprintf(stderr, "raw_insert: %s\n", error.text);
    for (size_t i = 0; i < COLUMNS; i++)
        tg_pgarray_dispose(&raw.arrays[i]);
    PQclear(raw.rows);
    PQfinish(raw.pg);
    tg_config_dispose(&program, &settings);
    return code;
}
