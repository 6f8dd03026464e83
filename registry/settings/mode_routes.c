/* GET, PUT and DELETE of /mode and /mode/:subject.
 *
 *   get     begin → on_get_scope answers
 *   put     begin, read the body → on_put_scope → (on_cleared →) on_put answers
 *   delete  begin → on_drop_scope → on_dropped answers
 *
 * Going to IMPORT needs an empty place, unless forced: live versions refuse it, deleted ones are
 * removed for good, so that versions can come in by the numbers that they have elsewhere. */
#include "registry/metrics.h"
#include "registry/routes.h"
#include "registry/settings/setting.h"

/* The wish of a PUT. */
struct wish {
    tg_mode_t mode;   /* TG_MODE_UNSET: none any more */
    tg_str_t spelled; /* as the client spelled it: Confluent's registry sends that back */
};

static const char clear_sql[] = "SELECT control.clear_for_import($1, $2)";

static void reply_mode(tg_setting_t *setting, tg_mode_t mode)
{
    tg_buf_t body = tg_buf_make(256);
    if (mode == TG_MODE_UNSET)
        tg_buf_str(&body, TG_STR("{\"mode\":null}"));
    else
        tg_buf_printf(&body, "{\"mode\":\"%s\"}", tg_mode_name(mode));
    tg_request_reply(setting->request, &body);
}

/* --- get --- */

