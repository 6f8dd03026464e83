/* begin → on_scope_rows → the handler's on_scope. */
#include "registry/settings/setting.h"

#include <stdio.h>

#include "common/observe/log.h"
#include "registry/metrics.h"

/* As control.register_schema sees it: what the default context has is nobody else's. */
static const char reserved_sql[] =
    "SELECT $1 <> '' AND EXISTS (SELECT FROM control.subject_versions v"
    " WHERE v.context = '' AND v.subject = $2 AND NOT v.deleted)";

tg_setting_t *tg_setting_begin(tg_http_req_t *req, void *thread_ctx, bool has_subject)
{
    tg_request_t *request = tg_request_begin(req, thread_ctx);
    if (request == NULL)
        return NULL;
    request->subject = (tg_subject_name_t){request->context, TG_STR("")};
    if (has_subject && !tg_request_subject(request, 0, TG_SUBJECT_MAY_BE_EMPTY))
        return NULL;
    tg_setting_t *setting = tg_arena_alloc(request->arena, sizeof(*setting));
    if (setting == NULL) {
        tg_request_fail(request, 50301, "The registry is out of memory; try again.");
        return NULL;
    }
    setting->request = request;
    bool named = has_subject && !request->viewer.tenant && request->context.len > 0;
    setting->whole = request->subject.name.len == 0 && !named;
    request->user = setting;
    return setting;
}

void tg_setting_call(tg_setting_t *setting, const tg_pg_stmt_t *stmts, size_t count,
                     tg_pg_done_fn done)
{
    tg_request_t *request = setting->request;
    tg_request_wait(request, tg_pg_call(request->thread->pool, NULL, stmts, count,
                                        tg_request_deadline(request), done, request));
}

static void on_scope_rows(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    tg_setting_t *setting = request->user;
    if (!tg_request_woken(request, status, answer))
        return;
    status = tg_scope_read(answer->results[0], request->context, request->subject.name,
                           request->arena, &setting->scope);
    if (status != TG_OK) {
        tg_request_fail_store(request, status, answer);
        return;
    }
    bool context = request->subject.name.len == 0;
    setting->own = context ? setting->scope.context : setting->scope.subject;
    setting->reserved = tg_str_eq(tg_pg_text(answer->results[1], 0, 0), TG_STR("t"));
    setting->on_scope(setting);
}

void tg_setting_read_scope(tg_setting_t *setting, void (*on_scope)(tg_setting_t *setting))
{
    assert(on_scope != NULL);
    setting->on_scope = on_scope;
    const tg_request_t *request = setting->request;
    tg_pg_stmt_t stmts[] = {
        tg_scope_stmt(request->context, request->subject.name),
        {reserved_sql, 2, {request->context, request->subject.name}},
    };
    tg_setting_call(setting, stmts, TG_ARRAY_LEN(stmts), on_scope_rows);
}

bool tg_setting_is_own(tg_setting_t *setting)
{
    if (!setting->reserved || !setting->request->viewer.tenant)
        return true;
    tg_request_reserved(setting->request);
    return false;
}

bool tg_setting_may_change(tg_setting_t *setting)
{
    tg_request_t *request = setting->request;
    if (!tg_setting_is_own(setting))
        return false;
    tg_error_t error = {.status = TG_OK};
    if (tg_mode_may_change(setting->scope.effective.mode, tg_request_shown(request),
                           tg_request_shown_context(request), &error) == TG_OK)
        return true;
    tg_request_fail(request, 42205, "%s", error.text);
    return false;
}

void tg_setting_changed(const tg_setting_t *setting, unsigned kind, const char *to)
{
    const tg_request_t *request = setting->request;
    tg_metric_add(request->thread->shard, RG_SETTINGS, kind, 1);
    tg_log_info(kind == RG_CONFIG ? "config_changed" : "mode_changed",
                TG_F_STR("context", request->context), TG_F_STR("subject", request->subject.name),
                TG_F_TEXT("to", to), TG_F_STR("request_id", tg_http_request_id(request->req)));
}

tg_str_t tg_setting_limit(const tg_setting_t *setting)
{
    char text[24];
    const tg_request_t *request = setting->request;
    int len = snprintf(text, sizeof(text), "%llu",
                       (unsigned long long)request->thread->config->max_schemas);
    assert(len > 0);
    return tg_arena_copy(request->arena, (tg_str_t){text, (size_t)len});
}

void tg_setting_full(tg_setting_t *setting)
{
    tg_request_fail(setting->request, 42210,
                    "The tenant has reached its limit of %llu subjects with settings of their own.",
                    (unsigned long long)setting->request->thread->config->max_schemas);
}
