/* handle -> ask -> on_answer. The statement before the function's says for whom it is called. */
#include "gateway/admin/admin.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/auth/key.h"
#include "common/json/json.h"
#include "gateway/admin/breakers.h"
#include "gateway/admin/reload.h"
#include "gateway/keys/gate.h"

#define BODY_MAX    ((size_t)64 << 10)
#define BODY_DEPTH  8
#define ANSWER_MAX  ((size_t)16 << 20)
#define OVERLAP_MAX INT64_C(2592000) /* 30 days */
#define ARGS_MAX    5
#define NO_FIELD    TG_STR("")
#define ACTS        3 /* routes that are no function of the database */

/* Where an argument comes from. NULL in SQL when the request does not have it. */
enum source {
    END,
    SEGMENT, /* the path's :name */
    BODY,
    LIMIT,
    CURSOR,
    STATE,
    PLAN,
    TENANT,
    ACTION,
    OVERLAP,
    KEY_ID,     /* of a new key */
    KEY_DIGEST, /* "\x…" */
};

typedef struct tg_admin_route {
    const char *method, *path, *sql;
    enum source args[ARGS_MAX + 1];
    int code; /* of the answer */
} tg_admin_route_t;

// clang-format off
static const tg_admin_route_t admin_routes[] = {
    {"GET",    "/limits",              "select admin.list_limits()",                              {END}, 200},
    {"GET",    "/tenants",             "select admin.list_tenants($1::integer, $2, $3, $4)",      {LIMIT, CURSOR, STATE, PLAN, END}, 200},
    {"POST",   "/tenants",             "select admin.create_tenant($1::jsonb)",                   {BODY, END}, 201},
    {"GET",    "/tenants/:id",         "select admin.show_tenant($1)",                            {SEGMENT, END}, 200},
    {"PATCH",  "/tenants/:id",         "select admin.update_tenant($1, $2::jsonb)",               {SEGMENT, BODY, END}, 200},
    {"DELETE", "/tenants/:id",         "select admin.delete_tenant($1)",                          {SEGMENT, END}, 200},
    {"POST",   "/tenants/:id/suspend", "select admin.suspend_tenant($1)",                         {SEGMENT, END}, 200},
    {"POST",   "/tenants/:id/resume",  "select admin.resume_tenant($1)",                          {SEGMENT, END}, 200},
    {"GET",    "/tenants/:id/keys",    "select admin.list_keys($1, $2::integer, $3)",             {SEGMENT, LIMIT, CURSOR, END}, 200},
    {"POST",   "/tenants/:id/keys",    "select admin.create_key($1, $2, $3::bytea, $4::jsonb)",   {SEGMENT, KEY_ID, KEY_DIGEST, BODY, END}, 201},
    {"GET",    "/plans",               "select admin.list_plans($1::integer, $2)",                {LIMIT, CURSOR, END}, 200},
    {"POST",   "/plans",               "select admin.create_plan($1::jsonb)",                     {BODY, END}, 201},
    {"GET",    "/plans/:name",         "select admin.show_plan($1)",                              {SEGMENT, END}, 200},
    {"PATCH",  "/plans/:name",         "select admin.update_plan($1, $2::jsonb)",                 {SEGMENT, BODY, END}, 200},
    {"DELETE", "/plans/:name",         "select admin.delete_plan($1)",                            {SEGMENT, END}, 200},
    {"GET",    "/keys/:id",            "select admin.show_key($1)",                               {SEGMENT, END}, 200},
    {"PATCH",  "/keys/:id",            "select admin.update_key($1, $2::jsonb)",                  {SEGMENT, BODY, END}, 200},
    {"POST",   "/keys/:id/rotate",     "select admin.rotate_key($1, $2, $3::bytea, $4::bigint)",  {SEGMENT, KEY_ID, KEY_DIGEST, OVERLAP, END}, 201},
    {"DELETE", "/keys/:id",            "select admin.revoke_key($1)",                             {SEGMENT, END}, 200},
    {"GET",    "/audit",               "select admin.list_audit($1::integer, $2, $3, $4)",        {LIMIT, CURSOR, TENANT, ACTION, END}, 200},
};

