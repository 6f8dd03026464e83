/* Bundles to the whole service: each event has an outcome of its own, and what is no bundle is
 * refused whole. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/event/bundle.h"
#include "common/http/tests/support.h"
#include "ingestion/tests/support.h"

static void put(tg_buf_t *bundle, const char *tenant, const char *type, const char *key,
                const char *body)
{
    tg_bundle_event_t event = {.tenant = tg_str_from(tenant),
                               .type = tg_str_from(type),
                               .idempotency_key = tg_str_from(key),
                               .body = tg_str_from(body)};
    tg_trace_start(&event.trace);
    tg_bundle_put_event(&event, bundle);
}

/* Sends and disposes the bundle; the whole answer, as long as *out_len. */
static char *post_bundle(struct fixture *f, const char *headers, tg_buf_t *bundle, size_t *out_len)
{
    char head[512];
    int len = snprintf(head, sizeof(head),
                       "POST " TG_BUNDLE_PATH " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
                       "%sContent-Type: " TG_BUNDLE_MEDIA_TYPE "\r\nContent-Length: %zu\r\n\r\n",
                       headers, bundle->len);
    int fd = test_connect(tg_http_server_port(f->server));
    test_send(fd, head, (size_t)len);
    test_send(fd, bundle->data, bundle->len);
    tg_buf_dispose(bundle);
    char *answer = calloc(1, 65536);
    ssize_t got;
    *out_len = 0;
    while ((got = read(fd, answer + *out_len, 65535 - *out_len)) > 0)
        *out_len += (size_t)got;
    close(fd);
    return answer;
}

#define TRUSTED "X-Tidegate-Secret: " FAKE_SECRET "\r\n"

static void each_event_of_a_bundle_has_its_own_outcome(void **state)
{
    (void)state;
    static const struct {
        const char *tenant, *type, *key, *body;
        int code;
        const char *error;
    } cases[] = {
        {"acme", "order", "", ORDER, 202, ""},
        {"acme", "order", "", "{\"bogus\":1}", 422, "unknown_field"},
        {"acme", "order", "", "{", 400, "invalid_json"},
        {"acme", "order", "", "", 400, "invalid_json"},
        {"acme", "order", "k-1", ORDER_2, 202, ""},
        {"acme", "unheard_of", "", ORDER, TG_BUNDLE_ALONE, ""}, /* not cached */
        {"other", "visit", "", ORDER, TG_BUNDLE_ALONE, ""},     /* another tenant's */
        {"A/B", "order", "", ORDER, TG_BUNDLE_ALONE, ""},
        {"", "order", "", ORDER, TG_BUNDLE_ALONE, ""},
        {"acme", "order", "\xff", ORDER, TG_BUNDLE_ALONE, ""},
        {"acme", "No Name", "", ORDER, TG_BUNDLE_ALONE, ""},
    };
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id"); /* the type is cached */
    expect(f, "/v1/events/visit", JSON, "{\"ref\":\"v-1\",\"page\":\"/\",\"ms\":3}", 202,
           "event_id");
    tg_buf_t bundle = tg_buf_make(TG_BUNDLE_BYTES_MAX);
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        put(&bundle, cases[i].tenant, cases[i].type, cases[i].key, cases[i].body);
    size_t len;
    char *answer = post_bundle(f, TRUSTED, &bundle, &len);
    assert_int_equal(test_code(answer), 200);
    char *body = strstr(answer, "\r\n\r\n") + 4;
    tg_str_t rest = {body, len - (size_t)(body - answer)};
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_bundle_outcome_t outcome;
        assert_int_equal(tg_bundle_take_outcome(&rest, &outcome), TG_OK);
        assert_int_equal(outcome.http_code, cases[i].code);
        assert_true(tg_str_eq(outcome.code, tg_str_from(cases[i].error)));
        assert_int_equal(outcome.body.len > 0, cases[i].code == 202);
        assert_int_equal(outcome.message.len > 0, cases[i].code >= 400);
    }
    assert_int_equal(rest.len, 0);
    free(answer);
    assert_int_equal(read_topic(f, "events.order").count, 3);
    fixture_close(f);
}

static void what_is_no_bundle_is_refused_whole(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id");
    for (int i = 0; i < 4; i++) {
        tg_buf_t bundle = tg_buf_make(TG_BUNDLE_BYTES_MAX);
        for (int events = 0; events < (i == 1 ? TG_BUNDLE_EVENTS_MAX + 1 : i); events++)
            put(&bundle, "acme", "order", "", ORDER);
        if (i == 2)
            tg_buf_byte(&bundle, 'x');
        size_t len;
        char *answer = post_bundle(f, i == 3 ? "" : TRUSTED, &bundle, &len);
        assert_int_equal(test_code(answer), i == 3 ? 403 : 400);
        free(answer);
    }
    assert_int_equal(read_topic(f, "events.order").count, 1);
    fixture_close(f);
}

static void a_bundle_whose_deadline_passes_is_freed_once(void **state)
{
    (void)state;
    struct fixture *f = fixture_open();
    expect(f, "/v1/events/order", JSON, ORDER, 202, "event_id");
    mock_broker_rtt(&f->kafka, 500);
    tg_buf_t bundle = tg_buf_make(TG_BUNDLE_BYTES_MAX);
    put(&bundle, "acme", "order", "", ORDER);
    put(&bundle, "acme", "order", "", ORDER_2);
    size_t len;
    char *answer = post_bundle(f, TRUSTED "X-Tidegate-Deadline-Ms: 50\r\n", &bundle, &len);
    assert_int_equal(test_code(answer), 504);
    free(answer);
    fixture_close(f); /* flushes what it left behind */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_of_a_bundle_has_its_own_outcome),
        cmocka_unit_test(what_is_no_bundle_is_refused_whole),
        cmocka_unit_test(a_bundle_whose_deadline_passes_is_freed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
