/* find → on_found → (register → on_registered) → the next file; a failure waits a second and finds
 * again. */
#include "registry/builtin.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/observe/log.h"
#include "registry/store.h"
#include "registry/submission.h"

#define RETRY_MS 1000
#define CALL_MS  5000

struct schema {
    char subject[TG_SUBJECT_MAX + 1];
    char fingerprint[TG_FINGERPRINT_LEN];
    tg_buf_t text;
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

static tg_status_t load_file(tg_builtin_t *builtin, const char *dir, const char *name,
                             tg_error_t *error)
{
    char path[4096];
    tg_error_t cause = {.status = TG_OK};
    if (builtin->count == TG_BUILTIN_MAX)
        return tg_error_set(error, TG_TOO_LARGE, "%s: more than %d files", dir, TG_BUILTIN_MAX);
    struct schema *schema = &builtin->schemas[builtin->count++];
    schema->text = tg_buf_make(TG_SUBMISSION_BODY_MAX);
    int type_len = (int)(strlen(name) - strlen(".avsc"));
    snprintf(schema->subject, sizeof(schema->subject), "%.*s-value", type_len, name);
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (tg_subject_type(tg_str_from(schema->subject)).len == 0)
        return tg_error_set(error, TG_INVALID, "%s: \"%.*s\" is no name of an event type", path,
                            type_len, name);
    tg_status_t status = read_file(path, &schema->text, error);
    if (status != TG_OK)
        return status;
    status = tg_submission_check(tg_str_from(schema->subject), tg_buf_view(&schema->text),
                                 schema->fingerprint, &cause);
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
    for (size_t i = 0; i < builtin->count; i++)
        tg_buf_dispose(&builtin->schemas[i].text);
    free(builtin);
}

size_t tg_builtin_missing(const tg_builtin_t *builtin)
{
    return atomic_load(&builtin->missing);
}

/* --- registering --- */

static void find(void *arg);

static void try_later(tg_builtin_t *builtin, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_log_warn("builtin_schema_waits", TG_F_TEXT("subject", builtin->schemas[builtin->at].subject),
                TG_F_TEXT("reason", tg_status_name(status)),
                TG_F_TEXT("error", answer != NULL ? answer->message : "out of memory"),
                TG_F_TEXT("action", "not ready; trying again in 1 s"));
    tg_timer_start(builtin->loop, &builtin->retry, RETRY_MS, find, builtin);
}

static void next(tg_builtin_t *builtin)
{
    assert(builtin->at < builtin->count);
    builtin->at++;
    atomic_store(&builtin->missing, builtin->count - builtin->at);
    if (builtin->at < builtin->count)
        find(builtin);
    else
        tg_log_info("builtin_schemas_ready", TG_F_INT("count", builtin->count));
}

static tg_store_ask_t ask(tg_builtin_t *builtin, tg_pg_done_fn done)
{
    return (tg_store_ask_t){.pool = builtin->pool,
                            .context = TG_STR(""),
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
    tg_log_info("builtin_schema_registered",
                TG_F_TEXT("subject", builtin->schemas[builtin->at].subject), TG_F_STR("id", row.id),
                TG_F_STR("version", row.version));
    next(builtin);
}

static void on_found(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_builtin_t *builtin = arg;
    const struct schema *schema = &builtin->schemas[builtin->at];
    builtin->call = NULL;
    if (status != TG_OK) {
        try_later(builtin, status, answer);
        return;
    }
    if (tg_store_read_row(answer).found) {
        next(builtin);
        return;
    }
    tg_store_ask_t question = ask(builtin, on_registered);
    builtin->call =
        tg_store_register(&question, tg_str_from(schema->subject), tg_buf_view(&schema->text),
                          (tg_str_t){schema->fingerprint, TG_FINGERPRINT_LEN}, 0);
    if (builtin->call == NULL)
        try_later(builtin, TG_NOMEM, NULL);
}

static void find(void *arg)
{
    tg_builtin_t *builtin = arg;
    assert(builtin->at < builtin->count);
    assert(builtin->call == NULL);
    const struct schema *schema = &builtin->schemas[builtin->at];
    tg_store_ask_t question = ask(builtin, on_found);
    builtin->call = tg_store_find(&question, tg_str_from(schema->subject),
                                  (tg_str_t){schema->fingerprint, TG_FINGERPRINT_LEN});
    if (builtin->call == NULL)
        try_later(builtin, TG_NOMEM, NULL);
}

void tg_builtin_start(tg_builtin_t *builtin, tg_loop_t *loop, tg_pg_pool_t *pool)
{
    assert(builtin->loop == NULL);
    assert(builtin->count > 0);
    builtin->loop = loop;
    builtin->pool = pool;
    find(builtin);
}

void tg_builtin_stop(tg_builtin_t *builtin)
{
    tg_timer_stop(&builtin->retry);
    tg_pg_call_cancel(builtin->call);
    builtin->call = NULL;
    builtin->loop = NULL;
}