/* Every query parameter that there is, and the source that it feeds. */
static const struct {
    enum source source;
    tg_param_t param;
} known_params[] = {
    {LIMIT,   {"limit",   TG_PARAM_UINT, NULL, 100, 1, 1000}},
    {CURSOR,  {"cursor",  TG_PARAM_STR,  NULL, 0, 1, 64}},
    {STATE,   {"state",   TG_PARAM_ENUM, "active|suspended|deleted", 0, 0, 0}},
    {PLAN,    {"plan",    TG_PARAM_STR,  NULL, 0, 1, 64}},
    {TENANT,  {"tenant",  TG_PARAM_STR,  NULL, 0, 1, 64}},
    {ACTION,  {"action",  TG_PARAM_STR,  NULL, 0, 1, 64}},
    {OVERLAP, {"overlap", TG_PARAM_STR,  NULL, 0, 1, 16}},
};
// clang-format on

/* The query parameters of each route, in the order of its arguments. */
static tg_param_t route_params[TG_ARRAY_LEN(admin_routes)][ARGS_MAX];

struct admin { /* lives in the request's arena */
    tg_http_req_t *req;
    tg_gateway_thread_t *thread;
    const tg_admin_route_t *route;
    tg_charge_t charge;
    tg_pg_call_t *call; /* the one wait in flight */
    bool has_key;
    char key[TG_KEY_LEN + 1]; /* of a new key; wiped once it is sent */
};

static bool takes(const tg_admin_route_t *route, enum source source)
{
    for (size_t i = 0; route->args[i] != END; i++) {
        if (route->args[i] == source)
            return true;
    }
    return false;
}

/* --- answers --- */

static void forget_key(struct admin *admin)
{
    explicit_bzero(admin->key, sizeof(admin->key));
}

/* "field: reason", as the functions write a refusal. */
static void fail_refused(struct admin *admin, int http_code, const char *code, const char *message)
{
    const char *colon = strstr(message, ": ");
    tg_str_t field = {message, colon == NULL ? 0 : (size_t)(colon - message)};
    tg_http_fail(admin->req, http_code, code, field, "%s", colon == NULL ? message : colon + 2);
}

static void fail(struct admin *admin, tg_status_t status, const tg_pg_answer_t *answer)
{
    static const struct {
        const char *state, *code;
        int http_code;
    } refusals[] = {{"TG400", "invalid_field", 400},
                    {"TG404", "not_found", 404},
                    {"TG409", "conflict", 409}};
    for (size_t i = 0; i < TG_ARRAY_LEN(refusals); i++) {
        if (strcmp(answer->sqlstate, refusals[i].state) == 0) {
            fail_refused(admin, refusals[i].http_code, refusals[i].code, answer->message);
            return;
        }
    }
    if (status == TG_INVALID) {
        tg_http_fail(admin->req, 400, "invalid_value", NO_FIELD, "A value cannot be stored: %s.",
                     answer->message);
        return;
    }
    if (status == TG_CONFLICT || strncmp(answer->sqlstate, "40", 2) == 0) {
        tg_http_fail(admin->req, 409, "conflict", NO_FIELD,
                     "Others changed the same meanwhile; nothing was done. Look, and try again.");
        return;
    }
    tg_http_add_header(admin->req, "retry-after", TG_STR("1"));
    if (status == TG_TIMEOUT)
        tg_http_fail(admin->req, 504, "database_timeout", NO_FIELD,
                     "The database took too long; look whether the change was made.");
    else
        tg_http_fail(admin->req, 503, "database_unavailable", NO_FIELD,
                     "The database cannot be asked; look whether the change was made.");
}

