/* A gateway's stand-in that accepts everything: for measuring the simulator alone.
 *
 *   simulator_sink --listen=127.0.0.1:9900
 *
 * POST /v2/events answers one accepted item for each line, POST /v1/events/{type} one id. Nothing
 * is parsed or kept; ids are counted up. */
#include <stdio.h>

#include "common/base/uuid.h"
#include "common/http/server.h"
#include "common/observe/program.h"

#define BODY_MAX   ((size_t)32 << 20)
#define ANSWER_MAX ((size_t)32 << 20)

struct settings {
    char *listen, *log_level;
};

static const tg_option_t options[] = {
    {"listen", TG_OPT_STR, offsetof(struct settings, listen), "127.0.0.1:9900", 3, 255,
     "Address and port."},
    {"log.level", TG_OPT_STR, offsetof(struct settings, log_level), "info", 4, 5,
     "debug, info, warn or error."},
};

static const tg_program_t program = {
    .name = "simulator_sink",
    .summary = "Accepts every event and keeps none; for measuring the simulator.",
    .options = options,
    .option_count = TG_ARRAY_LEN(options),
};

static void put_id(tg_buf_t *out)
{
    static uint64_t count; /* one thread */
    tg_uuid_t uuid = {{0}};
    char text[TG_UUID_TEXT_LEN];
    count++;
    memcpy(uuid.bytes, &count, sizeof(count));
    tg_uuid_format(&uuid, text);
    tg_buf_str(out, TG_STR("\"event_id\":\""));
    tg_buf_append(out, text, sizeof(text));
    tg_buf_str(out, TG_STR("\",\"received_at\":\"2026-02-03T10:00:00Z\"}"));
}

static void handle_batch(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_str_t body = tg_http_body(req);
    tg_buf_t answer = tg_buf_make(ANSWER_MAX);
    int64_t count = 0;
    tg_buf_str(&answer, TG_STR("{\"items\":["));
    for (size_t i = 0; i < body.len; i++) {
        if (body.ptr[i] != '\n')
            continue;
        tg_buf_str(&answer, count == 0 ? TG_STR("{\"index\":") : TG_STR(",{\"index\":"));
        tg_buf_i64(&answer, count++);
        tg_buf_str(&answer, TG_STR(",\"status\":\"accepted\","));
        put_id(&answer);
    }
    tg_buf_str(&answer, TG_STR("]}"));
    tg_http_reply_buf(req, 202, "application/json", &answer);
}

static void handle_single(tg_http_req_t *req, void *thread_ctx)
{
    (void)thread_ctx;
    tg_buf_t answer = tg_buf_make(256);
    tg_buf_byte(&answer, '{');
    put_id(&answer);
    tg_http_reply_buf(req, 202, "application/json", &answer);
}

static int run(const void *config)
{
    const struct settings *settings = config;
    const tg_http_config_t http = {
        .listen = settings->listen,
        .admin_listen = (char[]){"127.0.0.1:0"},
        .threads = 1,
        .max_connections = 1024,
        .max_inflight = 1024,
        .header_timeout_ms = 10000,
        .idle_timeout_ms = 60000,
        .write_timeout_ms = 10000,
        .deadline_ms = 10000,
    };
    const tg_http_route_t routes[] = {
        {.method = "POST", .path = "/v2/events", .handler = handle_batch, .max_body = BODY_MAX},
        {.method = "POST",
         .path = "/v1/events/:type",
         .handler = handle_single,
         .max_body = BODY_MAX},
    };
    const tg_http_service_t service = {.name = "simulator_sink",
                                       .config = &http,
                                       .routes = routes,
                                       .route_count = TG_ARRAY_LEN(routes)};
    return tg_http_server_run(&service);
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    return tg_program_main(&program, argc, argv, &settings, offsetof(struct settings, log_level),
                           run);
}
