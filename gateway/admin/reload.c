/* handle -> (the main thread) -> on_reloaded -> (the database) -> on_noted. */
#include "gateway/admin/reload.h"

#include <unistd.h>

#include "common/observe/log.h"
#include "gateway/admin/admin.h"
#include "gateway/keys/gate.h"

#define NAMES_MAX ((size_t)8 << 10) /* bytes of the changed options as JSON */

struct reload { /* lives in the request's arena */
    tg_http_req_t *req;
    tg_gateway_thread_t *thread;
    tg_str_t key_id, names;
    tg_charge_t charge;
    tg_http_reload_t *asked; /* the one wait: this, or */
    tg_pg_call_t *call;      /* this */
};

static void on_cancel(void *user)
{
    struct reload *reload = user;
    tg_charge_end(&reload->charge);
    if (reload->call != NULL)
        tg_pg_call_cancel(reload->call);
    else
        tg_http_reload_cancel(reload->asked);
}

static void reply(struct reload *reload, bool audited)
{
    tg_buf_t body = tg_buf_make(2 * NAMES_MAX);
    tg_buf_str(&body, TG_STR("{\"changed\":"));
    tg_buf_str(&body, reload->names);
    tg_buf_str(&body, audited ? TG_STR(",\"audited\":true}") : TG_STR(",\"audited\":false}"));
    tg_charge_end(&reload->charge);
    tg_http_add_header(reload->req, "cache-control", TG_STR("no-store"));
    tg_http_reply_buf(reload->req, 200, "application/json", &body);
}

static void on_noted(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct reload *reload = arg;
    if (status != TG_OK)
        tg_log_warn("reload_not_audited", TG_F_STR("key", reload->key_id),
                    TG_F_TEXT("sqlstate", answer->sqlstate));
    reply(reload, status == TG_OK);
}

/* The gateway's place in the audit log: who it is among several. */
static tg_str_t host_name(tg_arena_t *arena)
{
    char name[256] = "";
    (void)gethostname(name, sizeof(name) - 1);
    return tg_arena_copy(arena, tg_str_from(name));
}

static void note(struct reload *reload)
{
    tg_http_req_t *req = reload->req;
    const tg_pg_stmt_t stmts[] = {
        {TG_ADMIN_ACTOR_SQL, 2, {reload->key_id, tg_http_peer(req)}},
        {"select admin.note_act('gateway', 'reload', $1, jsonb_build_object('changed', $2::jsonb))",
         2,
         {host_name(tg_http_arena(req)), reload->names}},
    };
    reload->call = tg_pg_call(reload->thread->admin, NULL, stmts, TG_ARRAY_LEN(stmts),
                              tg_http_deadline_at(req), on_noted, reload);
    if (reload->call == NULL)
        reply(reload, false);
}

/* "a, b" as ["a","b"]; options' names need no escapes. */
static tg_str_t names_json(tg_arena_t *arena, tg_str_t names)
{
    tg_buf_t json = tg_buf_make(NAMES_MAX);
    tg_buf_byte(&json, '[');
    if (names.len > 0)
        tg_buf_byte(&json, '"');
    for (size_t i = 0; i < names.len; i++) {
        if (names.ptr[i] == ',')
            tg_buf_str(&json, TG_STR("\",\""));
        else if (names.ptr[i] != ' ')
            tg_buf_byte(&json, names.ptr[i]);
    }
    tg_buf_str(&json, names.len > 0 ? TG_STR("\"]") : TG_STR("]"));
    tg_str_t copy = json.failed ? (tg_str_t){NULL, 0} : tg_arena_copy(arena, tg_buf_view(&json));
    tg_buf_dispose(&json);
    return copy.ptr == NULL ? TG_STR("[]") : copy;
}

static void on_reloaded(void *user, tg_status_t status, tg_str_t changed, const char *error)
{
    struct reload *reload = user;
    reload->asked = NULL;
    if (status != TG_OK) {
        tg_charge_end(&reload->charge);
        tg_http_fail(reload->req, 409, "reload_refused", TG_STR(""), "The settings in use stay: %s",
                     error);
        return;
    }
    reload->names = names_json(tg_http_arena(reload->req), changed);
    note(reload);
}

void tg_admin_reload_handle(tg_http_req_t *req, void *thread_ctx)
{
    tg_gateway_thread_t *thread = thread_ctx;
    struct reload own = {.req = req, .thread = thread};
    if (!tg_admin_enter(req, thread, &own.key_id, &own.charge))
        return;
    struct reload *reload = tg_arena_alloc(tg_http_arena(req), sizeof(*reload));
    if (reload != NULL) {
        *reload = own;
        reload->asked = tg_http_reload_ask(req, on_reloaded, reload);
    }
    if (reload == NULL || reload->asked == NULL) {
        tg_charge_end(&own.charge);
        tg_http_fail(req, 503, "overloaded", TG_STR(""),
                     "This gateway cannot read its settings again just now.");
        return;
    }
    tg_http_set_user(req, reload, on_cancel);
}