/* The function's JSON; that of a new key with its text in front, once. */
static void reply(struct admin *admin, tg_str_t json)
{
    tg_buf_t body = tg_buf_make(ANSWER_MAX);
    if (admin->has_key && json.len > 1 && json.ptr[0] == '{') {
        tg_buf_printf(&body, "{\"key\" : \"%s\", ", admin->key);
        json = (tg_str_t){json.ptr + 1, json.len - 1};
    }
    tg_buf_str(&body, json);
    tg_http_add_header(admin->req, "cache-control", TG_STR("no-store"));
    if (body.failed) {
        tg_buf_dispose(&body);
        tg_http_fail(admin->req, 422, "answer_too_large", TG_STR("limit"),
                     "The answer exceeds %zu bytes; ask for fewer rows.", ANSWER_MAX);
        return;
    }
    tg_http_reply_buf(admin->req, admin->route->code, "application/json", &body);
}

static void on_answer(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct admin *admin = arg;
    admin->call = NULL;
    tg_charge_end(&admin->charge);
    struct admin own = *admin; /* `admin` dies with the answer */
    forget_key(admin);
    if (status == TG_OK)
        reply(&own, tg_pg_text(answer->results[1], 0, 0));
    else
        fail(&own, status, answer);
    forget_key(&own);
}

static void on_cancel(void *user)
{
    struct admin *admin = user;
    assert(admin->call != NULL);
    tg_charge_end(&admin->charge);
    forget_key(admin);
    tg_pg_call_cancel(admin->call);
}

/* --- arguments --- */

static bool names_differ(const tg_json_node_t *nodes, size_t object, tg_str_t *out_twice)
{
    uint32_t end = nodes[object].next;
    for (uint32_t i = (uint32_t)object + 1; i < end; i = nodes[i].next) {
        for (uint32_t j = nodes[i].next; j < end; j = nodes[j].next) {
            if (tg_str_eq(nodes[i].key, nodes[j].key)) {
                *out_twice = nodes[j].key;
                return false;
            }
        }
    }
    return true;
}

/* An object in which no name comes twice; the rest is the functions' to judge. */
static bool body_ok(tg_http_req_t *req)
{
    const tg_json_node_t *nodes = NULL;
    size_t count = 0;
    tg_error_t error = {.text = "no JSON"};
    tg_str_t twice = NO_FIELD;
    tg_json_parser_t *parser = tg_json_parser_create(BODY_MAX, BODY_DEPTH);
    tg_status_t status = parser == NULL
                             ? TG_NOMEM
                             : tg_json_parse(parser, tg_http_body(req), &nodes, &count, &error);
    bool ok = status == TG_OK && nodes[0].type == TG_JSON_OBJECT;
    if (!ok)
        tg_http_fail(req, 400, "invalid_json", NO_FIELD, "The body must be a JSON object: %s.",
                     status == TG_OK ? "it is something else" : error.text);
    for (uint32_t i = 0; ok && i < count; i++) {
        if (nodes[i].type == TG_JSON_OBJECT && nodes[i].count > 100)
            ok = false;
        else if (nodes[i].type == TG_JSON_OBJECT)
            ok = names_differ(nodes, i, &twice);
        if (!ok)
            tg_http_fail(req, 400, "invalid_field", twice,
                         twice.len > 0 ? "The name comes twice." : "There are too many names.");
    }
    tg_json_parser_destroy(parser);
    return ok;
}

static const tg_param_value_t *param_of(const struct admin *admin, enum source source)
{
    unsigned index = 0;
    for (size_t i = 0; admin->route->args[i] != source; i++) {
        assert(admin->route->args[i] != END);
        for (size_t k = 0; k < TG_ARRAY_LEN(known_params); k++)
            index += known_params[k].source == admin->route->args[i];
    }
    return tg_http_param(admin->req, index);
}

static tg_str_t text_in_arena(tg_http_req_t *req, const char *text)
{
    return tg_arena_copy(tg_http_arena(req), tg_str_from(text));
}

