/* Hashes against published values; the keyed one against its properties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "common/base/hash.h"

static void sha256_gives_the_published_values(void **state)
{
    (void)state;
    uint8_t digest[TG_SHA256_LEN];
    char hex[2 * TG_SHA256_LEN + 1] = {0};
    tg_hash_sha256(TG_STR("abc"), digest);
    tg_hash_hex(digest, sizeof(digest), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    tg_hash_sha256((tg_str_t){NULL, 0}, digest);
    tg_hash_hex(digest, sizeof(digest), hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* From the Java client's own test (org.apache.kafka.common.utils.UtilsTest.testMurmur2). */
static void murmur2_agrees_with_the_java_client(void **state)
{
    (void)state;
    const struct {
        tg_str_t text;
        int32_t hash;
    } cases[] = {
        {TG_STR("21"), -973932308},
        {TG_STR("foobar"), -790332482},
        {TG_STR("a-little-bit-long-string"), -985981536},
        {TG_STR("a-little-bit-longer-string"), -1486304829},
        {TG_STR("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58897971},
        {TG_STR("abc"), 479470107},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        assert_int_equal((int32_t)tg_hash_murmur2(cases[i].text), cases[i].hash);
}

static void the_table_hash_depends_on_each_byte_and_the_length(void **state)
{
    (void)state;
    char text[40] = {0};
    for (size_t len = 0; len < sizeof(text); len++) {
        uint64_t base = tg_hash_table((tg_str_t){text, len});
        assert_true(base == tg_hash_table((tg_str_t){text, len}));
        assert_true(base != tg_hash_table((tg_str_t){text, len + 1}));
        for (size_t i = 0; i < len; i++) {
            text[i] = 1;
            assert_true(base != tg_hash_table((tg_str_t){text, len}));
            text[i] = 0;
        }
    }
}

static void comparison_in_constant_time_compares(void **state)
{
    (void)state;
    assert_true(tg_hash_equal_ct("secret", "secret", 6));
    assert_false(tg_hash_equal_ct("secret", "secreu", 6));
    assert_false(tg_hash_equal_ct("tecret", "secret", 6));
    assert_true(tg_hash_equal_ct(NULL, NULL, 0));
}

static void random_bytes_do_not_repeat(void **state)
{
    (void)state;
    uint64_t seen[1000];
    for (size_t i = 0; i < 1000; i++) {
        tg_hash_random(&seen[i], sizeof(seen[i]));
        for (size_t k = 0; k < i; k++)
            assert_true(seen[k] != seen[i]);
    }
    uint8_t large[4096] = {0};
    tg_hash_random(large, sizeof(large));
    size_t zeros = 0;
    for (size_t i = 0; i < sizeof(large); i++)
        zeros += large[i] == 0;
    assert_in_range(zeros, 0, 100); /* expected 16 */
}

static void a_forked_child_draws_other_random_bytes(void **state)
{
    (void)state;
    uint64_t ours = 0, theirs = 0;
    int ends[2];
    tg_hash_random(&ours, sizeof(ours)); /* the pool is filled before the fork */
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        tg_hash_random(&theirs, sizeof(theirs));
        _exit(write(ends[1], &theirs, sizeof(theirs)) == (ssize_t)sizeof(theirs) ? 0 : 1);
    }
    tg_hash_random(&ours, sizeof(ours));
    assert_int_equal(read(ends[0], &theirs, sizeof(theirs)), sizeof(theirs));
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(ours != theirs);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_values),
        cmocka_unit_test(murmur2_agrees_with_the_java_client),
        cmocka_unit_test(the_table_hash_depends_on_each_byte_and_the_length),
        cmocka_unit_test(comparison_in_constant_time_compares),
        cmocka_unit_test(random_bytes_do_not_repeat),
        cmocka_unit_test(a_forked_child_draws_other_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
