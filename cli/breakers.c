/* One call on a loop of its own, without breaker or retry to speak of. What the gateway answers is
 * from outside, as any answer is. */
#include "cli/breakers.h"

#include "common/http/client.h"
#include "common/json/json.h"

#define PATH       "/admin/v1/breakers"
#define ANSWER_MAX ((size_t)1 << 20)
#define TIMEOUT_MS 5000
#define DEPTH_MAX  8

struct answer {
    bool done;
    tg_status_t status;
    int code;
    tg_buf_t body;
};

static void on_done(void *arg, tg_status_t status, const tg_http_response_t *response)
{
    struct answer *answer = arg;
    answer->done = true;
    answer->status = status;
    if (status != TG_OK)
        return;
    answer->code = response->code;
    tg_buf_str(&answer->body, response->body);
}

static const tg_json_node_t *member(const tg_json_node_t *nodes, size_t object, const char *name)
{
    for (uint32_t i = (uint32_t)object + 1; i < nodes[object].next; i = nodes[i].next)
        if (tg_str_eq(nodes[i].key, tg_str_from(name)))
            return &nodes[i];
    return NULL;
}

static tg_str_t text_of(const tg_json_node_t *node)
{
    return node != NULL && node->type == TG_JSON_STRING ? node->value.text : TG_STR("-");
}

/* What a refusal says, or its number alone. */
static tg_status_t refused(const struct answer *answer, tg_error_t *error)
{
    const tg_json_node_t *nodes = NULL;
    size_t count = 0;
    tg_json_parser_t *parser = tg_json_parser_create(ANSWER_MAX, DEPTH_MAX);
    bool readable =
        parser != NULL &&
        tg_json_parse(parser, tg_buf_view(&answer->body), &nodes, &count, NULL) == TG_OK &&
        nodes[0].type == TG_JSON_OBJECT;
    tg_str_t detail = readable ? text_of(member(nodes, 0, "detail")) : TG_STR("-");
    tg_status_t status = tg_error_set(error, TG_DENIED, "the gateway answers %d: " TG_STR_FMT,
                                      answer->code, TG_STR_ARG(detail));
    tg_json_parser_destroy(parser);
    return status;
}

static tg_status_t judge(const tg_cli_t *cli, const struct answer *answer, tg_error_t *error)
{
    if (answer->status != TG_OK)
        return tg_error_set(error, TG_UNAVAILABLE, "the gateway at %s does not answer: %s",
                            cli->config->gateway, tg_status_name(answer->status));
    return answer->code == 200 ? TG_OK : refused(answer, error);
}

static void exchange(tg_loop_t *loop, tg_http_client_t *client, const tg_cli_t *cli,
                     tg_http_request_t *request, struct answer *answer)
{
    const tg_http_header_t headers[] = {{TG_STR("x-api-key"), tg_str_from(cli->config->key)},
                                        {TG_STR("content-type"), TG_STR("application/json")}};
    request->headers = headers;
    request->header_count = TG_ARRAY_LEN(headers);
    request->deadline_at_ms = tg_loop_now_ms(loop) + TIMEOUT_MS;
    if (tg_http_client_call(client, request, on_done, answer) == NULL)
        return;
    while (!answer->done)
        tg_loop_turn(loop, 100);
}