/* Seconds of "24h"; the default is a day. Empty when answered. */
static tg_str_t read_overlap(struct admin *admin)
{
    static const tg_option_t overlap = {"overlap", TG_OPT_MS, 0, "24h", 0, OVERLAP_MAX * 1000.0,
                                        "Overlap."};
    const tg_param_value_t *value = param_of(admin, OVERLAP);
    uint64_t ms = 86400000;
    tg_error_t error = {.text = ""};
    char text[24];
    if (value->present && tg_config_parse_value(&overlap, value->text, &ms, &error) != TG_OK) {
        tg_http_fail(admin->req, 400, "invalid_parameter", TG_STR("overlap"),
                     "It must be a time from 0s to 30d, like 24h or 90m.");
        return NO_FIELD;
    }
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)(ms / 1000));
    return text_in_arena(admin->req, text);
}

static tg_str_t read_number(struct admin *admin, enum source source)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%lld", (long long)param_of(admin, source)->number);
    return text_in_arena(admin->req, text);
}

static tg_str_t read_state(struct admin *admin)
{
    static const char *const states[] = {"active", "suspended", "deleted"};
    const tg_param_value_t *value = param_of(admin, STATE);
    assert(value->number >= 0 && value->number < (int64_t)TG_ARRAY_LEN(states));
    return value->present ? tg_str_from(states[value->number]) : (tg_str_t){NULL, 0};
}

static tg_str_t digest_text(tg_http_req_t *req, const tg_key_t *key)
{
    char text[2 + 2 * TG_SHA256_LEN + 1] = "\\x";
    tg_hash_hex(key->sha256, TG_SHA256_LEN, text + 2);
    text[sizeof(text) - 1] = '\0';
    return text_in_arena(req, text);
}

/* False when answered. */
static bool read_args(struct admin *admin, tg_str_t *out_args, size_t *out_count)
{
    tg_key_t key = {.id = ""};
    size_t i = 0;
    if (takes(admin->route, BODY) && !body_ok(admin->req))
        return false;
    admin->has_key = takes(admin->route, KEY_ID);
    if (admin->has_key)
        tg_key_generate(admin->key, &key);
    for (; admin->route->args[i] != END; i++) {
        enum source source = admin->route->args[i];
        out_args[i] = source == SEGMENT      ? tg_http_segment(admin->req, 0)
                      : source == BODY       ? tg_http_body(admin->req)
                      : source == LIMIT      ? read_number(admin, LIMIT)
                      : source == STATE      ? read_state(admin)
                      : source == OVERLAP    ? read_overlap(admin)
                      : source == KEY_ID     ? text_in_arena(admin->req, key.id)
                      : source == KEY_DIGEST ? digest_text(admin->req, &key)
                                             : param_of(admin, source)->text;
        if (source == OVERLAP && out_args[i].len == 0)
            return false;
    }
    *out_count = i;
    return true;
}

/* --- the request --- */

/* False when there is no wait now: it has been answered. */
static bool ask(struct admin *admin, tg_str_t key_id)
{
    tg_pg_stmt_t stmts[2] = {
        {TG_ADMIN_ACTOR_SQL, 2, {key_id, tg_http_peer(admin->req)}},
        {.sql = admin->route->sql},
    };
    if (!read_args(admin, stmts[1].params, &stmts[1].param_count))
        return false;
    tg_pg_call_t *call = tg_pg_call(admin->thread->admin, NULL, stmts, TG_ARRAY_LEN(stmts),
                                    tg_http_deadline_at(admin->req), on_answer, admin);
    admin->call = call;
    if (call == NULL)
        tg_http_fail(admin->req, 503, "overloaded", NO_FIELD,
                     "The gateway is out of memory; retry.");
    return call != NULL;
}

bool tg_admin_enter(tg_http_req_t *req, tg_gateway_thread_t *thread, tg_str_t *out_key_id,
                    tg_charge_t *out_charge)
{
    tg_identity_t identity;
    if (!tg_gate_enter(req, thread, TG_SCOPE_ADMIN, &identity))
        return false;
    if (thread->admin == NULL) {
        tg_http_fail(req, 503, "admin_disabled", NO_FIELD,
                     "This gateway has no database role for changes; set admin.pg_dsn.");
        return false;
    }
    *out_key_id = text_in_arena(req, identity.key->id);
    return tg_gate_admit(req, thread, TG_CLASS_ADMIN, identity.tenant, out_charge);
}

