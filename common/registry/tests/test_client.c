/* The registry client against a registry in the same process. */
#include "common/registry/client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/registry/tests/fake_registry.h"

#define WAIT_MS 10000
#define ACME    TG_STR("acme")
#define ORDER   TG_STR("order")

struct fixture {
    fake_registry_t *registry;
    tg_registry_client_t *client;
    tg_loop_t *loop;
};

struct answer {
    unsigned count;
    tg_status_t status;
    tg_event_type_t *type;
};

static struct fixture fixture_open(uint64_t refresh_ms, uint64_t timeout_ms)
{
    struct fixture f = {.registry = fake_registry_open(0), .loop = tg_loop_create()};
    char instances[64];
    (void)snprintf(instances, sizeof(instances), "127.0.0.1:%u", fake_registry_port(f.registry));
    const tg_registry_site_config_t site = {.instances = instances, .secret = FAKE_SECRET};
    tg_registry_client_config_t config = {
        .site = &site,
        .timeout_ms = timeout_ms,
        .refresh_ms = refresh_ms,
    };
    tg_error_t error = {.status = TG_OK};
    assert_int_equal(tg_registry_client_open(&config, &f.client, &error), TG_OK);
    return f;
}

static void fixture_close(struct fixture *f)
{
    tg_registry_client_close(f->client);
    tg_loop_destroy(f->loop);
    fake_registry_close(f->registry);
}

static void on_type(void *arg, tg_status_t status, tg_event_type_t *type)
{
    struct answer *answer = arg;
    answer->count++;
    answer->status = status;
    answer->type = type;
}

static tg_status_t fetch(struct fixture *f, tg_str_t tenant, tg_str_t type, uint32_t *out_id)
{
    struct answer answer = {0};
    assert_int_equal(tg_registry_type_fetch(f->client, tenant, type, f->loop, on_type, &answer),
                     TG_OK);
    assert_int_equal(answer.count, 0); /* never before returning */
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    while (answer.count == 0 && tg_time_mono_ms() < until)
        tg_loop_turn(f->loop, 50);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.status == TG_OK, answer.type != NULL);
    if (answer.type != NULL)
        *out_id = tg_event_type_schema_id(answer.type);
    tg_event_type_unref(answer.type);
    return answer.status;
}

/* Asks the cache until it shows version `id` of the order (0: none). */
static void wait_cached(struct fixture *f, uint32_t id)
{
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    uint32_t seen;
    do {
        tg_event_type_t *type = tg_registry_type_cached(f->client, ACME, ORDER);
        seen = type == NULL ? 0 : tg_event_type_schema_id(type);
        tg_event_type_unref(type);
        tg_loop_turn(f->loop, 10);
    } while (seen != id && tg_time_mono_ms() < until);
    assert_int_equal(seen, id);
}

static void a_fetched_type_is_in_the_cache(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 2000);
    uint32_t id = 0;
    assert_null(tg_registry_type_cached(f.client, ACME, ORDER));
    assert_int_equal(fetch(&f, ACME, ORDER, &id), TG_OK);
    assert_int_equal(id, FAKE_ORDER_1);
    tg_event_type_t *type = tg_registry_type_cached(f.client, ACME, ORDER);
    assert_non_null(type);
    assert_true(tg_str_eq(tg_event_type_name(type), ORDER));
    fixture_close(&f);
    tg_event_type_unref(type); /* a reference outlives the client */
}

static void a_built_in_type_is_fetched_once_for_all_tenants(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 2000);
    uint32_t id = 0;
    assert_int_equal(fetch(&f, ACME, ORDER, &id), TG_OK);
    tg_event_type_t *type = tg_registry_type_cached(f.client, TG_STR("other"), ORDER);
    assert_non_null(type);
    tg_event_type_unref(type);
    assert_int_equal(fetch(&f, ACME, TG_STR("visit"), &id), TG_OK);
    assert_null(tg_registry_type_cached(f.client, TG_STR("other"), TG_STR("visit")));
    fixture_close(&f);
}

