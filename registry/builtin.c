/* First age → on_old → (print → on_printed) → age until none is left; then find → on_found →
 * (register → on_registered) → the next file. A failure waits a second and begins with age again.
 */
#include "registry/builtin.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/observe/log.h"
#include "registry/store/store.h"
#include "registry/submission.h"

#define RETRY_MS 1000
#define CALL_MS  5000
#define FILE_MAX ((size_t)1 << 20)

struct schema {
    char subject[TG_SUBJECT_MAX + 1];
    tg_identity_t identity;
    tg_buf_t text, printed;
    bool known; /* registered, as far as was asked */
};

struct tg_builtin {
    struct schema schemas[TG_BUILTIN_MAX];
    size_t count, at;
    _Atomic size_t missing;
    tg_loop_t *loop; /* NULL: not started */
    tg_pg_pool_t *pool;
    tg_pg_call_t *call; /* the one wait in flight, or the timer */
    tg_timer_t retry;
};

/* --- loading --- */

static tg_status_t read_file(const char *path, tg_buf_t *out, tg_error_t *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return tg_error_set(error, TG_INVALID, "%s: %s", path, strerror(errno));
    size_t n = 0;
    do {
        char *place = tg_buf_reserve(out, 4096);
        n = place == NULL ? 0 : fread(place, 1, 4096, file);
        out->len += n;
    } while (n > 0);
    bool bad = ferror(file) != 0;
    fclose(file);
    if (out->failed)
        return tg_error_set(error, TG_TOO_LARGE, "%s: larger than 1 MiB", path);
    return bad ? tg_error_set(error, TG_INVALID, "%s: cannot be read", path) : TG_OK;
}

/* Built-in types have no references. */
static tg_status_t check(struct schema *schema, tg_error_t *error)
{
    bool is_type = false;
    tg_avro_schema_t *parsed = NULL;
    tg_status_t status = tg_submission_parse(tg_buf_view(&schema->text), NULL, &parsed, error);
    if (status == TG_OK)
        status = tg_submission_check_type(tg_str_from(schema->subject), parsed, &is_type, error);
    if (status == TG_OK && !is_type)
        status = tg_error_set(error, TG_INVALID, "no field has a role");
    if (status == TG_OK)
        status = tg_submission_identify(parsed, false, NULL, (tg_str_t){NULL, 0}, &schema->printed,
                                        &schema->identity);
    tg_avro_schema_destroy(parsed);
    return status;
}

static tg_status_t load_file(tg_builtin_t *builtin, const char *dir, const char *name,
                             tg_error_t *error)
{
    char path[4096];
    tg_error_t cause = {.status = TG_OK};
    if (builtin->count == TG_BUILTIN_MAX)
        return tg_error_set(error, TG_TOO_LARGE, "%s: more than %d files", dir, TG_BUILTIN_MAX);
    struct schema *schema = &builtin->schemas[builtin->count++];
    schema->text = tg_buf_make(FILE_MAX);
    schema->printed = tg_buf_make(FILE_MAX);
    int type_len = (int)(strlen(name) - strlen(".avsc"));
    snprintf(schema->subject, sizeof(schema->subject), "%.*s-value", type_len, name);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (tg_subject_type(tg_str_from(schema->subject)).len == 0)
        return tg_error_set(error, TG_INVALID, "%s: \"%.*s\" is no name of an event type", path,
                            type_len, name);
    tg_status_t status = read_file(path, &schema->text, error);
    if (status != TG_OK)
        return status;
    status = check(schema, &cause);
    return status == TG_OK ? TG_OK : tg_error_set(error, status, "%s: %s", path, cause.text);
}

static int is_schema_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + len - 5, ".avsc") == 0;
}

