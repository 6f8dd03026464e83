/* Cases that Apache's own implementations and others agreed on, from files that stand outside the
 * project: compat_cases.json (pairs with the verdict) and canonical_cases.json (canonical form and
 * fingerprints) in the folder that TIDEGATE_AVRO_CASES names. Without it this is skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/avro/canonical.h"
#include "common/avro/compat.h"
#include "common/avro/fingerprint.h"

#define FOLDER "../shared/avro" /* unless the environment says otherwise */

static json_t *load_cases(const char *name)
{
    const char *folder = getenv("TIDEGATE_AVRO_CASES");
    char path[512];
    json_error_t why;
    snprintf(path, sizeof(path), "%s/%s", folder != NULL ? folder : FOLDER, name);
    json_t *root = json_load_file(path, 0, &why);
    if (root == NULL) {
        print_message("skipped: %s: %s\n", path, why.text);
        skip();
    }
    return root;
}

static tg_str_t text_of(const json_t *json, const char *name)
{
    const json_t *text = json_object_get(json, name);
    assert_true(json_is_string(text));
    return (tg_str_t){json_string_value(text), json_string_length(text)};
}

static tg_avro_schema_t *parse(tg_str_t text)
{
    tg_avro_schema_t *schema = NULL;
    tg_error_t error;
    if (tg_avro_schema_parse_endless(text, &schema, &error) != TG_OK)
        fail_msg("%.*s: %s", (int)text.len, text.ptr, error.text);
    return schema;
}

static void assert_hex(const json_t *row, const char *name, const uint8_t *bytes, size_t len)
{
    char hex[2 * TG_SHA256_LEN];
    tg_str_t expected = text_of(row, name);
    tg_hash_hex(bytes, len, hex);
    assert_int_equal(expected.len, 2 * len);
    assert_memory_equal(hex, expected.ptr, 2 * len);
}

static void check_forms(const json_t *row)
{
    uint8_t md5[TG_MD5_LEN], sha256[TG_SHA256_LEN];
    char crc[17];
    tg_avro_schema_t *schema = parse(text_of(row, "schema"));
    tg_buf_t form = tg_buf_make(1 << 20);
    assert_int_equal(tg_avro_canonical(schema, &form), TG_OK);
    tg_str_t got = tg_buf_view(&form);
    if (!tg_str_eq(got, text_of(row, "canonical")))
        fail_msg("%s gives %.*s", text_of(row, "schema").ptr, (int)got.len, got.ptr);
    snprintf(crc, sizeof(crc), "%016llx", (unsigned long long)tg_avro_fingerprint(got));
    assert_true(tg_str_eq(tg_str_from(crc), text_of(row, "crc64_hex_be")));
    tg_avro_fingerprint_md5(got, md5);
    tg_avro_fingerprint_sha256(got, sha256);
    assert_hex(row, "md5", md5, sizeof(md5));
    assert_hex(row, "sha256", sha256, sizeof(sha256));
    tg_buf_dispose(&form);
    tg_avro_schema_destroy(schema);
}

static void forms_and_fingerprints_are_those_of_the_cases(void **state)
{
    (void)state;
    json_t *root = load_cases("canonical_cases.json");
    const json_t *rows = json_object_get(root, "cases");
    assert_true(json_array_size(rows) > 0);
    for (size_t i = 0; i < json_array_size(rows); i++)
        check_forms(json_array_get(rows, i));
    print_message("%zu canonical forms\n", json_array_size(rows));
    json_decref(root);
}

/* Whether the case lists this incompatibility. */
static bool is_expected(const json_t *row, const tg_avro_incompatibility_t *found)
{
    const json_t *list = json_object_get(row, "incompatibilities");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (tg_str_eq(text_of(one, "type"), tg_str_from(tg_avro_incompat_name(found->type))) &&
            tg_str_eq(text_of(one, "location"), tg_str_from(found->path)) &&
            tg_str_eq(text_of(one, "message"), tg_str_from(found->detail)))
            return true;
    }
    return false;
}

static void check_verdict(const json_t *row)
{
    tg_str_t reader_text = text_of(row, "reader"), writer_text = text_of(row, "writer");
    tg_avro_schema_t *reader = parse(reader_text), *writer = parse(writer_text);
    tg_avro_compat_t compat;
    assert_int_equal(tg_avro_compat_check(tg_avro_schema_root(reader), tg_avro_schema_root(writer),
                                          &compat),
                     TG_OK);
    if (compat.compatible != json_is_true(json_object_get(row, "expected_compatible")))
        fail_msg("reader %s, writer %s: %s", reader_text.ptr, writer_text.ptr,
                 compat.compatible ? "compatible" : compat.found[0].message);
    for (size_t i = 0; i < compat.count; i++) {
        if (!is_expected(row, &compat.found[i]))
            fail_msg("reader %s, writer %s: %s is not listed there", reader_text.ptr,
                     writer_text.ptr, compat.found[i].message);
    }
    tg_avro_compat_dispose(&compat);
    tg_avro_schema_destroy(reader);
    tg_avro_schema_destroy(writer);
}

static void verdicts_are_those_of_the_cases(void **state)
{
    (void)state;
    json_t *root = load_cases("compat_cases.json");
    const json_t *rows = json_object_get(root, "cases");
    assert_true(json_array_size(rows) > 0);
    for (size_t i = 0; i < json_array_size(rows); i++)
        check_verdict(json_array_get(rows, i));
    print_message("%zu verdicts\n", json_array_size(rows));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_and_fingerprints_are_those_of_the_cases),
        cmocka_unit_test(verdicts_are_those_of_the_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
