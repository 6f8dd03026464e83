/* Values in both directions, and bytes and texts that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/avro/tests/fixture.h"

static tg_status_t encode(struct fixture *f, const char *schema_text, tg_str_t json, unsigned flags)
{
    tg_avro_schema_t *schema = parse_schema(schema_text);
    const tg_json_node_t *nodes;
    tg_error_t error;
    size_t count;
    if (tg_json_parse(f->parser, json, &nodes, &count, &error) != TG_OK)
        fail_msg("%s", error.text);
    tg_buf_clear(&f->bytes);
    memset(&f->error, 0, sizeof(f->error));
    tg_status_t status = tg_avro_encode(f->codec, tg_avro_schema_root(schema), nodes, 0, flags,
                                        &f->bytes, &f->error);
    tg_avro_schema_destroy(schema);
    return status;
}

static tg_status_t decode(struct fixture *f, const char *schema_text, tg_str_t bytes,
                          unsigned flags)
{
    tg_avro_schema_t *schema = parse_schema(schema_text);
    tg_buf_clear(&f->json);
    memset(&f->error, 0, sizeof(f->error));
    tg_status_t status =
        tg_avro_decode(tg_avro_schema_root(schema), bytes, flags, &f->json, &f->error);
    tg_avro_schema_destroy(schema);
    return status;
}

#define TS(name) "{\"type\":\"long\",\"logicalType\":\"" name "\"}"
#define FIXED(size, logical)                                                                       \
    "{\"type\":\"fixed\",\"name\":\"F\",\"size\":" size ",\"logicalType\":\"" logical "\"}"
#define DEC(p, s)                                                                                  \
    "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":" p ",\"scale\":" s "}"
#define REC(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"

static void json_goes_in_and_comes_back(void **state)
{
    struct fixture *f = *state;
    /* What comes back, where it is not the same text. */
    static const struct {
        const char *schema, *in, *out;
    } rows[] = {
        {"\"null\"", "null", NULL},
        {"\"boolean\"", "true", NULL},
        {"\"int\"", "-2147483648", NULL},
        {"\"int\"", "3.0", "3"},
        {"\"long\"", "-9223372036854775808", NULL},
        {"\"long\"", "1e3", "1000"},
        {"\"double\"", "0.1", NULL},
        {"\"double\"", "18446744073709551615", "1.8446744073709552e+19"},
        {"\"double\"", "-0.0", NULL},
        {"\"float\"", "0.1", NULL},
        {"\"float\"", "-0.0", NULL},
        {"\"float\"", "16777217", "16777216"},
        {"\"string\"", "\"\\u0000\\ud83d\\ude00é\"", "\"\\u0000😀é\""},
        {"\"bytes\"", "\"AP8+/w==\"", NULL},
        {"\"bytes\"", "\"YWI=\"", NULL},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", "\"AAEC\"", NULL},
        {"{\"type\":\"array\",\"items\":\"null\"}", "[null,null]", NULL},
        {"{\"type\":\"map\",\"values\":[\"null\",\"int\"]}", "{\"a\":1,\"b\":null}", NULL},
        {"[\"null\",\"long\",\"double\",\"string\"]", "5", NULL},
        {"[\"null\",\"long\",\"double\",\"string\"]", "5.5", NULL},
        {"[\"null\",\"long\",\"double\",\"string\"]", "\"x\"", NULL},
        {TS("timestamp-micros"), "\"2026-02-03T10:00:00.123456+02:00\"",
         "\"2026-02-03T08:00:00.123456Z\""},
        {TS("timestamp-micros"), "1770112800", "\"2026-02-03T10:00:00Z\""},
        {TS("timestamp-micros"), "1770112800.25", "\"2026-02-03T10:00:00.250Z\""},
        {TS("timestamp-micros"), "1770112800123", "\"2026-02-03T10:00:00.123Z\""},
        {TS("timestamp-micros"), "1770112800123456", "\"2026-02-03T10:00:00.123456Z\""},
        {TS("timestamp-millis"), "\"2026-02-03T10:00:00.123456Z\"", "\"2026-02-03T10:00:00.123Z\""},
        {TS("timestamp-millis"), "\"1969-12-31T23:59:59.999999Z\"", "\"1969-12-31T23:59:59.999Z\""},
        {TS("timestamp-nanos"), "\"2026-02-03T10:00:00.123456Z\"", NULL},
        {TS("local-timestamp-millis"), "\"2026-02-03T10:00:00.125\"", NULL},
        {TS("time-micros"), "\"10:00:05.000025\"", NULL},
        {"{\"type\":\"int\",\"logicalType\":\"time-millis\"}", "\"23:59:59.999\"", NULL},
        {"{\"type\":\"int\",\"logicalType\":\"date\"}", "\"2026-02-03\"", NULL},
        {"{\"type\":\"int\",\"logicalType\":\"date\"}", "\"1900-03-01\"", NULL},
        {"{\"type\":\"int\",\"logicalType\":\"date\"}", "0", "\"1970-01-01\""},
        {"{\"type\":\"string\",\"logicalType\":\"uuid\"}",
         "\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"", NULL},
        {FIXED("16", "uuid"), "\"F81D4FAE-7dec-11d0-a765-00a0c91e6bf6\"",
         "\"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\""},
        {FIXED("12", "duration"), "\"P1M2DT3.004S\"", NULL},
        {FIXED("11", "duration"), "\"AAECAwQFBgcICQo=\"", NULL}, /* not of that size: plain */
        {DEC("6", "2"), "1234.56", NULL},
        {DEC("6", "2"), "-0.01", NULL},
        {DEC("6", "2"), "\"-1234.5\"", "-1234.50"},
        {DEC("6", "2"), "12e2", "1200.00"},
        {DEC("2", "2"), "0.99", NULL},
        {DEC("3", "0"), "-128", NULL},
        {DEC("3", "0"), "128", NULL},
        {DEC("3", "0"), "0", NULL},
        {DEC("30", "0"), "\"123456789012345678901234567890\"", "123456789012345678901234567890"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":4,\"logicalType\":\"decimal\",\"precision\":"
         "9,"
         "\"scale\":1}",
         "-12345678.9", NULL},
        {REC("{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":\"int\",\"default\":7}"),
         "{\"a\":1}", "{\"a\":1,\"b\":7}"},
        {REC("{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":\"int\",\"default\":7}"),
         "{\"b\":2,\"a\":1}", "{\"a\":1,\"b\":2}"},
        {"[" REC("{\"name\":\"a\",\"type\":\"int\"}") ",{\"type\":\"map\",\"values\":\"int\"}]",
         "{\"z\":1}", NULL},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (encode(f, rows[i].schema, tg_str_from(rows[i].in), 0) != TG_OK)
            fail_msg("%s into %s: %s", rows[i].in, rows[i].schema, f->error.message);
        if (decode(f, rows[i].schema, tg_buf_view(&f->bytes), 0) != TG_OK)
            fail_msg("%s from %s: %s", rows[i].in, rows[i].schema, f->error.message);
        const char *wanted = rows[i].out != NULL ? rows[i].out : rows[i].in;
        if (!tg_str_eq(tg_buf_view(&f->json), tg_str_from(wanted)))
            fail_msg("%s became %.*s, not %s", rows[i].in, (int)f->json.len, f->json.data, wanted);
    }
}