tg_status_t tg_builtin_load(const char *dir, tg_builtin_t **out_builtin, tg_error_t *error)
{
    assert(dir != NULL);
    tg_builtin_t *builtin = calloc(1, sizeof(*builtin));
    if (builtin == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    struct dirent **names = NULL;
    int count = scandir(dir, &names, is_schema_file, alphasort);
    tg_status_t status = TG_OK;
    if (count < 0)
        status = tg_error_set(error, TG_INVALID, "builtin.dir %s: %s", dir, strerror(errno));
    for (int i = 0; i < count; i++) {
        if (status == TG_OK)
            status = load_file(builtin, dir, names[i]->d_name, error);
        free(names[i]);
    }
    free(names);
    if (status == TG_OK && count == 0)
        status = tg_error_set(error, TG_INVALID, "builtin.dir %s holds no .avsc file", dir);
    if (status != TG_OK) {
        tg_builtin_destroy(builtin);
        return status;
    }
    atomic_store(&builtin->missing, builtin->count);
    *out_builtin = builtin;
    return TG_OK;
}

void tg_builtin_destroy(tg_builtin_t *builtin)
{
    if (builtin == NULL)
        return;
    assert(builtin->loop == NULL);
    for (size_t i = 0; i < builtin->count; i++) {
        tg_buf_dispose(&builtin->schemas[i].text);
        tg_buf_dispose(&builtin->schemas[i].printed);
    }
    free(builtin);
}

size_t tg_builtin_missing(const tg_builtin_t *builtin)
{
    return atomic_load(&builtin->missing);
}

/* --- registering --- */

static void age(void *arg);
static void find(tg_builtin_t *builtin);

static void try_later(tg_builtin_t *builtin, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_log_warn("builtin_schemas_wait", TG_F_INT("missing", tg_builtin_missing(builtin)),
                TG_F_TEXT("reason", tg_status_name(status)),
                TG_F_TEXT("error", answer != NULL ? answer->message : "out of memory"),
                TG_F_TEXT("action", "not ready; trying again in 1 s"));
    tg_timer_start(builtin->loop, &builtin->retry, RETRY_MS, age, builtin);
}

static void add(tg_builtin_t *builtin);

/* Registers what is not there, one after the other. */
static void next(tg_builtin_t *builtin)
{
    size_t missing = 0, first = builtin->count;
    for (size_t i = builtin->count; i-- > 0;) {
        if (builtin->schemas[i].known)
            continue;
        missing++;
        first = i;
    }
    builtin->at = first;
    atomic_store(&builtin->missing, missing);
    if (missing > 0)
        add(builtin);
    else
        tg_log_info("builtin_schemas_ready", TG_F_INT("count", builtin->count));
}

static tg_store_ask_t ask(tg_builtin_t *builtin, tg_pg_done_fn done)
{
    return (tg_store_ask_t){.pool = builtin->pool,
                            .context = TG_STR(""),
                            .behind = TG_STR(""),
                            .deadline_at_ms = tg_loop_now_ms(builtin->loop) + CALL_MS,
                            .done = done,
                            .arg = builtin};
}

static void on_registered(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_builtin_t *builtin = arg;
    builtin->call = NULL;
    if (status != TG_OK) {
        try_later(builtin, status, answer);
        return;
    }
    tg_store_registered_t row = tg_store_read_registered(answer);
    if (row.outcome != TG_STORE_NEW && row.outcome != TG_STORE_EXISTING) {
        try_later(builtin, TG_CONFLICT, answer);
        return;
    }
    tg_log_info("builtin_schema_registered",
                TG_F_TEXT("subject", builtin->schemas[builtin->at].subject), TG_F_STR("id", row.id),
                TG_F_STR("version", row.version));
    builtin->schemas[builtin->at].known = true;
    next(builtin);
}

static void add(tg_builtin_t *builtin)
{
    const struct schema *schema = &builtin->schemas[builtin->at];
    tg_store_new_t what = {
        .subject = tg_str_from(schema->subject),
        .identity = {schema->identity.hex, TG_IDENTITY_LEN},
        .guid = {schema->identity.guid, TG_GUID_LEN},
        .schema = tg_buf_view(&schema->text),
        .printed = tg_buf_view(&schema->printed),
        .references = TG_STR("[]"),
    };
    tg_store_ask_t question = ask(builtin, on_registered);
    builtin->call = tg_store_register(&question, &what);
    if (builtin->call == NULL)
        try_later(builtin, TG_NOMEM, NULL);
}

static void on_found(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_builtin_t *builtin = arg;
    builtin->call = NULL;
    if (status != TG_OK) {
        try_later(builtin, status, answer);
        return;
    }
    for (size_t i = 0; i < answer->count; i++)
        builtin->schemas[builtin->at++].known = tg_store_read_row(answer->results[i], 0).found;
    if (builtin->at < builtin->count)
        find(builtin);
    else
        next(builtin);
}

static void find(tg_builtin_t *builtin)
{
    assert(builtin->at < builtin->count);
    assert(builtin->call == NULL);
    tg_pg_stmt_t stmts[TG_PG_STATEMENTS_MAX];
    size_t count = 0;
    tg_store_ask_t question = ask(builtin, on_found);
    while (count < TG_PG_STATEMENTS_MAX && builtin->at + count < builtin->count) {
        const struct schema *schema = &builtin->schemas[builtin->at + count];
        tg_store_wanted_t wanted = {.identity = {schema->identity.hex, TG_IDENTITY_LEN}};
        stmts[count++] = tg_store_find_stmt(&question, tg_str_from(schema->subject), &wanted,
                                            (tg_store_form_t){.deleted = false});
    }
    builtin->call = tg_pg_call(builtin->pool, NULL, stmts, count, question.deadline_at_ms,
                               question.done, question.arg);
    if (builtin->call == NULL)
        try_later(builtin, TG_NOMEM, NULL);
}

/* --- what an earlier release has registered --- */

static void on_printed(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_builtin_t *builtin = arg;
    builtin->call = NULL;
    if (status == TG_OK)
        age(builtin);
    else
        try_later(builtin, status, answer);
}

/* A text that no longer reads as a schema is shown as it is and keeps its old identity. */
static void print(tg_builtin_t *builtin, const PGresult *rows)
{
    tg_store_aged_t aged[TG_STORE_AGED_MAX];
    tg_buf_t printed[TG_STORE_AGED_MAX];
    tg_identity_t identities[TG_STORE_AGED_MAX];
    size_t count = (size_t)PQntuples(rows);
    assert(count <= TG_STORE_AGED_MAX);
    for (size_t i = 0; i < count; i++) {
        tg_avro_schema_t *parsed = NULL;
        tg_str_t text = tg_pg_text(rows, (int)i, 1);
        printed[i] = tg_buf_make(FILE_MAX);
        aged[i] = (tg_store_aged_t){.id = tg_pg_text(rows, (int)i, 0), .printed = text};
        if (tg_submission_parse(text, NULL, &parsed, NULL) == TG_OK &&
            tg_submission_identify(parsed, false, NULL, (tg_str_t){NULL, 0}, &printed[i],
                                   &identities[i]) == TG_OK) {
            aged[i].printed = tg_buf_view(&printed[i]);
            aged[i].identity = (tg_str_t){identities[i].hex, TG_IDENTITY_LEN};
            aged[i].guid = (tg_str_t){identities[i].guid, TG_GUID_LEN};
        }
        tg_avro_schema_destroy(parsed);
    }
    tg_store_ask_t question = ask(builtin, on_printed);
    builtin->call = tg_store_renew(&question, aged, count);
    for (size_t i = 0; i < count; i++)
        tg_buf_dispose(&printed[i]);
    if (builtin->call == NULL)
        try_later(builtin, TG_NOMEM, NULL);
}

static void on_old(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_builtin_t *builtin = arg;
    builtin->call = NULL;
    if (status != TG_OK)
        try_later(builtin, status, answer);
    else if (PQntuples(answer->results[0]) > 0)
        print(builtin, answer->results[0]);
    else {
        builtin->at = 0;
        find(builtin);
    }
}

static void age(void *arg)
{
    tg_builtin_t *builtin = arg;
    assert(builtin->call == NULL);
    tg_store_ask_t question = ask(builtin, on_old);
    builtin->call = tg_store_aged(&question);
    if (builtin->call == NULL)
        try_later(builtin, TG_NOMEM, NULL);
}

void tg_builtin_start(tg_builtin_t *builtin, tg_loop_t *loop, tg_pg_pool_t *pool)
{
    assert(builtin->loop == NULL);
    assert(builtin->count > 0);
    builtin->loop = loop;
    builtin->pool = pool;
    age(builtin);
}

void tg_builtin_stop(tg_builtin_t *builtin)
{
    tg_timer_stop(&builtin->retry);
    tg_pg_call_cancel(builtin->call);
    builtin->call = NULL;
    builtin->loop = NULL;
}
