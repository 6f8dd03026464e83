/* The registry's SQL against a real server, as the registry's role. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "common/base/time.h"
#include "registry/store.h"
#include "registry/tests/database.h"

#define RACERS 40

static tg_pg_server_t server;
static char dsn[128];
static tg_loop_t *loop;
static tg_pg_pool_t *pool;

/* What came of one call; texts copied. */
struct answer {
    int times;
    tg_status_t status;
    bool known, found, reserved, full;
    int id, version, rows;
    char schema[128], list[256];
};

static void turn_until(const int *times)
{
    uint64_t end = tg_time_mono_ms() + 10000;
    while (*times == 0 && tg_time_mono_ms() < end)
        tg_loop_turn(loop, 50);
    assert_int_equal(*times, 1);
}

static tg_store_ask_t ask(const char *context, tg_pg_done_fn done, struct answer *answer)
{
    tg_loop_turn(loop, 0);
    return (tg_store_ask_t){pool, tg_str_from(context), tg_loop_now_ms(loop) + 10000, done, answer};
}

static int digits(tg_str_t text)
{
    uint64_t value = 0;
    return tg_str_to_u64(text, &value) == TG_OK ? (int)value : 0;
}

static void on_row(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct answer *out = arg;
    out->times++;
    out->status = status;
    if (status != TG_OK)
        return;
    tg_store_row_t row = tg_store_read_row(answer);
    out->known = row.subject_known;
    out->found = row.found;
    out->id = digits(row.id);
    out->version = digits(row.version);
    snprintf(out->schema, sizeof(out->schema), TG_STR_FMT, TG_STR_ARG(row.schema));
}

static void on_registered(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct answer *out = arg;
    out->times++;
    out->status = status;
    if (status != TG_OK)
        return;
    tg_store_registered_t row = tg_store_read_registered(answer);
    out->reserved = row.reserved;
    out->full = row.full;
    out->id = digits(row.id);
    out->version = digits(row.version);
}

static void on_list(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct answer *out = arg;
    out->times++;
    out->status = status;
    if (status != TG_OK)
        return;
    const PGresult *rows = answer->results[0];
    out->rows = PQntuples(rows);
    size_t len = 0;
    for (int i = 0; i < out->rows && len < sizeof(out->list); i++)
        len += (size_t)snprintf(out->list + len, sizeof(out->list) - len, "%s ",
                                PQgetvalue(rows, i, 0));
}

struct print {
    char hex[64];
};

static struct print print_of(const char *schema)
{
    struct print print;
    uint8_t digest[TG_SHA256_LEN];
    tg_hash_sha256(tg_str_from(schema), digest);
    tg_hash_hex(digest, sizeof(digest), print.hex);
    return print;
}

static void begin_register(const char *context, const char *subject, const char *schema,
                           uint64_t max_schemas, struct answer *answer)
{
    struct print print = print_of(schema);
    tg_store_ask_t question = ask(context, on_registered, answer);
    assert_non_null(tg_store_register(&question, tg_str_from(subject), tg_str_from(schema),
                                      (tg_str_t){print.hex, 64}, max_schemas));
}

static struct answer reg(const char *context, const char *subject, const char *schema)
{
    struct answer answer = {0};
    begin_register(context, subject, schema, 1000, &answer);
    turn_until(&answer.times);
    assert_int_equal(answer.status, TG_OK);
    return answer;
}

static struct answer find(const char *context, const char *subject, const char *schema)
{
    struct answer answer = {0};
    struct print print = print_of(schema);
    tg_store_ask_t question = ask(context, on_row, &answer);
    assert_non_null(tg_store_find(&question, tg_str_from(subject), (tg_str_t){print.hex, 64}));
    turn_until(&answer.times);
    assert_int_equal(answer.status, TG_OK);
    return answer;
}

static struct answer version(const char *context, const char *subject, uint32_t number)
{
    struct answer answer = {0};
    tg_store_ask_t question = ask(context, on_row, &answer);
    assert_non_null(tg_store_version(&question, tg_str_from(subject), number));
    turn_until(&answer.times);
    assert_int_equal(answer.status, TG_OK);
    return answer;
}

static struct answer list(const char *context, const char *subject)
{
    struct answer answer = {0};
    tg_store_ask_t question = ask(context, on_list, &answer);
    if (subject != NULL)
        assert_non_null(tg_store_versions(&question, tg_str_from(subject)));
    else
        assert_non_null(tg_store_subjects(&question));
    turn_until(&answer.times);
    assert_int_equal(answer.status, TG_OK);
    return answer;
}

static struct answer schema(const char *context, int id)
{
    struct answer answer = {0};
    tg_store_ask_t question = ask(context, on_list, &answer);
    assert_non_null(tg_store_schema(&question, (uint32_t)id));
    turn_until(&answer.times);
    assert_int_equal(answer.status, TG_OK);
    return answer;
}

static void the_same_schema_gives_the_same_id_and_version(void **state)
{
    (void)state;
    struct answer first = reg("acme", "a-value", "\"int\"");
    struct answer again = reg("acme", "a-value", "\"int\"");
    struct answer elsewhere = reg("acme", "b-value", "\"int\"");
    struct answer other = reg("acme", "a-value", "\"long\"");
    assert_int_equal(first.version, 1);
    assert_int_equal(again.id, first.id);
    assert_int_equal(again.version, 1);
    assert_int_equal(elsewhere.id, first.id);
    assert_int_equal(other.version, 2);
    assert_int_not_equal(other.id, first.id);
    assert_string_equal(list("acme", "a-value").list, "1 2 ");
    assert_int_equal(version("acme", "a-value", 0).version, 2);
    assert_string_equal(version("acme", "a-value", 1).schema, "\"int\"");
    assert_true(version("acme", "a-value", 3).known);
    assert_false(version("acme", "a-value", 3).found);
    assert_false(version("acme", "zzz-value", 0).known);
    assert_int_equal(find("acme", "a-value", "\"int\"").version, 1);
    assert_true(find("acme", "a-value", "\"bytes\"").known);
    assert_false(find("acme", "a-value", "\"bytes\"").found);
}

