/* list: at once. set -> (the board) -> (the database) -> on_noted. */
#include "gateway/admin/breakers.h"

#include "common/json/json.h"
#include "common/observe/log.h"
#include "gateway/admin/admin.h"
#include "gateway/keys/gate.h"

#define LIST_MAX ((size_t)256 << 10)
#define NO_FIELD TG_STR("")

struct change { /* lives in the request's arena */
    tg_http_req_t *req;
    tg_gateway_thread_t *thread;
    tg_str_t key_id, upstream, instance;
    tg_http_hold_t before, after;
    tg_charge_t charge;
    tg_pg_call_t *call; /* the one wait */
};

static tg_board_t *board_of(const tg_gateway_thread_t *thread)
{
    return tg_gateway_board(thread->gateway);
}

/* --- the list --- */

void tg_admin_breakers_list(tg_http_req_t *req, void *thread_ctx)
{
    tg_gateway_thread_t *thread = thread_ctx;
    tg_str_t key_id;
    tg_charge_t charge;
    if (!tg_admin_enter(req, thread, &key_id, &charge))
        return;
    tg_charge_end(&charge);
    tg_upstreams_visit(thread->seat);
    tg_buf_t body = tg_buf_make(LIST_MAX);
    tg_buf_str(&body, TG_STR("{\"gateway\":"));
    tg_buf_json_string(&body, tg_str_from(tg_gateway_name(thread->gateway)));
    tg_buf_str(&body, TG_STR(",\"items\":["));
    tg_board_write_json(board_of(thread), &body);
    tg_buf_str(&body, TG_STR("]}"));
    tg_http_add_header(req, "cache-control", TG_STR("no-store"));
    tg_http_reply_buf(req, 200, "application/json", &body);
}

/* --- a change --- */

static void on_cancel(void *user)
{
    struct change *change = user;
    tg_charge_end(&change->charge);
    tg_pg_call_cancel(change->call);
}

static void reply(struct change *change, bool audited)
{
    tg_buf_t body = tg_buf_make(LIST_MAX);
    tg_buf_str(&body, TG_STR("{\"gateway\":"));
    tg_buf_json_string(&body, tg_str_from(tg_gateway_name(change->thread->gateway)));
    tg_buf_str(&body, TG_STR(",\"upstream\":"));
    tg_buf_json_string(&body, change->upstream);
    tg_buf_str(&body, TG_STR(",\"instance\":"));
    tg_buf_json_string(&body, change->instance);
    tg_buf_printf(&body, ",\"before\":\"%s\",\"set\":\"%s\",\"audited\":%s}",
                  tg_board_hold_name(change->before), tg_board_hold_name(change->after),
                  audited ? "true" : "false");
    tg_charge_end(&change->charge);
    tg_http_add_header(change->req, "cache-control", TG_STR("no-store"));
    tg_http_reply_buf(change->req, 200, "application/json", &body);
}

static void on_noted(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct change *change = arg;
    if (status != TG_OK)
        tg_log_warn("breaker_change_not_audited", TG_F_STR("key", change->key_id),
                    TG_F_STR("upstream", change->upstream), TG_F_STR("instance", change->instance),
                    TG_F_TEXT("sqlstate", answer->sqlstate));
    reply(change, status == TG_OK);
}

static void note(struct change *change)
{
    static const char *const verbs[] = {[TG_HTTP_HOLD_AUTO] = "auto",
                                        [TG_HTTP_HOLD_OPEN] = "open",
                                        [TG_HTTP_HOLD_CLOSED] = "close"};
    const tg_pg_stmt_t stmts[] = {
        {TG_ADMIN_ACTOR_SQL, 2, {change->key_id, tg_http_peer(change->req)}},
        {"select admin.note_act('breaker', $1, $2 || '/' || $3,"
         " jsonb_build_object('gateway', $4::text, 'before', $5::text, 'set', $6::text))",
         6,
         {tg_str_from(verbs[change->after]), change->upstream, change->instance,
          tg_str_from(tg_gateway_name(change->thread->gateway)),
          tg_str_from(tg_board_hold_name(change->before)),
          tg_str_from(tg_board_hold_name(change->after))}},
    };
    change->call = tg_pg_call(change->thread->admin, NULL, stmts, TG_ARRAY_LEN(stmts),
                              tg_http_deadline_at(change->req), on_noted, change);
    if (change->call == NULL)
        reply(change, false);
    else
        tg_http_set_user(change->req, change, on_cancel);
}

/* {"state": "open"}, and nothing else. */
static bool read_state(tg_str_t body, tg_http_hold_t *out_hold)
{
    const tg_json_node_t *nodes = NULL;
    size_t count = 0;
    tg_json_parser_t *parser = tg_json_parser_create(TG_ADMIN_BREAKER_BODY, 2);
    bool ok = parser != NULL && tg_json_parse(parser, body, &nodes, &count, NULL) == TG_OK &&
              count == 2 && nodes[0].type == TG_JSON_OBJECT && nodes[1].type == TG_JSON_STRING &&
              tg_str_eq(nodes[1].key, TG_STR("state")) &&
              tg_board_hold_read(nodes[1].value.text, out_hold);
    tg_json_parser_destroy(parser);
    return ok;
}

/* False when it has been answered. */
static bool hold(struct change *change)
{
    tg_http_req_t *req = change->req;
    tg_board_t *board = board_of(change->thread);
    if (!read_state(tg_http_body(req), &change->after)) {
        tg_http_fail(req, 400, "invalid_field", TG_STR("state"),
                     "The body must be {\"state\": \"open\"}, \"closed\" or \"auto\".");
        return false;
    }
    tg_upstreams_visit(change->thread->seat);
    tg_status_t status = TG_NOT_FOUND;
    if (tg_board_find(board, change->upstream, change->instance, &change->before))
        status = tg_board_hold(board, change->upstream, change->instance, change->after);
    if (status == TG_NOT_FOUND)
        tg_http_fail(req, 404, "not_found", TG_STR("instance"),
                     "This gateway has no such instance; GET " TG_ADMIN_BREAKERS_PATH
                     " lists them.");
    else if (status != TG_OK)
        tg_http_fail(req, 409, "conflict", TG_STR("state"),
                     "%d breakers are held already; let one go.", TG_BOARD_HOLDS_MAX);
    if (status == TG_OK)
        tg_upstreams_visit(change->thread->seat);
    return status == TG_OK;
}

void tg_admin_breakers_set(tg_http_req_t *req, void *thread_ctx)
{
    struct change own = {.req = req,
                         .thread = thread_ctx,
                         .upstream = tg_http_segment(req, 0),
                         .instance = tg_http_segment(req, 1)};
    if (!tg_admin_enter(req, own.thread, &own.key_id, &own.charge))
        return;
    struct change *change = tg_arena_alloc(tg_http_arena(req), sizeof(*change));
    if (change == NULL)
        tg_http_fail(req, 503, "overloaded", NO_FIELD, "The gateway is out of memory; retry.");
    else
        *change = own;
    if (change == NULL || !hold(change)) {
        tg_charge_end(&own.charge);
        return;
    }
    note(change);
}
