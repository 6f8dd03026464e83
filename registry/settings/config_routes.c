/* GET, PUT and DELETE of /config and /config/:subject.
 *
 *   get     begin → on_scope answers
 *   put     begin, read the body → on_scope → on_put answers
 *   delete  begin → on_scope → on_dropped answers */
#include "registry/metrics.h"
#include "registry/routes.h"
#include "registry/settings/setting.h"

static void reply(tg_setting_t *setting, const tg_subject_config_t *config, const char *level_name)
{
    tg_buf_t body = tg_buf_make(TG_REQUEST_ANSWER_MAX);
    tg_subject_config_write(config, level_name, &body);
    tg_request_reply(setting->request, &body);
}

/* As it was put; the level is always told, for it always counts. */
static tg_subject_config_t shown(const tg_setting_t *setting)
{
    tg_subject_config_t config = setting->own;
    if (config.level == TG_LEVEL_UNSET)
        config.level = setting->scope.effective.level;
    return config;
}

/* --- get --- */

static void on_get_scope(tg_setting_t *setting)
{
    tg_request_t *request = setting->request;
    if (setting->whole || tg_request_flag(request, "defaultToGlobal")) {
        reply(setting, &setting->scope.effective, "compatibilityLevel");
    } else if (setting->own.configured) {
        tg_subject_config_t config = shown(setting);
        reply(setting, &config, "compatibilityLevel");
    } else {
        tg_str_t subject = tg_request_shown(request);
        tg_request_fail(request, 40408,
                        "Subject '" TG_STR_FMT
                        "' does not have subject-level compatibility configured",
                        TG_STR_ARG(subject));
    }
}

static void get(tg_http_req_t *req, void *thread_ctx, bool has_subject)
{
    tg_setting_t *setting = tg_setting_begin(req, thread_ctx, has_subject);
    if (setting != NULL)
        tg_setting_read_scope(setting, on_get_scope);
}

static void get_context(tg_http_req_t *req, void *thread_ctx)
{
    get(req, thread_ctx, false);
}

static void get_subject(tg_http_req_t *req, void *thread_ctx)
{
    get(req, thread_ctx, true);
}

/* --- put --- */

static void on_put(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    tg_setting_t *setting = request->user;
    tg_subject_config_t config;
    if (!tg_request_woken(request, status, answer))
        return;
    if (PQntuples(answer->results[0]) == 0) {
        tg_setting_full(setting);
        return;
    }
    status = tg_settings_read(answer->results[0], 0, request->arena, &config);
    if (status != TG_OK) {
        tg_request_fail_store(request, status, answer);
        return;
    }
    tg_setting_changed(setting, RG_CONFIG, tg_level_name(config.level));
    reply(setting, &config, "compatibility");
}

static void on_put_scope(tg_setting_t *setting)
{
    tg_request_t *request = setting->request;
    tg_config_given_t given;
    if (!tg_setting_may_change(setting))
        return;
    tg_pg_stmt_t stmt =
        tg_settings_put_config(setting->user, request->context, request->subject.name,
                               tg_setting_limit(setting), &given);
    tg_setting_call(setting, &stmt, 1, on_put);
}

/* An alias is another name of a subject, in the same context. */
static bool alias_ok(tg_setting_t *setting, const tg_config_patch_t *patch)
{
    tg_str_t alias = patch->values.alias;
    if (alias.ptr == NULL)
        return true;
    bool own = alias.len < 2 || memcmp(alias.ptr, ":.", 2) != 0;
    if (own && setting->request->subject.name.len > 0 && tg_subject_ok(alias))
        return true;
    tg_request_fail(setting->request, 42208,
                    "An alias is given to a subject and names one of the same context, "
                    "1 to %d bytes without control characters.",
                    TG_SUBJECT_MAX);
    return false;
}

static bool read_patch(tg_setting_t *setting)
{
    tg_request_t *request = setting->request;
    tg_config_patch_t *patch = tg_arena_alloc(request->arena, sizeof(*patch));
    tg_error_t error = {.status = TG_OK};
    unsigned code = 422;
    tg_status_t status = TG_NOMEM;
    if (!tg_request_body_ok(request))
        return false;
    if (patch != NULL)
        status = tg_subject_config_read(request->thread->parser, tg_http_body(request->req),
                                        request->arena, patch, &code, &error);
    if (status == TG_OK) {
        setting->user = patch;
        return alias_ok(setting, patch);
    }
    if (status == TG_INVALID)
        tg_request_fail(request, code, "%s", error.text);
    else
        tg_request_fail_store(request, status, NULL);
    return false;
}

static void put(tg_http_req_t *req, void *thread_ctx, bool has_subject)
{
    tg_setting_t *setting = tg_setting_begin(req, thread_ctx, has_subject);
    if (setting != NULL && read_patch(setting))
        tg_setting_read_scope(setting, on_put_scope);
}

static void put_context(tg_http_req_t *req, void *thread_ctx)
{
    put(req, thread_ctx, false);
}

static void put_subject(tg_http_req_t *req, void *thread_ctx)
{
    put(req, thread_ctx, true);
}

/* --- delete --- */

static void on_dropped(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    tg_setting_t *setting = request->user;
    if (!tg_request_woken(request, status, answer))
        return;
    tg_setting_changed(setting, RG_CONFIG, "none");
    tg_subject_config_t config = shown(setting);
    reply(setting, &config, "compatibilityLevel");
}

static void on_drop_scope(tg_setting_t *setting)
{
    tg_request_t *request = setting->request;
    if (!setting->own.configured && !setting->whole) {
        tg_request_no_subject(request);
        return;
    }
    if (!tg_setting_may_change(setting))
        return;
    tg_pg_stmt_t stmts[TG_SETTINGS_STMTS];
    tg_settings_drop_config(request->context, request->subject.name, stmts);
    tg_setting_call(setting, stmts, TG_SETTINGS_STMTS, on_dropped);
}

static void drop(tg_http_req_t *req, void *thread_ctx, bool has_subject)
{
    tg_setting_t *setting = tg_setting_begin(req, thread_ctx, has_subject);
    if (setting != NULL)
        tg_setting_read_scope(setting, on_drop_scope);
}

static void drop_context(tg_http_req_t *req, void *thread_ctx)
{
    drop(req, thread_ctx, false);
}

static void drop_subject(tg_http_req_t *req, void *thread_ctx)
{
    drop(req, thread_ctx, true);
}

const tg_registry_route_t tg_config_routes[] = {
    {"GET", "/config", get_context, 0},
    {"PUT", "/config", put_context, TG_CONFIG_BODY_MAX},
    {"DELETE", "/config", drop_context, 0},
    {"GET", "/config/:subject", get_subject, 0},
    {"PUT", "/config/:subject", put_subject, TG_CONFIG_BODY_MAX},
    {"DELETE", "/config/:subject", drop_subject, 0},
};
const size_t tg_config_route_count = TG_ARRAY_LEN(tg_config_routes);
