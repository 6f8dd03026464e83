/* The registry of the tests, on the project's own server shell. */
#include "common/registry/tests/fake_registry.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/http/server.h"

#define SCHEMA_MAX ((size_t)64 << 10)

struct fake_registry {
    tg_http_config_t config;
    char listen[32], admin[32];
    tg_http_service_t service; /* the server borrows it */
    tg_http_server_t *server;
    atomic_bool fail, upgraded, forgotten, hidden;
    atomic_uint requests;
};

static const char visit_schema[] = "{\"type\":\"record\",\"name\":\"Visit\",\"fields\":["
                                   "{\"name\":\"ref\",\"type\":\"string\",\"role\":\"id\"},"
                                   "{\"name\":\"page\",\"type\":\"string\",\"role\":\"entity\"},"
                                   "{\"name\":\"ms\",\"type\":\"double\",\"role\":\"value\"}]}";
static const char plain_schema[] = "{\"type\":\"record\",\"name\":\"Plain\",\"fields\":["
                                   "{\"name\":\"note\",\"type\":\"string\"}]}";
static const char order_2_schema[] =
    "{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"tidegate\",\"fields\":["
    "{\"name\":\"order_id\",\"type\":[\"null\",\"string\"],\"default\":null,\"role\":\"id\"},"
    "{\"name\":\"customer_id\",\"type\":\"string\",\"role\":\"user\"},"
    "{\"name\":\"amount\",\"type\":\"double\",\"role\":\"value\"},"
    "{\"name\":\"currency\",\"type\":\"string\",\"role\":\"kind\"},"
    "{\"name\":\"channel\",\"type\":\"string\",\"role\":\"entity\"},"
    "{\"name\":\"coupon\",\"type\":[\"null\",\"string\"],\"default\":null}]}";

static bool read_builtin(tg_str_t name, tg_buf_t *out)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "schemas/" TG_STR_FMT ".avsc", TG_STR_ARG(name));
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    char *at = tg_buf_reserve(out, SCHEMA_MAX);
    out->len += fread(at, 1, SCHEMA_MAX, file);
    (void)fclose(file);
    return true;
}

/* The newest version of a type as `tenant` sees it: its schema and id, or false. */
static bool newest(const fake_registry_t *registry, tg_str_t tenant, tg_str_t name,
                   tg_buf_t *schema, unsigned *out_id)
{
    if (tg_str_eq(name, TG_STR("visit"))) {
        tg_buf_str(schema, TG_STR(visit_schema));
        *out_id = FAKE_VISIT;
        return tg_str_eq(tenant, TG_STR("acme")) && !atomic_load(&registry->hidden);
    }
    if (tg_str_eq(name, TG_STR("plain"))) {
        tg_buf_str(schema, TG_STR(plain_schema));
        *out_id = FAKE_PLAIN;
        return true;
    }
    if (tg_str_eq(name, TG_STR("broken"))) {
        tg_buf_str(schema, TG_STR("{\"type\":\"nonsense\"}"));
        *out_id = FAKE_BROKEN;
        return true;
    }
    if (tg_str_eq(name, TG_STR("order")) && atomic_load(&registry->upgraded)) {
        tg_buf_str(schema, TG_STR(order_2_schema));
        *out_id = FAKE_ORDER_2;
        return !atomic_load(&registry->forgotten);
    }
    *out_id = tg_str_eq(name, TG_STR("order")) ? FAKE_ORDER_1 : 100 + (unsigned)name.ptr[0];
    return read_builtin(name, schema) && !atomic_load(&registry->forgotten);
}

static bool by_id(const fake_registry_t *registry, tg_str_t tenant, tg_str_t id, tg_buf_t *schema)
{
    unsigned ignored;
    if (tg_str_eq(id, TG_STR("1")))
        return read_builtin(TG_STR("order"), schema);
    if (tg_str_eq(id, TG_STR("2")))
        return tg_buf_str(schema, TG_STR(order_2_schema)), true;
    if (tg_str_eq(id, TG_STR("3")))
        return newest(registry, tenant, TG_STR("visit"), schema, &ignored);
    if (tg_str_eq(id, TG_STR("4")))
        return newest(registry, tenant, TG_STR("broken"), schema, &ignored);
    if (tg_str_eq(id, TG_STR("5")))
        return newest(registry, tenant, TG_STR("plain"), schema, &ignored);
    return false;
}

static void reply(tg_http_req_t *req, bool found, const tg_buf_t *schema, unsigned id)
{
    if (!found) {
        tg_http_fail(req, 404, "40401", TG_STR(""), "not found");
        return;
    }
    tg_buf_t body = tg_buf_make(2 * SCHEMA_MAX);
    tg_buf_str(&body, TG_STR("{\"subject\":\"x\",\"version\":1,"));
    if (id != 0)
        tg_buf_printf(&body, "\"id\":%u,", id);
    tg_buf_str(&body, TG_STR("\"schema\":"));
    tg_buf_json_string(&body, tg_buf_view(schema));
    tg_buf_byte(&body, '}');
    tg_http_reply_buf(req, 200, "application/json", &body);
}

