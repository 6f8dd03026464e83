/* Canonical forms and fingerprints; the expected values are those of the Apache implementation's
 * published test vectors and of its SchemaNormalization. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/avro/canonical.h"

static void forms_and_fingerprints_are_apaches(void **state)
{
    (void)state;
    // clang-format off
    static const struct {
        const char *schema, *form;
        int64_t fingerprint;
    } rows[] = {
        {"\"null\"",
         "\"null\"", INT64_C(7195948357588979594)},
        {"\"boolean\"",
         "\"boolean\"", INT64_C(-6970731678124411036)},
        {"\"int\"",
         "\"int\"", INT64_C(8247732601305521295)},
        {"\"long\"",
         "\"long\"", INT64_C(-3434872931120570953)},
        {"\"float\"",
         "\"float\"", INT64_C(5583340709985441680)},
        {"\"double\"",
         "\"double\"", INT64_C(-8181574048448539266)},
        {"\"bytes\"",
         "\"bytes\"", INT64_C(5746618253357095269)},
        {"\"string\"",
         "\"string\"", INT64_C(-8142146995180207161)},
        {"[  ]",
         "[]", INT64_C(-1241056759729112623)},
        {"[ \"int\"  ]",
         "[\"int\"]", INT64_C(-5232228896498058493)},
        {"[ \"int\" , {\"type\":\"boolean\"} ]",
         "[\"int\",\"boolean\"]", INT64_C(5392556393470105090)},
        {"{\"fields\":[], \"type\":\"record\", \"name\":\"foo\"}",
         "{\"name\":\"foo\",\"type\":\"record\",\"fields\":[]}", INT64_C(-4824392279771201922)},
        {"{\"fields\":[], \"type\":\"record\", \"name\":\"foo\", \"namespace\":\"x.y\"}",
         "{\"name\":\"x.y.foo\",\"type\":\"record\",\"fields\":[]}", INT64_C(5916914534497305771)},
        {"{\"fields\":[], \"type\":\"record\", \"name\":\"a.b.foo\", \"namespace\":\"x.y\"}",
         "{\"name\":\"a.b.foo\",\"type\":\"record\",\"fields\":[]}", INT64_C(-4616218487480524110)},
        {"{\"fields\":[{\"type\":{\"type\":\"boolean\"}, \"name\":\"f1\"}], \"type\":\"record\", \"name\":\"foo\"}",
         "{\"name\":\"foo\",\"type\":\"record\",\"fields\":[{\"name\":\"f1\",\"type\":\"boolean\"}]}", INT64_C(7843277075252814651)},
        {"{\"type\":\"enum\", \"name\":\"foo\", \"symbols\":[\"A1\"]}",
         "{\"name\":\"foo\",\"type\":\"enum\",\"symbols\":[\"A1\"]}", INT64_C(-6342190197741309591)},
        {"{\"namespace\":\"x.y.z\", \"type\":\"enum\", \"name\":\"foo\", \"doc\":\"foo bar\", \"symbols\":[\"A1\", \"A2\"]}",
         "{\"name\":\"x.y.z.foo\",\"type\":\"enum\",\"symbols\":[\"A1\",\"A2\"]}", INT64_C(-4448647247586288245)},
        {"{\"namespace\":\"x.y.z\", \"type\":\"fixed\", \"name\":\"foo\", \"doc\":\"foo bar\", \"size\":32}",
         "{\"name\":\"x.y.z.foo\",\"type\":\"fixed\",\"size\":32}", INT64_C(-3064184465700546786)},
        {"{ \"items\":{\"type\":\"null\"}, \"type\":\"array\"}",
         "{\"type\":\"array\",\"items\":\"null\"}", INT64_C(-589620603366471059)},
        {"{ \"values\":\"string\", \"type\":\"map\"}",
         "{\"type\":\"map\",\"values\":\"string\"}", INT64_C(-8732877298790414990)},
    };
    // clang-format on
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        tg_avro_schema_t *schema = NULL;
        tg_error_t error;
        tg_buf_t out = tg_buf_make(4096);
        if (tg_avro_schema_parse(tg_str_from(rows[i].schema), &schema, &error) != TG_OK)
            fail_msg("%s: %s", rows[i].schema, error.text);
        assert_int_equal(tg_avro_canonical(schema, &out), TG_OK);
        if (!tg_str_eq(tg_buf_view(&out), tg_str_from(rows[i].form)))
            fail_msg("%s gives %.*s, not %s", rows[i].schema, (int)out.len, out.data, rows[i].form);
        assert_int_equal((int64_t)tg_avro_fingerprint(tg_buf_view(&out)), rows[i].fingerprint);
        tg_buf_dispose(&out);
        tg_avro_schema_destroy(schema);
    }
}

static void a_type_is_written_once_and_named_after_that(void **state)
{
    (void)state;
    tg_avro_schema_t *schema = NULL;
    tg_buf_t out = tg_buf_make(4096);
    assert_int_equal(tg_avro_schema_parse(
                         TG_STR("{\"type\":\"record\",\"name\":\"n.R\",\"doc\":\"d\",\"fields\":[{"
                                "\"type\":[\"null\",\"R\"],\"name\":\"next\",\"default\":null}]}"),
                         &schema, NULL),
                     TG_OK);
    assert_int_equal(tg_avro_canonical(schema, &out), TG_OK);
    assert_true(tg_str_eq(tg_buf_view(&out),
                          TG_STR("{\"name\":\"n.R\",\"type\":\"record\",\"fields\":[{\"name\":"
                                 "\"next\",\"type\":[\"null\",\"n.R\"]}]}")));
    tg_buf_dispose(&out);
    tg_avro_schema_destroy(schema);
}

static void digests_are_those_of_the_canonical_form(void **state)
{
    (void)state;
    uint8_t md5[TG_MD5_LEN], sha256[TG_SHA256_LEN];
    char hex[2 * TG_SHA256_LEN];
    tg_avro_fingerprint_md5(TG_STR("\"null\""), md5);
    tg_hash_hex(md5, sizeof(md5), hex);
    assert_memory_equal(hex, "9b41ef67651c18488a8b08bb67c75699", sizeof(md5) * 2);
    tg_avro_fingerprint_sha256(TG_STR("\"null\""), sha256);
    tg_hash_hex(sha256, sizeof(sha256), hex);
    assert_memory_equal(hex, "f072cbec3bf8841871d4284230c5e983dc211a56837aed862487148f947d1a1f",
                        sizeof(hex));
}

static void a_full_buffer_is_reported(void **state)
{
    (void)state;
    tg_avro_schema_t *schema = NULL;
    tg_buf_t out = tg_buf_make(3);
    assert_int_equal(tg_avro_schema_parse(TG_STR("\"int\""), &schema, NULL), TG_OK);
    assert_int_equal(tg_avro_canonical(schema, &out), TG_NOMEM);
    tg_buf_dispose(&out);
    tg_avro_schema_destroy(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_and_fingerprints_are_apaches),
        cmocka_unit_test(a_type_is_written_once_and_named_after_that),
        cmocka_unit_test(digests_are_those_of_the_canonical_form),
        cmocka_unit_test(a_full_buffer_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