static void wrong_json_is_refused_with_code_path_and_words(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *schema, *in, *code, *path, *words;
    } rows[] = {
        {"\"int\"", "2147483648", "invalid_value", "", "2147483648"},
        {"\"int\"", "1.5", "invalid_value", "", "whole number"},
        {"\"int\"", "\"1\"", "wrong_type", "", "expected an integer, got string \"1\""},
        {"\"long\"", "1e19", "invalid_value", "", "64 bits"},
        {"\"long\"", "9223372036854775808", "invalid_value", "", "64 bits"},
        {"\"float\"", "1e39", "invalid_value", "", "32-bit float"},
        {"\"double\"", "true", "wrong_type", "", "expected a number, got true"},
        {"\"boolean\"", "0", "wrong_type", "", "true or false"},
        {"\"string\"", "[1]", "wrong_type", "", "expected a string, got array of 1"},
        {"\"bytes\"", "\"€\"", "invalid_value", "", "base64"},
        {FIXED("16", "uuid"), "\"AAAA\"", "invalid_value", "", "a UUID"},
        {FIXED("12", "duration"), "5", "wrong_type", "", "a duration"},
        {"\"bytes\"", "\"YW\"", "invalid_value", "", "base64"},
        {"\"bytes\"", "\"YX==\"", "invalid_value", "", "base64"},
        {"\"bytes\"", "\"Y=Q=\"", "invalid_value", "", "base64"},
        {"\"bytes\"", "\"====\"", "invalid_value", "", "base64"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "\"AAAA\"", "invalid_value", "",
         "expected 2 bytes, got 3"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", "\"C\"", "invalid_value",
         "", "expected one of A, B, got string \"C\""},
        {"[\"null\",\"int\"]", "\"x\"", "wrong_type", "", "expected an integer"},
        {"[\"null\",\"int\",\"boolean\"]", "\"x\"", "wrong_type", "",
         "expected one of null, int, boolean"},
        {"[]", "1", "wrong_type", "", "expected one of, got integer 1"},
        {TS("timestamp-micros"), "\"yesterday\"", "invalid_value", "", "RFC 3339"},
        {TS("timestamp-micros"), "1e18", "invalid_value", "", "RFC 3339"},
        {TS("timestamp-micros"), "true", "wrong_type", "", "RFC 3339"},
        {TS("time-micros"), "\"25:00:00\"", "invalid_value", "", "time of day"},
        {"{\"type\":\"int\",\"logicalType\":\"date\"}", "\"2026-02-30\"", "invalid_value", "",
         "date"},
        {"{\"type\":\"string\",\"logicalType\":\"uuid\"}", "\"x\"", "invalid_value", "", "UUID"},
        {DEC("4", "2"), "123.45", "invalid_value", "", "at most 4 digits"},
        {DEC("4", "2"), "1.234", "invalid_value", "", "at most 4 digits"},
        {DEC("4", "2"), "\"1e9999\"", "invalid_value", "", "at most 4 digits"},
        {DEC("4", "2"), "\"\"", "invalid_value", "", "at most 4 digits"},
        {REC("{\"name\":\"a\",\"type\":\"int\"}"), "{}", "missing_field", "a", "required"},
        {REC("{\"name\":\"a\",\"type\":\"int\"}"), "{\"a\":1,\"b\":1}", "unknown_field", "b",
         "no such"},
        {REC("{\"name\":\"a\",\"type\":\"int\"}"), "{\"a\":1,\"a\":1}", "duplicate_field", "a",
         "twice"},
        {REC("{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"map\",\"values\":"
             "\"int\"}}}"),
         "{\"a\":[{},{\"k\":\"v\"}]}", "wrong_type", "a[1].k", "integer"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (encode(f, rows[i].schema, tg_str_from(rows[i].in), 0) != TG_INVALID)
            fail_msg("%s was taken by %s", rows[i].in, rows[i].schema);
        assert_string_equal(f->error.code, rows[i].code);
        assert_string_equal(f->error.path, rows[i].path);
        if (strstr(f->error.message, rows[i].words) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", f->error.message, rows[i].words);
        assert_int_equal(f->bytes.len, 0);
    }
}

static void nul_is_refused_in_both_directions_when_asked(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {"\"\\u0000\"", "\"1234567\\u0000\"", "\"12345678\\u0000\"",
                                        "\"a\\u00001234567890123\""};
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++) {
        assert_int_equal(encode(f, "\"string\"", tg_str_from(texts[i]), 0), TG_OK);
        assert_int_equal(decode(f, "\"string\"", tg_buf_view(&f->bytes), TG_AVRO_REFUSE_NUL),
                         TG_INVALID);
        assert_int_equal(encode(f, "\"string\"", tg_str_from(texts[i]), TG_AVRO_REFUSE_NUL),
                         TG_INVALID);
    }
    assert_int_equal(encode(f, "{\"type\":\"map\",\"values\":\"int\"}", TG_STR("{\"\\u0000\":1}"),
                            TG_AVRO_REFUSE_NUL),
                     TG_INVALID);
    for (size_t len = 0; len < 40; len++) {
        char text[48];
        snprintf(text, sizeof(text), "\"%.*s\"", (int)len,
                 "0123456789012345678901234567890123456789");
        assert_int_equal(encode(f, "\"string\"", tg_str_from(text), TG_AVRO_REFUSE_NUL), TG_OK);
    }
}