static bool failing(fake_registry_t *registry, tg_http_req_t *req)
{
    atomic_fetch_add(&registry->requests, 1);
    if (!atomic_load(&registry->fail))
        return false;
    tg_http_fail(req, 500, "50001", TG_STR(""), "told to fail");
    return true;
}

static void handle_newest(tg_http_req_t *req, void *thread_ctx)
{
    fake_registry_t *registry = thread_ctx;
    if (failing(registry, req))
        return;
    tg_str_t subject = tg_http_segment(req, 0);
    tg_str_t name = {subject.ptr, subject.len < 6 ? 0 : subject.len - 6}; /* "-value" */
    tg_buf_t schema = tg_buf_make(2 * SCHEMA_MAX);
    unsigned id = 0;
    bool found = newest(registry, tg_http_tenant(req), name, &schema, &id);
    reply(req, found, &schema, id);
    tg_buf_dispose(&schema);
}

static void handle_id(tg_http_req_t *req, void *thread_ctx)
{
    fake_registry_t *registry = thread_ctx;
    if (failing(registry, req))
        return;
    tg_buf_t schema = tg_buf_make(2 * SCHEMA_MAX);
    bool found = by_id(registry, tg_http_tenant(req), tg_http_segment(req, 0), &schema);
    reply(req, found, &schema, 0);
    tg_buf_dispose(&schema);
}

static const tg_http_route_t routes[] = {
    {.method = "GET",
     .path = "/subjects/:subject/versions/latest",
     .handler = handle_newest,
     .format = TG_HTTP_CONFLUENT,
     .flags = TG_HTTP_ROUTE_INTERNAL},
    {.method = "GET",
     .path = "/schemas/ids/:id",
     .handler = handle_id,
     .format = TG_HTTP_CONFLUENT,
     .flags = TG_HTTP_ROUTE_INTERNAL},
};

static tg_status_t thread_start(void *arg, tg_loop_t *loop, tg_metrics_shard_t *shard,
                                void **out_thread_ctx, tg_error_t *error)
{
    (void)loop;
    (void)shard;
    (void)error;
    *out_thread_ctx = arg;
    return TG_OK;
}

fake_registry_t *fake_registry_open(uint16_t port)
{
    fake_registry_t *registry = calloc(1, sizeof(*registry));
    assert(registry != NULL);
    (void)snprintf(registry->listen, sizeof(registry->listen), "127.0.0.1:%u", port);
    (void)snprintf(registry->admin, sizeof(registry->admin), "127.0.0.1:0");
    registry->config = (tg_http_config_t){
        .listen = registry->listen,
        .admin_listen = registry->admin,
        .threads = 1,
        .max_connections = 100,
        .max_inflight = 100,
        .header_timeout_ms = 10000,
        .idle_timeout_ms = 60000,
        .write_timeout_ms = 10000,
        .deadline_ms = 10000,
        .drain_ms = 100,
    };
    registry->service = (tg_http_service_t){
        .name = "registry",
        .config = &registry->config,
        .routes = routes,
        .route_count = TG_ARRAY_LEN(routes),
        .secret = FAKE_SECRET,
        .thread_start = thread_start,
        .arg = registry,
    };
    tg_error_t error = {.status = TG_OK};
    tg_status_t status = tg_http_server_open(&registry->service, &registry->server, &error);
    if (status != TG_OK)
        (void)fprintf(stderr, "fake registry: %s\n", error.text);
    assert(status == TG_OK);
    return registry;
}

void fake_registry_close(fake_registry_t *registry)
{
    if (registry == NULL)
        return;
    (void)tg_http_server_drain(registry->server);
    tg_http_server_close(registry->server);
    free(registry);
}

uint16_t fake_registry_port(const fake_registry_t *registry)
{
    return tg_http_server_port(registry->server);
}

void fake_registry_fail(fake_registry_t *registry, bool fail)
{
    atomic_store(&registry->fail, fail);
}

void fake_registry_upgrade(fake_registry_t *registry)
{
    atomic_store(&registry->upgraded, true);
}

void fake_registry_forget(fake_registry_t *registry)
{
    atomic_store(&registry->forgotten, true);
}

void fake_registry_hide_visit(fake_registry_t *registry, bool hide)
{
    atomic_store(&registry->hidden, hide);
}

unsigned fake_registry_schema_requests(const fake_registry_t *registry)
{
    return atomic_load(&registry->requests);
}
