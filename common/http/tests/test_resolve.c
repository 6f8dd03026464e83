/* The resolver with a name server of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "common/base/time.h"
#include "common/http/resolve.h"

#define WAIT_MS 10000

/* What the names "moving" and "still" are, as numbers with commas; "" fails. Each look-up waits for
 * the gate. */
static struct {
    const char *_Atomic moving;
    atomic_uint asked;
    atomic_bool deaf; /* the thread that asked last takes no SIGTERM */
    pthread_mutex_t gate;
} server = {.gate = PTHREAD_MUTEX_INITIALIZER};

static int lookup(void *arg, const char *host, const char *port, struct addrinfo **out_list)
{
    (void)arg;
    const char *text = strcmp(host, "moving") == 0  ? atomic_load(&server.moving)
                       : strcmp(host, "still") == 0 ? "127.0.0.9"
                                                    : host;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo **end = out_list;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    atomic_store(&server.deaf, sigismember(&blocked, SIGTERM) == 1);
    atomic_fetch_add(&server.asked, 1);
    pthread_mutex_lock(&server.gate);
    pthread_mutex_unlock(&server.gate);
    if (text[0] == '\0')
        return EAI_AGAIN;
    for (const char *at = text; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char one[64];
        (void)snprintf(one, sizeof(one), "%.*s", (int)strcspn(at, ","), at);
        if (getaddrinfo(one, port, &hints, end) != 0)
            return EAI_NONAME;
        end = &(*end)->ai_next;
    }
    return 0;
}

static tg_resolver_t *open_list(const char *list, uint64_t every_ms)
{
    const tg_resolver_config_t config = {.lists = &list,
                                         .list_count = 1,
                                         .every_ms = every_ms,
                                         .lookup = lookup};
    tg_resolver_t *resolver = NULL;
    tg_error_t error = {.text = ""};
    if (tg_resolver_open(&config, &resolver, &error) != TG_OK)
        fail_msg("%s", error.text);
    return resolver;
}

struct seen {
    uint64_t version;
    size_t count;
    tg_address_t addresses[TG_RESOLVE_MAX];
};

static bool fetch(tg_resolver_t *resolver, struct seen *seen)
{
    return tg_resolver_get(resolver, 0, &seen->version, seen->addresses, &seen->count);
}

static void wait_changed(tg_resolver_t *resolver, struct seen *seen)
{
    uint64_t end = tg_time_mono_ms() + WAIT_MS;
    while (!fetch(resolver, seen)) {
        if (tg_time_mono_ms() > end)
            fail_msg("nothing changed");
        usleep(1000);
    }
}

static void wait_done(tg_resolver_t *resolver, uint64_t times)
{
    uint64_t end = tg_time_mono_ms() + WAIT_MS;
    while (tg_resolver_get_stats(resolver, 0).done < times) {
        assert_true(tg_time_mono_ms() < end);
        usleep(1000);
    }
}

static void wait_failed(tg_resolver_t *resolver, uint64_t times)
{
    uint64_t end = tg_time_mono_ms() + WAIT_MS;
    while (tg_resolver_get_stats(resolver, 0).failed < times) {
        assert_true(tg_time_mono_ms() < end);
        usleep(1000);
    }
}

static void a_name_with_several_addresses_is_several_instances(void **state)
{
    (void)state;
    server.moving = "127.0.0.3,127.0.0.2,127.0.0.3";
    struct seen seen = {0};
    tg_resolver_t *resolver = open_list("moving:80, [::1]:81 ,still:82,127.0.0.2:80", 0);
    assert_true(fetch(resolver, &seen));
    static const char *const expected[] = {"127.0.0.2:80", "127.0.0.3:80", "[::1]:81",
                                           "127.0.0.9:82"};
    assert_int_equal(seen.count, TG_ARRAY_LEN(expected));
    for (size_t i = 0; i < seen.count; i++)
        assert_string_equal(seen.addresses[i].text, expected[i]);
    assert_int_equal(seen.addresses[2].where.ss_family, AF_INET6);
    assert_false(fetch(resolver, &seen)); /* nothing new */
    tg_resolver_close(resolver);
}

static void changes_are_found_and_only_changes(void **state)
{
    (void)state;
    server.moving = "127.0.0.2,127.0.0.3";
    struct seen seen = {0};
    tg_resolver_t *resolver = open_list("moving:80,127.0.0.1:80", 5);
    assert_true(fetch(resolver, &seen));
    server.moving = "127.0.0.3,127.0.0.2"; /* the same */
    wait_done(resolver, 3);
    assert_false(fetch(resolver, &seen));
    server.moving = "127.0.0.4,127.0.0.2";
    wait_changed(resolver, &seen);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.addresses[0].text, "127.0.0.2:80");
    assert_string_equal(seen.addresses[1].text, "127.0.0.4:80");
    tg_resolver_close(resolver);
}