static void tenants_see_their_own_types_only(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 2000);
    uint32_t id = 0;
    tg_event_type_t *type = NULL;
    assert_int_equal(fetch(&f, ACME, TG_STR("visit"), &id), TG_OK);
    assert_int_equal(id, FAKE_VISIT);
    assert_int_equal(fetch(&f, TG_STR("other"), TG_STR("visit"), &id), TG_NOT_FOUND);
    assert_int_equal(tg_registry_schema_wait(f.client, ACME, TG_STR("visit"), FAKE_VISIT, 5000,
                                             &type),
                     TG_OK);
    tg_event_type_unref(type);
    assert_int_equal(tg_registry_schema_wait(f.client, TG_STR("other"), TG_STR("visit"), FAKE_VISIT,
                                             5000, &type),
                     TG_NOT_FOUND);
    fixture_close(&f);
}

static void an_unknown_type_is_asked_for_once_a_second(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 2000);
    uint32_t id = 0;
    for (int i = 0; i < 20; i++)
        assert_int_equal(fetch(&f, ACME, TG_STR("nothing"), &id), TG_NOT_FOUND);
    assert_in_range(fake_registry_schema_requests(f.registry), 1, 2);
    assert_int_equal(fetch(&f, ACME, TG_STR("No such name"), &id), TG_NOT_FOUND);
    assert_int_equal(fetch(&f, TG_STR("NO TENANT"), ORDER, &id), TG_NOT_FOUND);
    assert_in_range(fake_registry_schema_requests(f.registry), 1, 2);
    fixture_close(&f);
}

static void a_schema_that_does_not_compile_is_invalid(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 2000);
    uint32_t id = 0;
    tg_event_type_t *type = NULL;
    assert_int_equal(fetch(&f, ACME, TG_STR("broken"), &id), TG_INVALID);
    assert_int_equal(tg_registry_schema_wait(f.client, ACME, TG_STR("broken"), FAKE_BROKEN, 5000,
                                             &type),
                     TG_INVALID);
    fixture_close(&f);
}

static void a_new_version_is_picked_up_while_the_type_is_in_use(void **state)
{
    (void)state;
    struct fixture f = fixture_open(100, 2000);
    uint32_t id = 0;
    assert_int_equal(fetch(&f, ACME, ORDER, &id), TG_OK);
    fake_registry_upgrade(f.registry);
    wait_cached(&f, FAKE_ORDER_2);
    fake_registry_forget(f.registry);
    wait_cached(&f, 0);
    fixture_close(&f);
}

static void an_announced_version_is_fetched_at_once(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 2000);
    uint32_t id = 0;
    assert_int_equal(fetch(&f, ACME, ORDER, &id), TG_OK);
    fake_registry_upgrade(f.registry);
    tg_registry_client_announce(f.client, ACME, ORDER); /* none of the tenant's own */
    tg_registry_client_announce(f.client, TG_STR("acme"), TG_STR("nothing"));
    wait_cached(&f, FAKE_ORDER_1);
    tg_registry_client_announce(f.client, TG_STR(""), ORDER);
    wait_cached(&f, FAKE_ORDER_2);
    fake_registry_forget(f.registry);
    tg_registry_client_announce_all(f.client);
    wait_cached(&f, 0);
    fixture_close(&f);
}

static void an_announced_type_is_unknown_no_more(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 2000);
    uint32_t id = 0;
    fake_registry_hide_visit(f.registry, true);
    assert_int_equal(fetch(&f, ACME, TG_STR("visit"), &id), TG_NOT_FOUND);
    fake_registry_hide_visit(f.registry, false);
    tg_registry_client_announce(f.client, ACME, TG_STR("visit"));
    assert_int_equal(fetch(&f, ACME, TG_STR("visit"), &id), TG_OK);
    assert_int_equal(id, FAKE_VISIT);
    assert_int_equal(tg_registry_client_cached(f.client), 1);
    fixture_close(&f);
}

static void a_record_without_roles_is_no_type_but_can_be_decoded(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 2000);
    uint32_t id = 0;
    tg_event_type_t *type = NULL;
    assert_int_equal(fetch(&f, ACME, TG_STR("plain"), &id), TG_NOT_FOUND);
    assert_int_equal(tg_registry_schema_wait(f.client, ACME, TG_STR("plain"), FAKE_PLAIN, 5000,
                                             &type),
                     TG_OK);
    assert_false(tg_event_type_has_roles(type));
    tg_event_type_unref(type);
    fixture_close(&f);
}

