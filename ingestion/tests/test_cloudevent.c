/* Attributes from JSON and from headers. */
#include "ingestion/body/cloudevent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"order\""

struct fixture {
    tg_json_parser_t *parser;
    tg_cloudevent_t event;
    tg_event_error_t error;
};

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->parser = tg_json_parser_create(1 << 16, 33);
    *state = f;
    return f->parser == NULL;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    tg_json_parser_destroy(f->parser);
    free(f);
    return 0;
}

static tg_status_t read(struct fixture *f, const char *json)
{
    const tg_json_node_t *nodes;
    size_t count;
    tg_error_t why = {0};
    if (tg_json_parse(f->parser, tg_str_from(json), &nodes, &count, &why) != TG_OK)
        fail_msg("%s: %s", json, why.text);
    f->error = (tg_event_error_t){0};
    return tg_cloudevent_read(nodes, &f->event, &f->error);
}

static void assert_text(tg_str_t text, const char *wanted)
{
    if (!tg_str_eq(text, tg_str_from(wanted)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)text.len, text.ptr, wanted);
}

static void all_attributes_are_read_and_extensions_ignored(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        read(f,
             "{\"specversion\":\"1.0\",\"id\":\"A-1\",\"source\":\"/shop\",\"type\":\"order-"
             "value\",\"time\":\"2026-02-03T10:00:00Z\",\"subject\":\"s\",\"dataschema\":\"u:x\","
             "\"datacontenttype\":\"Application/JSON; charset=utf-8\",\"data\":{\"a\":1},"
             "\"traceparent\":\"00-1\",\"partitionkey\":7,\"deep\":{\"x\":[1]}}"),
        TG_OK);
    assert_text(f->event.type, "order");
    assert_text(f->event.id, "A-1");
    assert_text(f->event.source, "/shop");
    assert_text(f->event.time, "2026-02-03T10:00:00Z");
    assert_text(f->event.traceparent, "00-1");
    assert_true(f->event.data > 0);
    assert_int_equal(f->event.base64.len, 0);
}

static void null_is_absence(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read(f, "{" HEAD ",\"time\":null,\"subject\":null,\"data\":null,"
                             "\"data_base64\":\"e30=\"}"),
                     TG_OK);
    assert_int_equal(f->event.time.len, 0);
    assert_int_equal(f->event.data, 0);
    assert_text(f->event.base64, "e30=");
}

static void what_is_wrong_is_named(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *json, *code, *field;
    } cases[] = {
        {"[]", "invalid_event", ""},
        {"7", "invalid_event", ""},
        {"{}", "missing_field", "specversion"},
        {"{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"}", "invalid_value",
         "specversion"},
        {"{\"specversion\":1.0,\"id\":\"1\"}", "wrong_type", "specversion"},
        {"{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"t\",\"data\":{}}", "missing_field",
         "id"},
        {"{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"s\",\"type\":\"t\"}", "invalid_value",
         "id"},
        {"{\"specversion\":\"1.0\",\"id\":\"\\u0000\",\"source\":\"s\",\"type\":\"t\"}",
         "invalid_value", "id"},
        {"{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\"}", "missing_field", "source"},
        {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\"}", "missing_field", "type"},
        {"{" HEAD "}", "missing_field", "data"},
        {"{" HEAD ",\"data\":[]}", "wrong_type", "data"},
        {"{" HEAD ",\"data\":\"{}\"}", "wrong_type", "data"},
        {"{" HEAD ",\"data\":{},\"data_base64\":\"e30=\"}", "invalid_event", "data_base64"},
        {"{" HEAD ",\"data\":{},\"data\":{}}", "invalid_event", "data"},
        {"{" HEAD ",\"data_base64\":{}}", "wrong_type", "data_base64"},
        {"{" HEAD ",\"data_base64\":\"\"}", "wrong_type", "data_base64"},
        {"{" HEAD ",\"id\":\"2\",\"data\":{}}", "invalid_event", "id"},
        {"{" HEAD ",\"time\":\"noon\",\"data\":{}}", "invalid_value", "time"},
        {"{" HEAD ",\"time\":5,\"data\":{}}", "wrong_type", "time"},
        {"{" HEAD ",\"subject\":\"\",\"data\":{}}", "invalid_value", "subject"},
        {"{" HEAD ",\"datacontenttype\":\"text/xml\",\"data\":{}}", "invalid_value",
         "datacontenttype"},
        {"{" HEAD ",\"datacontenttype\":\"application/jsonx\",\"data\":{}}", "invalid_value",
         "datacontenttype"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        if (read(f, cases[i].json) != TG_INVALID || strcmp(f->error.code, cases[i].code) != 0 ||
            strcmp(f->error.field, cases[i].field) != 0 || strlen(f->error.message) < 10)
            fail_msg("%s: %s %s %s", cases[i].json, f->error.code, f->error.field,
                     f->error.message);
    }
}

static void an_id_has_at_most_256_bytes(void **state)
{
    struct fixture *f = *state;
    char json[1024];
    (void)snprintf(json, sizeof(json),
                   "{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"t\",\"data\":{},"
                   "\"id\":\"%0256d\"}",
                   0);
    assert_int_equal(read(f, json), TG_OK);
    (void)snprintf(json, sizeof(json),
                   "{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"t\",\"data\":{},"
                   "\"id\":\"%0257d\"}",
                   0);
    assert_int_equal(read(f, json), TG_INVALID);
    assert_string_equal(f->error.field, "id");
}

