/* The registry's SQL against a real server, as the registry's role. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "common/base/time.h"
#include "registry/store/store.h"
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
    tg_store_outcome_t outcome;
    bool known, found, deleted;
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
    return (tg_store_ask_t){pool,       tg_str_from(context),
                            TG_STR(""), tg_loop_now_ms(loop) + 10000,
                            done,       answer};
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
    tg_store_row_t row = tg_store_read_row(answer->results[0], 0);
    out->known = row.subject_known;
    out->found = row.found;
    out->deleted = row.deleted;
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
    out->outcome = row.outcome;
    out->id = digits(row.id);
    out->version = digits(row.version);
}

/* The last columns of all rows, the first one left out. */
static void on_list(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct answer *out = arg;
    out->times++;
    out->status = status;
    if (status != TG_OK)
        return;
    const PGresult *rows = answer->results[0];
    int last = PQnfields(rows) - 1;
    out->rows = PQntuples(rows);
    out->known = tg_store_known(rows);
    size_t len = 0;
    for (int i = 0; i < out->rows && len < sizeof(out->list); i++)
        len += (size_t)snprintf(out->list + len, sizeof(out->list) - len, "%s ",
                                PQgetvalue(rows, i, last));
}

static void on_deleted(void *arg, tg_status_t status, const tg_pg_answer_t *answer)
{
    struct answer *out = arg;
    out->times++;
    out->status = status;
    if (status != TG_OK)
        return;
    tg_store_deleted_t deleted = tg_store_read_deleted(answer);
    out->outcome = deleted.outcome;
    snprintf(out->list, sizeof(out->list), TG_STR_FMT, TG_STR_ARG(deleted.versions));
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

static tg_store_new_t what_of(const char *subject, const char *schema, const struct print *print)
{
    return (tg_store_new_t){.subject = tg_str_from(subject),
                            .identity = {print->hex, 64},
                            .guid = TG_STR("00000000-0000-8000-8000-000000000001"),
                            .schema = tg_str_from(schema),
                            .printed = tg_str_from(schema),
                            .references = TG_STR("[]")};
}

static void begin_register(const char *context, const char *subject, const char *schema,
                           uint64_t max_schemas, struct answer *answer)
{
    struct print print = print_of(schema);
    tg_store_new_t what = what_of(subject, schema, &print);
    what.max_schemas = max_schemas;
    tg_store_ask_t question = ask(context, on_registered, answer);
    assert_non_null(tg_store_register(&question, &what));
}

/* As `change` says; the identity is the schema's. */
static struct answer reg_as(const char *context, const char *subject, const char *schema,
                            tg_store_new_t change)
{
    struct answer answer = {0};
    struct print print = print_of(schema);
    tg_store_new_t what = what_of(subject, schema, &print);
    what.id = change.id;
    what.version = change.version;
    what.checked = change.checked;
    what.newest = change.newest;
    if (change.references.ptr != NULL)
        what.references = change.references;
    tg_store_ask_t question = ask(context, on_registered, &answer);
    assert_non_null(tg_store_register(&question, &what));
    turn_until(&answer.times);
    assert_int_equal(answer.status, TG_OK);
    return answer;
}

static struct answer del(const char *context, const char *subject, int version, bool permanent)
{
    struct answer answer = {0};
    uint32_t number = (uint32_t)version;
    tg_store_ask_t question = ask(context, on_deleted, &answer);
    assert_non_null(
        tg_store_delete(&question, tg_str_from(subject), version < 0 ? NULL : &number, permanent));
    turn_until(&answer.times);
    assert_int_equal(answer.status, TG_OK);
    return answer;
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
    tg_store_wanted_t wanted = {.identity = {print.hex, 64}};
    assert_non_null(
        tg_store_find(&question, tg_str_from(subject), &wanted, (tg_store_form_t){false, false}));
    turn_until(&answer.times);
    assert_int_equal(answer.status, TG_OK);
    return answer;
}

static struct answer version_of(const char *context, const char *subject, uint32_t number,
                                bool deleted)
{
    struct answer answer = {0};
    tg_store_ask_t question = ask(context, on_row, &answer);
    assert_non_null(tg_store_version(&question, tg_str_from(subject), number,
                                     (tg_store_form_t){.deleted = deleted}));
    turn_until(&answer.times);
    assert_int_equal(answer.status, TG_OK);
    return answer;
}

static struct answer version(const char *context, const char *subject, uint32_t number)
{
    return version_of(context, subject, number, false);
}

static struct answer list_of(const char *context, const char *subject, tg_store_page_t page,
                             bool negative)
{
    struct answer answer = {0};
    page.limit = page.limit == 0 ? 100 : page.limit;
    tg_store_ask_t question = ask(context, on_list, &answer);
    if (subject != NULL)
        assert_non_null(tg_store_versions(&question, tg_str_from(subject), negative, &page));
    else
        assert_non_null(tg_store_subjects(&question, TG_STR(""), true, &page));
    turn_until(&answer.times);
    assert_int_equal(answer.status, TG_OK);
    return answer;
}

static struct answer list(const char *context, const char *subject)
{
    return list_of(context, subject, (tg_store_page_t){0}, false);
}

static struct answer schema(const char *context, int id)
{
    struct answer answer = {0};
    tg_store_ask_t question = ask(context, on_list, &answer);
    assert_non_null(tg_store_schema(&question, (uint32_t)id, (tg_str_t){NULL, 0}, false));
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
    assert_int_equal(refused.outcome, TG_STORE_RESERVED);
    assert_int_equal(refused.id, 0);
    assert_int_equal(del("one", "kept-value", -1, false).outcome, TG_STORE_RESERVED);
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
    assert_int_equal(answer.outcome, TG_STORE_FULL);
    answer = (struct answer){0};
    begin_register("small", "y-value", "\"int\"", 1, &answer); /* no new schema */
    turn_until(&answer.times);
    assert_int_equal(answer.outcome, TG_STORE_NEW);
    assert_int_equal(answer.version, 1);
    answer = (struct answer){0};
    begin_register("", "x-value", "\"x\"", 0, &answer); /* 0: no limit */
    turn_until(&answer.times);
    assert_int_equal(answer.outcome, TG_STORE_NEW);
}

static void a_soft_deleted_version_is_seen_on_demand_and_its_number_never_comes_back(void **state)
{
    (void)state;
    int id = reg("del", "d-value", "\"int\"").id;
    assert_int_equal(reg("del", "d-value", "\"long\"").version, 2);
    assert_int_equal(del("del", "d-value", 2, true).outcome, TG_STORE_NOT_DELETED);
    assert_int_equal(del("del", "d-value", 2, false).outcome, TG_STORE_DONE);
    assert_int_equal(del("del", "d-value", 2, false).outcome, TG_STORE_SOFT_DELETED);
    assert_false(version("del", "d-value", 2).found);
    assert_true(version_of("del", "d-value", 2, true).deleted);
    assert_int_equal(version("del", "d-value", 0).version, 1);
    assert_string_equal(list("del", "d-value").list, "1 ");
    tg_store_page_t all = {.deleted = true}, only = {.deleted_only = true};
    assert_string_equal(list_of("del", "d-value", all, true).list, "1 -2 ");
    assert_string_equal(list_of("del", "d-value", only, false).list, "2 ");
    assert_int_equal(reg("del", "d-value", "\"long\"").version, 3);

    assert_string_equal(del("del", "d-value", -1, false).list, "1,3");
    assert_int_equal(del("del", "d-value", -1, false).outcome, TG_STORE_SOFT_DELETED);
    assert_false(list("del", "d-value").known);
    assert_string_equal(list_of("del", NULL, only, false).list, "d-value ");
    assert_int_equal(schema("del", id).rows, 1); /* by id it is still there */
    assert_string_equal(del("del", "d-value", -1, true).list, "1,2,3");
    assert_int_equal(schema("del", id).rows, 0);
    assert_int_equal(del("del", "d-value", -1, true).outcome, TG_STORE_NO_SUBJECT);
    struct answer again = reg("del", "d-value", "\"int\"");
    assert_int_equal(again.version, 4);
    assert_true(again.id > id);
}

static void what_others_refer_to_cannot_be_deleted(void **state)
{
    (void)state;
    int id = reg("refs", "part-value", "\"int\"").id;
    char json[256];
    snprintf(json, sizeof(json),
             "[{\"name\":\"x.Part\",\"subject\":\"part-value\",\"context\":\"refs\","
             "\"to\":\"part-value\",\"version\":1,\"id\":%d}]",
             id);
    tg_store_new_t refers = {.references = tg_str_from(json)};
    assert_int_equal(reg_as("refs", "whole-value", "\"long\"", refers).outcome, TG_STORE_NEW);
    assert_int_equal(del("refs", "part-value", 1, false).outcome, TG_STORE_REFERENCED);
    assert_int_equal(del("refs", "part-value", -1, false).outcome, TG_STORE_REFERENCED);
    assert_int_equal(del("refs", "whole-value", -1, false).outcome, TG_STORE_DONE);
    assert_int_equal(del("refs", "part-value", -1, false).outcome, TG_STORE_DONE);
    /* A deleted schema can still be read by its id, so what it needs stays. */
    assert_int_equal(del("refs", "part-value", -1, true).outcome, TG_STORE_REFERENCED);
    assert_int_equal(reg_as("refs", "other-value", "\"bytes\"", refers).outcome, TG_STORE_CHANGED);
    assert_int_equal(del("refs", "whole-value", -1, true).outcome, TG_STORE_DONE);
    assert_int_equal(del("refs", "part-value", -1, true).outcome, TG_STORE_DONE);
}

static void an_import_takes_its_id_and_version_unless_they_are_taken(void **state)
{
    (void)state;
    tg_store_new_t import = {.id = 5000, .version = 7};
    struct answer got = reg_as("imp", "i-value", "\"int\"", import);
    assert_int_equal(got.id, 5000);
    assert_int_equal(got.version, 7);
    assert_int_equal(reg_as("imp", "i-value", "\"int\"", import).outcome, TG_STORE_EXISTING);
    assert_int_equal(reg_as("imp", "i-value", "\"long\"", import).outcome, TG_STORE_ID_TAKEN);
    assert_int_equal(reg_as("elsewhere", "i-value", "\"int\"", import).outcome, TG_STORE_ID_TAKEN);
    import.id = 5001;
    assert_int_equal(reg_as("imp", "i-value", "\"int\"", import).outcome, TG_STORE_ID_TAKEN);
    assert_int_equal(reg_as("imp", "i-value", "\"long\"", import).outcome, TG_STORE_VERSION_TAKEN);
    assert_int_equal(schema("imp", 5001).rows, 0); /* a refusal leaves nothing */
    assert_int_equal(reg("imp", "i-value", "\"long\"").version, 8);
    tg_store_new_t last = {.id = 5002, .version = INT32_MAX};
    assert_int_equal(reg_as("imp", "i-value", "\"x\"", last).outcome, TG_STORE_NEW);
    assert_int_equal(reg("imp", "i-value", "\"y\"").outcome, TG_STORE_USED_UP);
}

static void the_registrys_own_ids_step_over_imported_ones(void **state)
{
    (void)state;
    int next = reg("step", "a-value", "\"int\"").id + 1;
    for (int i = 0; i < 3; i++) {
        char text[32];
        snprintf(text, sizeof(text), "\"import %d\"", i);
        tg_store_new_t import = {.id = (uint32_t)(next + i)};
        assert_int_equal(reg_as("step", "b-value", text, import).id, next + i);
    }
    assert_int_equal(reg("step", "c-value", "\"long\"").id, next + 3);
}

static void a_registration_that_was_checked_against_an_older_version_is_sent_back(void **state)
{
    (void)state;
    tg_store_new_t first = {.checked = true, .newest = 0}, second = {.checked = true, .newest = 1};
    assert_int_equal(reg_as("stamp", "s-value", "\"int\"", first).version, 1);
    assert_int_equal(reg_as("stamp", "s-value", "\"long\"", first).outcome, TG_STORE_CHANGED);
    assert_int_equal(reg_as("stamp", "s-value", "\"long\"", second).version, 2);
    assert_int_equal(reg_as("stamp", "s-value", "\"int\"", first).outcome, TG_STORE_EXISTING);
}

static void racing_registrations_of_one_schema_agree_on_one_id(void **state)
{
    (void)state;
    static const char *const subjects[] = {"even-value", "odd-value"};
    static struct answer answers[RACERS];
    memset(answers, 0, sizeof(answers));
    for (size_t i = 0; i < RACERS; i++)
        begin_register("race", subjects[i % 2], "\"int\"", 1000, &answers[i]);
    for (size_t i = 0; i < RACERS; i++) {
        turn_until(&answers[i].times);
        if (answers[i].status == TG_CONFLICT) /* overtaken: asked again, as the service does it */
            answers[i] = reg("race", subjects[i % 2], "\"int\"");
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

/* The other one's connections are not ours, as another process's would be. */
static void two_registries_on_one_database_agree(void **state)
{
    (void)state;
    static struct answer answers[RACERS];
    static char schemas[RACERS][32];
    tg_pg_pool_t *mine = pool, *other = NULL;
    tg_pg_config_t config = {.dsn = dsn,
                             .name = "other",
                             .connections = 8,
                             .max_waiting = 100,
                             .connect_timeout_ms = 2000};
    assert_int_equal(tg_pg_pool_open(loop, &config, &other, NULL), TG_OK);
    memset(answers, 0, sizeof(answers));
    for (size_t i = 0; i < RACERS; i++) { /* each schema from both, in different subjects */
        snprintf(schemas[i], sizeof(schemas[i]), "two %zu", i / 2);
        pool = i % 2 == 0 ? mine : other;
        begin_register("two", i % 4 < 2 ? "p-value" : "q-value", schemas[i], 1000, &answers[i]);
    }
    pool = mine;
    for (size_t i = 0; i < RACERS; i++)
        turn_until(&answers[i].times);
    for (size_t i = 0; i < RACERS; i += 2) {
        assert_int_equal(answers[i].status, TG_OK);
        assert_int_equal(answers[i + 1].status, TG_OK);
        assert_int_equal(answers[i].id, answers[i + 1].id);
        for (size_t k = 0; k < i; k += 2)
            assert_int_not_equal(answers[i].id, answers[k].id);
    }
    tg_pg_pool_close(other);
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
        cmocka_unit_test(a_soft_deleted_version_is_seen_on_demand_and_its_number_never_comes_back),
        cmocka_unit_test(what_others_refer_to_cannot_be_deleted),
        cmocka_unit_test(an_import_takes_its_id_and_version_unless_they_are_taken),
        cmocka_unit_test(the_registrys_own_ids_step_over_imported_ones),
        cmocka_unit_test(a_registration_that_was_checked_against_an_older_version_is_sent_back),
        cmocka_unit_test(racing_registrations_of_one_schema_agree_on_one_id),
        cmocka_unit_test(racing_registrations_of_one_subject_get_versions_without_gaps),
        cmocka_unit_test(two_registries_on_one_database_agree),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