static void a_dead_registry_changes_nothing_for_known_types(void **state)
{
    (void)state;
    struct fixture f = fixture_open(100, 1000);
    uint32_t id = 0;
    assert_int_equal(fetch(&f, ACME, ORDER, &id), TG_OK);
    fake_registry_fail(f.registry, true);
    unsigned before = fake_registry_schema_requests(f.registry);
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    while (fake_registry_schema_requests(f.registry) < before + 3 && tg_time_mono_ms() < until)
        wait_cached(&f, FAKE_ORDER_1);
    assert_int_equal(fetch(&f, ACME, TG_STR("session"), &id), TG_UNAVAILABLE);

    uint16_t port = fake_registry_port(f.registry);
    fake_registry_close(f.registry);
    assert_int_equal(fetch(&f, ACME, TG_STR("stream"), &id), TG_UNAVAILABLE);
    wait_cached(&f, FAKE_ORDER_1);

    f.registry = fake_registry_open(port);
    fake_registry_upgrade(f.registry);
    wait_cached(&f, FAKE_ORDER_2); /* it came back by itself */
    assert_int_equal(fetch(&f, ACME, TG_STR("session"), &id), TG_OK);
    fixture_close(&f);
}

static void readiness_follows_the_registry(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 2000);
    tg_buf_t detail = tg_buf_make(1024);
    uint64_t until = tg_time_mono_ms() + WAIT_MS;
    bool is_ready = false;
    while (!is_ready && tg_time_mono_ms() < until) {
        tg_buf_clear(&detail);
        is_ready = tg_registry_client_ready(f.client, &detail); /* without any request of ours */
        tg_loop_turn(f.loop, 20);
    }
    assert_true(is_ready);
    assert_true(detail.len > 0);
    tg_buf_dispose(&detail);
    fixture_close(&f);
}

static void a_wrong_secret_is_not_ready_and_says_so(void **state)
{
    (void)state;
    fake_registry_t *registry = fake_registry_open(0);
    char instances[64];
    (void)snprintf(instances, sizeof(instances), "127.0.0.1:%u", fake_registry_port(registry));
    const tg_registry_site_config_t site = {.instances = instances, .secret = "a wrong secret!!"};
    tg_registry_client_config_t config = {&site, 1000, 1000};
    tg_registry_client_t *client = NULL;
    tg_event_type_t *type = NULL;
    tg_error_t error = {.status = TG_OK};
    assert_int_equal(tg_registry_client_open(&config, &client, &error), TG_OK);
    assert_int_equal(tg_registry_schema_wait(client, ACME, ORDER, FAKE_ORDER_1, 5000, &type),
                     TG_UNAVAILABLE);
    tg_buf_t detail = tg_buf_make(1024);
    assert_false(tg_registry_client_ready(client, &detail));
    assert_non_null(memmem(detail.data, detail.len, "secret", 6));
    tg_buf_dispose(&detail);
    tg_registry_client_close(client);
    fake_registry_close(registry);
}

static void another_registry_that_refuses_the_credentials_is_not_ready(void **state)
{
    (void)state;
    fake_registry_t *registry = fake_registry_open(0); /* lets nobody in without the secret */
    char url[64], user[] = "ada", password[] = "lovelace";
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", fake_registry_port(registry));
    const tg_registry_site_config_t site = {.url = url, .user = user, .password = password};
    const tg_registry_client_config_t config = {&site, 1000, 1000};
    tg_registry_client_t *client = NULL;
    tg_event_type_t *type = NULL;
    tg_error_t error = {.status = TG_OK};
    assert_int_equal(tg_registry_client_open(&config, &client, &error), TG_OK);
    assert_int_equal(tg_registry_schema_wait(client, ACME, ORDER, FAKE_ORDER_1, 5000, &type),
                     TG_UNAVAILABLE);
    tg_buf_t detail = tg_buf_make(1024);
    assert_false(tg_registry_client_ready(client, &detail));
    assert_non_null(memmem(detail.data, detail.len, "credentials", 11));
    assert_null(memmem(detail.data, detail.len, password, strlen(password)));
    tg_buf_dispose(&detail);
    tg_registry_client_close(client);
    fake_registry_close(registry);
}

struct asker {
    struct fixture *f;
    atomic_uint good;
};