static tg_status_t ask(const tg_cli_t *cli, tg_http_request_t *request, struct answer *answer,
                       tg_error_t *error)
{
    const tg_http_client_config_t config = {.name = "gateway",
                                            .instances = cli->config->gateway,
                                            .max_connections = 1,
                                            .max_waiting = 1,
                                            .max_body = ANSWER_MAX,
                                            .connect_timeout_ms = TIMEOUT_MS,
                                            .idle_timeout_ms = TIMEOUT_MS,
                                            .breaker = TG_BREAKER_DEFAULTS};
    tg_http_client_t *client = NULL;
    *answer = (struct answer){.status = TG_NOMEM, .body = tg_buf_make(ANSWER_MAX)};
    if (cli->config->key == NULL || cli->config->key[0] == '\0')
        return tg_error_set(error, TG_INVALID,
                            "gateway.key is missing: a key with the scope admin "
                            "(TIDEGATE_CLI_GATEWAY_KEY)");
    tg_loop_t *loop = tg_loop_create();
    if (loop == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    tg_status_t status = tg_http_client_open(loop, &config, &client, error);
    if (status == TG_OK) {
        exchange(loop, client, cli, request, answer);
        status = judge(cli, answer, error);
    }
    tg_http_client_close(client);
    tg_loop_destroy(loop);
    return status;
}

/* --- the list --- */

static void print_cell(FILE *out, tg_str_t text, int width)
{
    char cell[128];
    (void)snprintf(cell, sizeof(cell), TG_STR_FMT, TG_STR_ARG(text));
    tg_cli_print(out, cell, width);
}

static void print_number(FILE *out, const tg_json_node_t *node, int width)
{
    char cell[32];
    (void)snprintf(cell, sizeof(cell), "%lld",
                   node != NULL && node->type == TG_JSON_INT ? (long long)node->value.integer : -1);
    tg_cli_print(out, cell, width);
}

static bool is(const tg_json_node_t *node, tg_json_type_t type)
{
    return node != NULL && node->type == type;
}

/* The widths hold an IPv4 address with port, and the longest words. */
static void print_row(FILE *out, const tg_json_node_t *nodes, size_t row)
{
    const char *check = is(member(nodes, row, "healthy"), TG_JSON_FALSE)  ? "unhealthy"
                        : is(member(nodes, row, "ejected"), TG_JSON_TRUE) ? "ejected"
                                                                          : "in";
    print_cell(out, text_of(member(nodes, row, "upstream")), 11);
    print_cell(out, text_of(member(nodes, row, "instance")), 23);
    print_cell(out, text_of(member(nodes, row, "state")), 11);
    print_cell(out, text_of(member(nodes, row, "set")), 8);
    print_cell(out, tg_str_from(check), 11);
    print_number(out, member(nodes, row, "calls"), 12);
    print_number(out, member(nodes, row, "failures"), 10);
    print_cell(out, text_of(member(nodes, row, "why")), 17);
    print_cell(out, text_of(member(nodes, row, "since")), 0);
    (void)fputc('\n', out);
}

static void print_list(FILE *out, const tg_json_node_t *nodes, size_t list)
{
    static const struct {
        const char *name;
        int width;
    } heads[] = {{"upstream", 11}, {"instance", 23}, {"state", 11}, {"set", 8},  {"choice", 11},
                 {"calls", 12},    {"failures", 10}, {"why", 17},   {"since", 0}};
    for (size_t i = 0; i < TG_ARRAY_LEN(heads); i++)
        tg_cli_print(out, heads[i].name, heads[i].width);
    (void)fputc('\n', out);
    for (uint32_t i = (uint32_t)list + 1; i < nodes[list].next; i = nodes[i].next)
        if (nodes[i].type == TG_JSON_OBJECT)
            print_row(out, nodes, i);
}

tg_status_t tg_breakers_print(FILE *out, tg_str_t json, tg_error_t *error)
{
    const tg_json_node_t *nodes = NULL, *items = NULL;
    size_t count = 0;
    tg_json_parser_t *parser = tg_json_parser_create(ANSWER_MAX, DEPTH_MAX);
    if (parser != NULL && tg_json_parse(parser, json, &nodes, &count, NULL) == TG_OK &&
        nodes[0].type == TG_JSON_OBJECT)
        items = member(nodes, 0, "items");
    bool readable = is(items, TG_JSON_ARRAY);
    if (readable)
        print_list(out, nodes, (size_t)(items - nodes));
    tg_json_parser_destroy(parser);
    return readable ? TG_OK
                    : tg_error_set(error, TG_INTERNAL, "the gateway's answer cannot be read");
}

tg_status_t tg_breakers_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    struct answer answer = {.body = {0}};
    tg_http_request_t request = {.method = TG_STR("GET"), .target = TG_STR(PATH)};
    tg_status_t status = tg_args_done(args, error);
    if (status == TG_OK)
        status = ask(cli, &request, &answer, error);
    if (status == TG_OK)
        status = tg_breakers_print(cli->out, tg_buf_view(&answer.body), error);
    tg_buf_dispose(&answer.body);
    return status;
}

/* --- a change --- */

/* What an upstream's name and an address in numbers are made of; nothing in them needs an escape
 * in a path. */
static tg_status_t check_word(const char *what, const char *word, tg_error_t *error)
{
    if (word[0] == '\0' || strlen(word) > 95 ||
        word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789.:[]")] != '\0')
        return tg_error_set(error, TG_INVALID, "%s: as `tidegate breakers list` shows it", what);
    return TG_OK;
}

static tg_status_t read_change(tg_args_t *args, tg_buf_t *target, tg_buf_t *body, tg_error_t *error)
{
    const char *upstream = NULL, *instance = NULL, *state = NULL;
    tg_status_t status = tg_cli_word(args, "the upstream", &upstream, error);
    if (status == TG_OK)
        status = tg_cli_word(args, "the instance", &instance, error);
    if (status == TG_OK)
        status = tg_cli_word(args, "open, closed or auto", &state, error);
    if (status == TG_OK)
        status = tg_args_done(args, error);
    if (status == TG_OK)
        status = check_word("the upstream", upstream, error);
    if (status == TG_OK)
        status = check_word("the instance", instance, error);
    if (status == TG_OK && strcmp(state, "open") != 0 && strcmp(state, "closed") != 0 &&
        strcmp(state, "auto") != 0)
        status = tg_error_set(error, TG_INVALID, "%s is none of open, closed and auto", state);
    if (status != TG_OK)
        return status;
    tg_buf_printf(target, PATH "/%s/%s", upstream, instance);
    tg_buf_printf(body, "{\"state\":\"%s\"}", state);
    return TG_OK;
}

tg_status_t tg_breakers_set(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    struct answer answer = {.body = {0}};
    tg_buf_t target = tg_buf_make(512), body = tg_buf_make(64);
    tg_status_t status = read_change(args, &target, &body, error);
    if (status == TG_OK) {
        tg_http_request_t request = {.method = TG_STR("PUT"),
                                     .target = tg_buf_view(&target),
                                     .body = tg_buf_view(&body)};
        status = ask(cli, &request, &answer, error);
    }
    if (status == TG_OK)
        (void)fputs("the breaker is set, in this gateway\n", cli->out);
    tg_buf_dispose(&answer.body);
    tg_buf_dispose(&body);
    tg_buf_dispose(&target);
    return status;
}