#define BYTES(text)                                                                                \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static void hostile_bytes_are_refused_with_their_offset(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *schema;
        tg_str_t bytes;
        size_t offset;
        const char *words;
    } rows[] = {
        {"\"int\"", BYTES(""), 0, "end early"},
        {"\"int\"", BYTES("\x80"), 0, "end early"},
        {"\"int\"", BYTES("\x02\x02"), 1, "1 bytes left over"},
        {"\"int\"", BYTES("\xff\xff\xff\xff\xff\x01"), 0, "an int of"},
        {"\"long\"", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 0, "more than 64 bits"},
        {"\"long\"", BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), 0, "more than 64 bits"},
        {"\"boolean\"", BYTES("\x02"), 0, "a boolean of 2"},
        {"\"double\"", BYTES("\0\0\0\0\0\0\xf0\x7f"), 0, "not finite"},
        {"\"float\"", BYTES("\0\0\xc0\x7f"), 0, "not finite"},
        {"\"double\"", BYTES("\0\0\0"), 0, "end early"},
        {"\"string\"", BYTES("\x01"), 0, "length -1"},
        {"\"string\"", BYTES("\x04g"), 1, "end early"},
        {"\"string\"", BYTES("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0, "length"},
        {"\"string\"", BYTES("\x02\xff"), 2, "not UTF-8"},
        {"\"string\"", BYTES("\x06\xed\xa0\x80"), 4, "not UTF-8"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", BYTES("\x02"), 0, "symbol 1"},
        {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[]}", BYTES("\0"), 0, "without symbols"},
        {"[]", BYTES("\0"), 0, "a union without branches"},
        {"[\"null\",\"int\"]", BYTES("\x04"), 0, "union branch 2"},
        {"[\"null\",\"int\"]", BYTES("\x01"), 0, "union branch -1"},
        {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", BYTES("a"), 0, "end early"},
        {"{\"type\":\"array\",\"items\":\"int\"}", BYTES("\x04\x02\x02"), 3, "end early"},
        {"{\"type\":\"array\",\"items\":\"int\"}", BYTES("\x7f\x02\x02"), 2, "items, more than"},
        {"{\"type\":\"array\",\"items\":\"int\"}", BYTES("\x01\x04\x02\0"), 3, "does not end"},
        {"{\"type\":\"array\",\"items\":\"int\"}",
         BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x02"), 11, "items, more than"},
        {"{\"type\":\"array\",\"items\":\"null\"}", BYTES("\xfe\xff\xff\xff\xff\x01\0"), 6,
         "items, more than"},
        {"{\"type\":\"array\",\"items\":\"null\"}", BYTES("\x80\x40\x80\x40\0"), 4,
         "items, more than"},
        {"{\"type\":\"map\",\"values\":\"null\"}", BYTES("\x02\x02\xff\0"), 3, "not UTF-8"},
        {TS("timestamp-micros"), BYTES("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 10, "years"},
        {TS("timestamp-millis"), BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 10, "years"},
        {DEC("2", "0"), BYTES("\x04\x7f\xff"), 3, "more than 2 digits"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (decode(f, rows[i].schema, rows[i].bytes, 0) != TG_INVALID)
            fail_msg("row %zu was taken by %s", i, rows[i].schema);
        if (strstr(f->error.message, rows[i].words) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, f->error.message, rows[i].words);
        assert_int_equal(f->error.offset, rows[i].offset);
        assert_int_equal(f->json.len, 0);
    }
}

static void recursion_stops_at_the_depth_limit(void **state)
{
    struct fixture *f = *state;
    static char bytes[20000];
    memset(bytes, 2, sizeof(bytes)); /* always the branch with one more level */
    const char *list = REC("{\"name\":\"n\",\"type\":[\"null\",\"R\"]}");
    assert_int_equal(decode(f, list, (tg_str_t){bytes, sizeof(bytes)}, 0), TG_INVALID);
    assert_non_null(strstr(f->error.message, "nested deeper than 64"));

    tg_buf_t deep = tg_buf_make(1 << 16);
    for (int i = 0; i < 100; i++)
        tg_buf_str(&deep, TG_STR("{\"n\":"));
    tg_buf_str(&deep, TG_STR("null"));
    for (int i = 0; i < 100; i++)
        tg_buf_byte(&deep, '}');
    assert_int_equal(encode(f, list, tg_buf_view(&deep), 0), TG_INVALID);
    assert_string_equal(f->error.code, "too_large");
    tg_buf_dispose(&deep);
}

static void blocks_with_a_size_are_read(void **state)
{
    struct fixture *f = *state;
    const char *array = "{\"type\":\"array\",\"items\":\"int\"}";
    assert_int_equal(decode(f, array, TG_STR("\x03\x04\x02\x04\x02\x06\0"), 0), TG_OK);
    assert_true(tg_str_eq(tg_buf_view(&f->json), TG_STR("[1,2,3]")));
}

static void a_full_buffer_is_no_memory_and_leaves_what_was_there(void **state)
{
    struct fixture *f = *state;
    tg_avro_schema_t *schema = parse_schema("{\"type\":\"array\",\"items\":\"string\"}");
    const tg_json_node_t *nodes;
    size_t count;
    tg_buf_t small = tg_buf_make(64);
    tg_buf_byte(&small, 'x');
    assert_int_equal(tg_json_parse(f->parser,
                                   TG_STR("[\"0123456789012345678901234567890123456789\","
                                          "\"0123456789012345678901234567890123456789\"]"),
                                   &nodes, &count, NULL),
                     TG_OK);
    assert_int_equal(tg_avro_encode(f->codec, tg_avro_schema_root(schema), nodes, 0, 0, &small,
                                    &f->error),
                     TG_NOMEM);
    assert_int_equal(small.len, 1);
    assert_true(small.failed);
    tg_buf_dispose(&small);
    tg_avro_schema_destroy(schema);
}

static void times_can_be_written_as_microseconds(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(encode(f, TS("timestamp-millis"), TG_STR("\"1970-01-01T00:00:01.5Z\""), 0),
                     TG_OK);
    assert_int_equal(decode(f, TS("timestamp-millis"), tg_buf_view(&f->bytes), TG_AVRO_RAW_TIMES),
                     TG_OK);
    assert_true(tg_str_eq(tg_buf_view(&f->json), TG_STR("1500000")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_goes_in_and_comes_back),
        cmocka_unit_test(wrong_json_is_refused_with_code_path_and_words),
        cmocka_unit_test(nul_is_refused_in_both_directions_when_asked),
        cmocka_unit_test(hostile_bytes_are_refused_with_their_offset),
        cmocka_unit_test(recursion_stops_at_the_depth_limit),
        cmocka_unit_test(blocks_with_a_size_are_read),
        cmocka_unit_test(a_full_buffer_is_no_memory_and_leaves_what_was_there),
        cmocka_unit_test(times_can_be_written_as_microseconds),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