/* --- binary mode --- */

struct pair {
    const char *name, *value;
};

static tg_str_t find_header(void *arg, const char *name)
{
    for (const struct pair *pair = arg; pair->name != NULL; pair++) {
        if (strcmp(pair->name, name) == 0)
            return tg_str_from(pair->value);
    }
    return (tg_str_t){NULL, 0};
}

static void headers_are_unquoted_and_percent_decoded(void **state)
{
    struct fixture *f = *state;
    struct pair headers[] = {{"ce-specversion", "1.0"},
                             {"ce-id", "\"a\\\"b c\""},
                             {"ce-source", "/s%C3%BC%20x%2"},
                             {"ce-type", "order-value"},
                             {"ce-time", "2026-02-03T10:00:00%2B02:00"},
                             {"ce-other", "\xff"},
                             {NULL, NULL}};
    tg_buf_t texts = tg_buf_make(4096);
    assert_true(tg_cloudevent_is_binary(find_header, headers));
    assert_int_equal(tg_cloudevent_read_headers(find_header, headers, &texts, &f->event, &f->error),
                     TG_OK);
    assert_text(f->event.id, "a\"b c");
    assert_text(f->event.source, "/s\xc3\xbc x%2");
    assert_text(f->event.type, "order");
    assert_text(f->event.time, "2026-02-03T10:00:00+02:00");
    tg_buf_dispose(&texts);
}

static void wrong_headers_are_named(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *value, *field;
    } cases[] = {
        {"ce-id", NULL, "ce-id"},           {"ce-id", "", "ce-id"},
        {"ce-id", "%00", "ce-id"},          {"ce-source", "%FF", "ce-source"},
        {"ce-source", "\xff", "ce-source"}, {"ce-specversion", "1.1", "ce-specversion"},
        {"ce-type", NULL, "ce-type"},       {"ce-time", "yesterday", "ce-time"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct pair headers[] = {{"ce-specversion", "1.0"},
                                 {"ce-id", "1"},
                                 {"ce-source", "/s"},
                                 {"ce-type", "order"},
                                 {"ce-time", "2026-02-03T10:00:00Z"},
                                 {NULL, NULL}};
        for (struct pair *pair = headers; pair->name != NULL; pair++) {
            if (strcmp(pair->name, cases[i].name) == 0)
                *pair = (struct pair){cases[i].value == NULL ? "ce-none" : pair->name,
                                      cases[i].value == NULL ? "" : cases[i].value};
        }
        tg_buf_t texts = tg_buf_make(4096);
        if (tg_cloudevent_read_headers(find_header, headers, &texts, &f->event, &f->error) !=
                TG_INVALID ||
            strcmp(f->error.field, cases[i].field) != 0)
            fail_msg("case %zu: %s %s", i, f->error.field, f->error.message);
        tg_buf_dispose(&texts);
    }
    struct pair none[] = {{"content-type", "application/json"}, {NULL, NULL}};
    assert_false(tg_cloudevent_is_binary(find_header, none));
    tg_buf_t small = tg_buf_make(4);
    struct pair some[] = {{"ce-id", "more than four"}, {NULL, NULL}};
    assert_int_equal(tg_cloudevent_read_headers(find_header, some, &small, &f->event, &f->error),
                     TG_NOMEM);
    tg_buf_dispose(&small);
}

/* --- base64 --- */

static void base64_is_decoded_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes; /* bytes NULL: refused */
    } cases[] = {
        {"e30=", "{}"},
        {"YQ==", "a"},
        {"YWI=", "ab"},
        {"YWJj", "abc"},
        {"+/+/", "\xfb\xff\xbf"},
        {"", NULL},
        {"e30", NULL},
        {"e30==", NULL},
        {"====", NULL},
        {"e3=0", NULL},
        {"e30=e30=", NULL},
        {"e3 0", NULL},
        {"-_-_", NULL},
        {"e30\n", NULL},
        {"\xff\xff\xff\xff", NULL},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_buf_t out = tg_buf_make(16);
        tg_status_t status = tg_cloudevent_decode_base64(tg_str_from(cases[i].text), &out);
        if (status != (cases[i].bytes == NULL ? TG_INVALID : TG_OK))
            fail_msg("\"%s\"", cases[i].text);
        if (cases[i].bytes != NULL)
            assert_text(tg_buf_view(&out), cases[i].bytes);
        tg_buf_dispose(&out);
    }
    tg_buf_t small = tg_buf_make(2);
    assert_int_equal(tg_cloudevent_decode_base64(TG_STR("YWJj"), &small), TG_NOMEM);
    tg_buf_dispose(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_attributes_are_read_and_extensions_ignored),
        cmocka_unit_test(null_is_absence),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(an_id_has_at_most_256_bytes),
        cmocka_unit_test(headers_are_unquoted_and_percent_decoded),
        cmocka_unit_test(wrong_headers_are_named),
        cmocka_unit_test(base64_is_decoded_strictly),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