static void a_tenant_sees_its_own_and_the_default_context_and_nothing_else(void **state)
{
    (void)state;
    struct answer builtin = reg("", "shared-value", "\"float\"");
    struct answer own = reg("one", "own-value", "\"float\"");
    assert_int_not_equal(own.id, builtin.id); /* one id per context */
    assert_int_equal(schema("one", own.id).rows, 1);
    assert_int_equal(schema("one", builtin.id).rows, 1);
    assert_int_equal(schema("two", own.id).rows, 0);
    assert_int_equal(schema("", own.id).rows, 0);
    assert_int_equal(version("one", "shared-value", 0).id, builtin.id);
    assert_int_equal(find("one", "shared-value", "\"float\"").id, builtin.id);
    assert_false(version("two", "own-value", 0).known);
    assert_string_equal(list("one", NULL).list, "own-value shared-value ");
    assert_string_equal(list("two", NULL).list, "shared-value ");
}

static void a_subject_of_the_default_context_is_not_taken_over(void **state)
{
    (void)state;
    struct answer builtin = reg("", "kept-value", "\"string\"");
    struct answer refused = reg("one", "kept-value", "\"double\"");
    assert_true(refused.reserved);
    assert_int_equal(refused.id, 0);
    assert_int_equal(version("one", "kept-value", 0).id, builtin.id);
    assert_false(find("one", "kept-value", "\"double\"").found);
    /* What a tenant had before stays its own and may go on. */
    assert_int_equal(reg("old", "later-value", "\"string\"").version, 1);
    assert_int_equal(reg("", "later-value", "\"bytes\"").version, 1);
    assert_string_equal(version("old", "later-value", 0).schema, "\"string\"");
    assert_string_equal(version("new", "later-value", 0).schema, "\"bytes\"");
}

static void the_limit_of_schemas_holds_for_tenants_only(void **state)
{
    (void)state;
    struct answer answer = {0};
    assert_int_equal(reg("small", "x-value", "\"int\"").version, 1);
    begin_register("small", "x-value", "\"long\"", 1, &answer);
    turn_until(&answer.times);
    assert_true(answer.full);
    answer = (struct answer){0};
    begin_register("small", "y-value", "\"int\"", 1, &answer); /* no new schema */
    turn_until(&answer.times);
    assert_false(answer.full);
    assert_int_equal(answer.version, 1);
    answer = (struct answer){0};
    begin_register("", "x-value", "\"x\"", 0, &answer);
    turn_until(&answer.times);
    assert_false(answer.full);
}

static void racing_registrations_of_one_schema_agree_on_one_id(void **state)
{
    (void)state;
    static struct answer answers[RACERS];
    memset(answers, 0, sizeof(answers));
    for (size_t i = 0; i < RACERS; i++)
        begin_register("race", i % 2 == 0 ? "even-value" : "odd-value", "\"int\"", 1000,
                       &answers[i]);
    for (size_t i = 0; i < RACERS; i++) {
        turn_until(&answers[i].times);
        assert_int_equal(answers[i].status, TG_OK);
        assert_int_equal(answers[i].id, answers[0].id);
        assert_int_equal(answers[i].version, 1);
    }
    assert_string_equal(list("race", "even-value").list, "1 ");
}

static void racing_registrations_of_one_subject_get_versions_without_gaps(void **state)
{
    (void)state;
    static struct answer answers[RACERS];
    static char schemas[RACERS][32];
    bool seen[RACERS + 1] = {false};
    memset(answers, 0, sizeof(answers));
    for (size_t i = 0; i < RACERS; i++) {
        snprintf(schemas[i], sizeof(schemas[i]), "schema %zu", i);
        begin_register("race2", "s-value", schemas[i], 1000, &answers[i]);
    }
    for (size_t i = 0; i < RACERS; i++) {
        turn_until(&answers[i].times);
        assert_int_equal(answers[i].status, TG_OK);
        assert_in_range(answers[i].version, 1, RACERS);
        assert_false(seen[answers[i].version]);
        seen[answers[i].version] = true;
    }
}

static int start(void **state)
{
    (void)state;
    loop = tg_loop_create();
    if (loop == NULL || database_create(&server, dsn) != 0)
        return -1;
    tg_pg_config_t config = {.dsn = dsn,
                             .name = "test",
                             .connections = 8,
                             .max_waiting = 100,
                             .connect_timeout_ms = 2000};
    return tg_pg_pool_open(loop, &config, &pool, NULL) == TG_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    tg_pg_pool_close(pool);
    tg_loop_destroy(loop);
    return tg_pg_server_do(&server, "destroy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_schema_gives_the_same_id_and_version),
        cmocka_unit_test(a_tenant_sees_its_own_and_the_default_context_and_nothing_else),
        cmocka_unit_test(a_subject_of_the_default_context_is_not_taken_over),
        cmocka_unit_test(the_limit_of_schemas_holds_for_tenants_only),
        cmocka_unit_test(racing_registrations_of_one_schema_agree_on_one_id),
        cmocka_unit_test(racing_registrations_of_one_subject_get_versions_without_gaps),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