static void handle(tg_http_req_t *req, void *thread_ctx)
{
    tg_str_t key_id;
    /* An answer takes the arena with it, and `admin`: so the charge is here as well. */
    struct admin own = {.req = req, .thread = thread_ctx, .route = tg_http_matched(req)->user};
    if (!tg_admin_enter(req, own.thread, &key_id, &own.charge))
        return;
    struct admin *admin = tg_arena_alloc(tg_http_arena(req), sizeof(*admin));
    if (admin == NULL) {
        tg_charge_end(&own.charge);
        tg_http_fail(req, 503, "overloaded", NO_FIELD, "The gateway is out of memory; retry.");
        return;
    }
    *admin = own;
    if (ask(admin, key_id))
        tg_http_set_user(req, admin, on_cancel);
    else
        tg_charge_end(&own.charge);
}

/* --- the table --- */

static size_t params_of(size_t route)
{
    size_t count = 0;
    for (size_t i = 0; admin_routes[route].args[i] != END; i++) {
        for (size_t k = 0; k < TG_ARRAY_LEN(known_params); k++) {
            if (known_params[k].source == admin_routes[route].args[i])
                route_params[route][count++] = known_params[k].param;
        }
    }
    return count;
}

/* What no function of the database does. */
static const tg_http_route_t acts[ACTS] = {
    {.method = "POST", .path = TG_ADMIN_RELOAD_PATH, .handler = tg_admin_reload_handle},
    {.method = "GET", .path = TG_ADMIN_BREAKERS_PATH, .handler = tg_admin_breakers_list},
    {.method = "PUT",
     .path = TG_ADMIN_BREAKER_PATH,
     .handler = tg_admin_breakers_set,
     .max_body = TG_ADMIN_BREAKER_BODY},
};

static bool add_acts(tg_http_route_t *routes, size_t *count)
{
    for (size_t i = 0; i < ACTS; i++) {
        tg_http_route_t *row = &routes[*count];
        *row = acts[i];
        row->format = TG_HTTP_V2;
        row->path = strdup(acts[i].path);
        if (row->path == NULL)
            return false;
        (*count)++;
    }
    return true;
}

bool tg_admin_routes(tg_http_route_t **routes, size_t *count)
{
    assert(routes != NULL && *routes != NULL);
    const size_t more = TG_ARRAY_LEN(admin_routes);
    tg_http_route_t *grown = realloc(*routes, (*count + more + ACTS) * sizeof(*grown));
    if (grown == NULL)
        return false;
    *routes = grown;
    for (size_t i = 0; i < more; i++) {
        char *path = NULL;
        if (asprintf(&path, "/admin/v1%s", admin_routes[i].path) < 0)
            return false;
        grown[(*count)++] = (tg_http_route_t){
            .method = admin_routes[i].method,
            .path = path,
            .handler = handle,
            .params = route_params[i],
            .param_count = params_of(i),
            .max_body = takes(&admin_routes[i], BODY) ? BODY_MAX : 0,
            .format = TG_HTTP_V2,
            .user = &admin_routes[i],
        };
    }
    return add_acts(grown, count);
}

tg_status_t tg_admin_open(tg_loop_t *loop, const char *dsn, tg_pg_pool_t **out_pool,
                          tg_error_t *error)
{
    assert(loop != NULL);
    const tg_pg_config_t config = {.dsn = dsn,
                                   .name = "tidegate-admin",
                                   .connections = 2,
                                   .max_waiting = 256,
                                   .connect_timeout_ms = 2000};
    if (dsn == NULL || dsn[0] == '\0')
        return TG_OK;
    return tg_pg_pool_open(loop, &config, out_pool, error);
}