static void *ask_in_thread(void *arg)
{
    struct asker *asker = arg;
    for (int i = 0; i < 200; i++) {
        tg_event_type_t *type = NULL;
        uint32_t id = i % 2 == 0 ? FAKE_ORDER_1 : FAKE_ORDER_2;
        tg_status_t status =
            tg_registry_schema_wait(asker->f->client, ACME, ORDER, id, 5000, &type);
        if (status == TG_OK && tg_event_type_schema_id(type) == id)
            atomic_fetch_add(&asker->good, 1);
        tg_event_type_unref(type);
        tg_event_type_unref(tg_registry_type_cached(asker->f->client, ACME, ORDER));
    }
    return NULL;
}

static void many_threads_share_one_fetch(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 2000);
    struct asker asker = {.f = &f};
    pthread_t threads[4];
    for (size_t i = 0; i < TG_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_in_thread, &asker), 0);
    for (size_t i = 0; i < TG_ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&asker.good), 800);
    assert_int_equal(fake_registry_schema_requests(f.registry), 2);
    fixture_close(&f);
}

static void waiting_for_an_unreachable_registry_ends_in_time(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 200);
    fake_registry_fail(f.registry, true);
    tg_event_type_t *type = NULL;
    uint64_t start = tg_time_mono_ms();
    tg_status_t status = tg_registry_schema_wait(f.client, ACME, ORDER, FAKE_ORDER_1, 1000, &type);
    assert_true(status == TG_UNAVAILABLE || status == TG_TIMEOUT);
    assert_true(tg_time_mono_ms() - start < 5000);
    assert_int_equal(tg_registry_schema_wait(f.client, ACME, ORDER, 0, 1000, &type), TG_NOT_FOUND);
    fixture_close(&f);
}

static void closing_answers_what_is_open(void **state)
{
    (void)state;
    struct fixture f = fixture_open(60000, 2000);
    struct answer answers[10] = {{0}};
    for (size_t i = 0; i < TG_ARRAY_LEN(answers); i++)
        assert_int_equal(tg_registry_type_fetch(f.client, ACME, ORDER, f.loop, on_type,
                                                &answers[i]),
                         TG_OK);
    tg_registry_client_close(f.client);
    f.client = NULL;
    tg_loop_turn(f.loop, 0);
    for (size_t i = 0; i < TG_ARRAY_LEN(answers); i++) {
        assert_int_equal(answers[i].count, 1);
        assert_true(answers[i].status == TG_OK || answers[i].status == TG_UNAVAILABLE);
        tg_event_type_unref(answers[i].type);
    }
    fixture_close(&f);
}

static void bad_instances_stop_the_start(void **state)
{
    (void)state;
    const tg_registry_site_config_t site = {.instances = "nonsense", .secret = FAKE_SECRET};
    tg_registry_client_config_t config = {&site, 1000, 1000};
    tg_registry_client_t *client = NULL;
    tg_error_t error = {.status = TG_OK};
    assert_int_not_equal(tg_registry_client_open(&config, &client, &error), TG_OK);
    assert_null(client);
    assert_true(strlen(error.text) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fetched_type_is_in_the_cache),
        cmocka_unit_test(a_built_in_type_is_fetched_once_for_all_tenants),
        cmocka_unit_test(tenants_see_their_own_types_only),
        cmocka_unit_test(an_unknown_type_is_asked_for_once_a_second),
        cmocka_unit_test(a_schema_that_does_not_compile_is_invalid),
        cmocka_unit_test(a_new_version_is_picked_up_while_the_type_is_in_use),
        cmocka_unit_test(an_announced_version_is_fetched_at_once),
        cmocka_unit_test(an_announced_type_is_unknown_no_more),
        cmocka_unit_test(a_record_without_roles_is_no_type_but_can_be_decoded),
        cmocka_unit_test(a_dead_registry_changes_nothing_for_known_types),
        cmocka_unit_test(readiness_follows_the_registry),
        cmocka_unit_test(a_wrong_secret_is_not_ready_and_says_so),
        cmocka_unit_test(another_registry_that_refuses_the_credentials_is_not_ready),
        cmocka_unit_test(many_threads_share_one_fetch),
        cmocka_unit_test(waiting_for_an_unreachable_registry_ends_in_time),
        cmocka_unit_test(closing_answers_what_is_open),
        cmocka_unit_test(bad_instances_stop_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