static void on_get_scope(tg_setting_t *setting)
{
    tg_request_t *request = setting->request;
    if (setting->whole || tg_request_flag(request, "defaultToGlobal")) {
        reply_mode(setting, setting->scope.effective.mode);
    } else if (setting->own.mode != TG_MODE_UNSET) {
        reply_mode(setting, setting->own.mode);
    } else {
        tg_str_t subject = tg_request_shown(request);
        tg_request_fail(request, 40409,
                        "Subject '" TG_STR_FMT "' does not have subject-level mode configured",
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
    const struct wish *wish = setting->user;
    if (!tg_request_woken(request, status, answer))
        return;
    if (wish->mode != TG_MODE_UNSET && PQntuples(answer->results[0]) == 0) {
        tg_setting_full(setting);
        return;
    }
    tg_setting_changed(setting, RG_MODE, tg_mode_name(wish->mode));
    tg_buf_t body = tg_buf_make(256);
    tg_buf_str(&body, TG_STR("{\"mode\":"));
    if (wish->mode == TG_MODE_UNSET)
        tg_buf_str(&body, TG_STR("null"));
    else
        tg_buf_json_string(&body, wish->spelled);
    tg_buf_byte(&body, '}');
    tg_request_reply(request, &body);
}

static void put_mode(tg_setting_t *setting)
{
    const tg_request_t *request = setting->request;
    const struct wish *wish = setting->user;
    tg_pg_stmt_t stmts[TG_SETTINGS_STMTS];
    size_t count = 1;
    if (wish->mode != TG_MODE_UNSET) {
        stmts[0] = tg_settings_put_mode(wish->mode, request->context, request->subject.name,
                                        tg_setting_limit(setting));
    } else {
        tg_settings_drop_mode(request->context, request->subject.name, false, stmts);
        count = TG_SETTINGS_STMTS;
    }
    tg_setting_call(setting, stmts, count, on_put);
}

static void on_cleared(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    tg_request_t *request = arg;
    tg_setting_t *setting = request->user;
    tg_request_settle(request);
    if (status == TG_CONFLICT) { /* raised, so that nothing is removed */
        tg_request_fail(request, 42206, "%s", answer->message);
        return;
    }
    if (status != TG_OK) {
        tg_request_fail_store(request, status, answer);
        return;
    }
    if (tg_str_eq(tg_pg_text(answer->results[0], 0, 0), TG_STR("t")))
        put_mode(setting);
    else
        tg_request_fail(request, 42205, "Cannot import since found existing subjects");
}

static void on_put_scope(tg_setting_t *setting)
{
    tg_request_t *request = setting->request;
    const struct wish *wish = setting->user;
    if (!tg_setting_is_own(setting))
        return;
    bool turns = wish->mode == TG_MODE_IMPORT && setting->scope.effective.mode != TG_MODE_IMPORT;
    if (!turns || tg_request_flag(request, "force")) {
        put_mode(setting);
        return;
    }
    tg_pg_stmt_t stmt = {clear_sql, 2, {request->context, request->subject.name}};
    tg_setting_call(setting, &stmt, 1, on_cleared);
}

/* The member "mode": TG_INVALID when it is missing or names none. */
static tg_status_t parse_wish(const tg_json_node_t *nodes, tg_arena_t *arena, struct wish *wish)
{
    tg_status_t status = TG_INVALID;
    for (size_t i = 1; nodes[0].type == TG_JSON_OBJECT && i < nodes[0].next; i = nodes[i].next) {
        if (!tg_str_eq(nodes[i].key, TG_STR("mode")))
            continue;
        if (nodes[i].type == TG_JSON_NULL)
            return TG_OK;
        if (nodes[i].type == TG_JSON_STRING)
            status = tg_mode_parse(nodes[i].value.text, &wish->mode);
        if (status != TG_OK)
            return TG_INVALID;
        wish->spelled = tg_arena_copy(arena, nodes[i].value.text);
        return wish->spelled.ptr == NULL ? TG_NOMEM : TG_OK;
    }
    return status;
}

static bool read_wish(tg_setting_t *setting)
{
    tg_request_t *request = setting->request;
    const tg_json_node_t *nodes = NULL;
    size_t count = 0;
    tg_error_t error = {.status = TG_OK};
    struct wish *wish = tg_arena_alloc(request->arena, sizeof(*wish));
    if (!tg_request_body_ok(request))
        return false;
    if (tg_json_parse(request->thread->parser, tg_http_body(request->req), &nodes, &count,
                      &error) != TG_OK) {
        tg_request_fail(request, 422, "%s", error.text);
        return false;
    }
    tg_status_t status = wish == NULL ? TG_NOMEM : parse_wish(nodes, request->arena, wish);
    setting->user = wish;
    if (status == TG_INVALID)
        tg_request_fail(request, 42204,
                        "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE and "
                        "IMPORT.");
    else if (status != TG_OK)
        tg_request_fail_store(request, status, NULL);
    return status == TG_OK;
}

static void put(tg_http_req_t *req, void *thread_ctx, bool has_subject)
{
    tg_setting_t *setting = tg_setting_begin(req, thread_ctx, has_subject);
    if (setting != NULL && read_wish(setting))
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
    tg_setting_changed(setting, RG_MODE, "none");
    tg_mode_t mode = setting->own.mode;
    if (mode == TG_MODE_UNSET && setting->whole)
        mode = setting->scope.effective.mode;
    reply_mode(setting, mode);
}

/* "recursive" speaks of a context: its subjects' modes go as well. */
static void on_drop_scope(tg_setting_t *setting)
{
    tg_request_t *request = setting->request;
    bool recursive = request->subject.name.len == 0 && tg_request_flag(request, "recursive");
    if (setting->own.mode == TG_MODE_UNSET && !setting->whole && !recursive) {
        tg_request_no_subject(request);
        return;
    }
    tg_pg_stmt_t stmts[TG_SETTINGS_STMTS];
    tg_settings_drop_mode(request->context, request->subject.name, recursive, stmts);
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

#define BODY_MAX ((size_t)4 << 10)

const tg_registry_route_t tg_mode_routes[] = {
    {"GET", "/mode", get_context, 0},
    {"PUT", "/mode", put_context, BODY_MAX},
    {"DELETE", "/mode", drop_context, 0},
    {"GET", "/mode/:subject", get_subject, 0},
    {"PUT", "/mode/:subject", put_subject, BODY_MAX},
    {"DELETE", "/mode/:subject", drop_subject, 0},
};
const size_t tg_mode_route_count = TG_ARRAY_LEN(tg_mode_routes);