static void a_failed_look_up_keeps_the_addresses_and_is_counted(void **state)
{
    (void)state;
    server.moving = "127.0.0.2";
    struct seen seen = {0};
    tg_resolver_t *resolver = open_list("moving:80,still:80", 5);
    assert_true(fetch(resolver, &seen));
    server.moving = "";
    wait_failed(resolver, 3);
    assert_false(fetch(resolver, &seen));
    server.moving = "127.0.0.5";
    wait_changed(resolver, &seen);
    assert_string_equal(seen.addresses[0].text, "127.0.0.5:80");
    tg_resolver_close(resolver);
}

static void numbers_are_looked_up_once(void **state)
{
    (void)state;
    server.asked = 0;
    tg_resolver_t *resolver = open_list("127.0.0.1:80,[::1]:80", 1);
    usleep(20000); /* twenty times the interval, in which nothing is to happen */
    assert_int_equal(server.asked, 2);
    assert_int_equal(tg_resolver_get_stats(resolver, 0).done, 0);
    tg_resolver_close(resolver);
}

static void closing_does_not_wait_for_a_name_server(void **state)
{
    (void)state;
    server.moving = "127.0.0.2";
    tg_resolver_t *resolver = open_list("moving:80", 1);
    unsigned before = server.asked;
    pthread_mutex_lock(&server.gate);
    uint64_t end = tg_time_mono_ms() + WAIT_MS;
    while (server.asked == before && tg_time_mono_ms() < end)
        usleep(1000);
    tg_resolver_close(resolver); /* its thread is inside the look-up, and frees it */
    pthread_mutex_unlock(&server.gate);
}

static void more_addresses_than_fit_are_left_out(void **state)
{
    (void)state;
    server.moving = "127.0.1.1,127.0.1.2,127.0.1.3,127.0.1.4,127.0.1.5,127.0.1.6,127.0.1.7,"
                    "127.0.1.8,127.0.1.9,127.0.2.1,127.0.2.2,127.0.2.3,127.0.2.4,127.0.2.5,"
                    "127.0.2.6,127.0.2.7,127.0.2.8,127.0.2.9";
    struct seen seen = {0};
    tg_resolver_t *resolver = open_list("moving:80,still:80", 0);
    assert_true(fetch(resolver, &seen));
    assert_int_equal(seen.count, TG_RESOLVE_MAX);
    tg_resolver_close(resolver);
}

/* A name server that gives them in another order each time does not make instances come and go. */
static void which_addresses_are_left_out_stays_the_same(void **state)
{
    (void)state;
    server.moving = "127.0.1.18,127.0.1.17,127.0.1.16,127.0.1.15,127.0.1.14,127.0.1.13,127.0.1.12,"
                    "127.0.1.11,127.0.1.10,127.0.1.19,127.0.1.20,127.0.1.21,127.0.1.22,127.0.1.23,"
                    "127.0.1.24,127.0.1.25,127.0.1.26,127.0.1.27";
    struct seen seen = {0};
    tg_resolver_t *resolver = open_list("moving:80", 5);
    assert_true(fetch(resolver, &seen));
    server.moving = "127.0.1.27,127.0.1.26,127.0.1.25,127.0.1.24,127.0.1.23,127.0.1.22,127.0.1.21,"
                    "127.0.1.20,127.0.1.19,127.0.1.10,127.0.1.11,127.0.1.12,127.0.1.13,127.0.1.14,"
                    "127.0.1.15,127.0.1.16,127.0.1.17,127.0.1.18";
    wait_done(resolver, 3);
    assert_false(fetch(resolver, &seen));
    assert_int_equal(seen.count, TG_RESOLVE_MAX);
    tg_resolver_close(resolver);
}

static void signals_are_left_to_the_main_thread(void **state)
{
    (void)state;
    server.moving = "127.0.0.2";
    tg_resolver_t *resolver = open_list("moving:80", 1);
    wait_done(resolver, 1);
    assert_true(server.deaf);
    tg_resolver_close(resolver);
}

static void a_bad_list_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "x",
                                      ":80",
                                      "moving:80,,still:80",
                                      "127.0.0.1:x",
                                      "127.0.0.1:",
                                      "127.0.0.1:0",
                                      "127.0.0.1:70000",
                                      "moving:80"};
    server.moving = "";
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        const tg_resolver_config_t config = {.lists = &bad[i], .list_count = 1, .lookup = lookup};
        tg_resolver_t *resolver = NULL;
        tg_error_t error = {.text = ""};
        assert_int_equal(tg_resolver_open(&config, &resolver, &error), TG_INVALID);
        assert_true(strlen(error.text) > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_with_several_addresses_is_several_instances),
        cmocka_unit_test(changes_are_found_and_only_changes),
        cmocka_unit_test(a_failed_look_up_keeps_the_addresses_and_is_counted),
        cmocka_unit_test(numbers_are_looked_up_once),
        cmocka_unit_test(closing_does_not_wait_for_a_name_server),
        cmocka_unit_test(more_addresses_than_fit_are_left_out),
        cmocka_unit_test(which_addresses_are_left_out_stays_the_same),
        cmocka_unit_test(signals_are_left_to_the_main_thread),
        cmocka_unit_test(a_bad_list_is_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
