/* Who may store a partition: epochs, fences, stuck owners, against a real server. */
#include "worker/partition/claim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/time.h"
#include "worker/store/sql.h"
#include "worker/store/tests/db.h"
#include "worker/store/tests/rows.h"

static tg_test_db_t db;
static tg_conn_t *mine, *other;

static int start(void **state)
{
    (void)state;
    bool fresh = false;
    if (tg_test_db_start(&db) != 0)
        return -1;
    mine = tg_test_db_conn(&db);
    other = tg_test_db_conn(&db);
    return tg_conn_connect(mine, &fresh) == TG_OK && tg_conn_connect(other, &fresh) == TG_OK ? 0
                                                                                             : -1;
}

static int stop(void **state)
{
    (void)state;
    tg_conn_destroy(mine);
    tg_conn_destroy(other);
    tg_test_db_stop(&db);
    return 0;
}

static int clean(void **state)
{
    bool fresh = false;
    (void)state;
    tg_test_db_exec(&db, "TRUNCATE data.consumer_offsets, data.events");
    return tg_conn_connect(mine, &fresh) == TG_OK && tg_conn_connect(other, &fresh) == TG_OK ? 0
                                                                                             : -1;
}

static const tg_claimant_t me = {"a", 0, "me", "cluster"}, you = {"a", 0, "you", "cluster"};

static void a_first_claim_makes_the_row_and_starts_at_the_earliest(void **state)
{
    (void)state;
    tg_claim_t claim;
    assert_int_equal(tg_claim_take(mine, &me, &claim), TG_OK);
    assert_int_equal(claim.epoch, 1);
    assert_int_equal(claim.next_offset, TG_CLAIM_NOTHING_STORED);
    assert_false(claim.recreated);
    assert_string_equal(tg_test_db_text(&db, "SELECT owner FROM data.consumer_offsets"), "me");
}

static void a_claim_fences_every_earlier_one(void **state)
{
    (void)state;
    tg_claim_t first, second, again;
    assert_int_equal(tg_claim_take(mine, &me, &first), TG_OK);
    tg_test_db_exec(&db, "UPDATE data.consumer_offsets SET next_offset = 42");
    assert_int_equal(tg_claim_take(other, &you, &second), TG_OK);
    assert_int_equal(second.epoch, first.epoch + 1);
    assert_int_equal(second.next_offset, 42);
    assert_int_equal(tg_claim_again(mine, &me, first.epoch, &again), TG_DENIED);
    assert_int_equal(tg_claim_again(other, &you, second.epoch, &again), TG_OK);
    assert_int_equal(again.epoch, second.epoch + 1);
    assert_int_equal(again.next_offset, 42);
}

static void another_cluster_means_a_recreated_topic(void **state)
{
    (void)state;
    tg_claim_t claim;
    const tg_claimant_t unknown = {"a", 0, "me", ""}, moved = {"a", 0, "me", "another"};
    assert_int_equal(tg_claim_take(mine, &me, &claim), TG_OK);
    tg_test_db_exec(&db, "UPDATE data.consumer_offsets SET next_offset = 42");
    assert_int_equal(tg_claim_take(mine, &unknown, &claim), TG_OK);
    assert_int_equal(claim.next_offset, 42);
    assert_false(claim.recreated);
    assert_int_equal(tg_claim_take(mine, &moved, &claim), TG_OK);
    assert_int_equal(claim.next_offset, TG_CLAIM_NOTHING_STORED);
    assert_true(claim.recreated);
    assert_int_not_equal(claim.topic_id[0], '\0');
    assert_int_equal(tg_claim_take(mine, &moved, &claim), TG_OK);
    assert_false(claim.recreated);
}

static void a_reset_forgets_the_offset_and_renames_the_topic(void **state)
{
    (void)state;
    tg_claim_t claim;
    assert_int_equal(tg_claim_take(mine, &me, &claim), TG_OK);
    tg_test_db_exec(&db, "UPDATE data.consumer_offsets SET next_offset = 42");
    assert_int_equal(tg_claim_reset(mine, &me, &claim), TG_OK);
    assert_int_equal(claim.next_offset, TG_CLAIM_NOTHING_STORED);
    assert_string_equal(tg_test_db_text(&db, "SELECT topic_id FROM data.consumer_offsets"),
                        claim.topic_id);
    claim.epoch--;
    assert_int_equal(tg_claim_reset(mine, &me, &claim), TG_DENIED);
}

/* An owner that stops inside its transaction, as SIGSTOP leaves it: the claimer waits for the lock
 * timeout or the server's own, whichever comes first, and then has the partition. */
static void a_claim_gets_past_an_owner_that_hangs_in_its_transaction(void **state)
{
    (void)state;
    tg_claim_t claim, taken;
    char epoch[8] = {0, 0, 0, 0, 0, 0, 0, 1}, next[8] = {0, 0, 0, 0, 0, 0, 0, 9}, number[4] = {0};
    const tg_str_t params[] = {TG_STR("a"), {number, 4}, {epoch, 8}, {next, 8}};
    assert_int_equal(tg_claim_take(mine, &me, &claim), TG_OK);
    assert_int_equal(tg_conn_send_text(mine, "BEGIN"), TG_OK);
    assert_int_equal(tg_conn_send(mine, TG_SQL_FENCE, params), TG_OK);
    assert_int_equal(tg_conn_flush(mine), TG_OK);
    assert_int_equal(tg_conn_expect(mine), TG_OK);
    assert_int_equal(tg_conn_expect(mine), TG_OK);
    uint64_t started = tg_time_mono_ms();
    assert_int_equal(tg_claim_take(other, &you, &taken), TG_OK);
    assert_in_range(tg_time_mono_ms() - started, 1000, 8000);
    assert_int_equal(taken.next_offset, TG_CLAIM_NOTHING_STORED); /* nothing was committed */
    assert_int_equal(tg_conn_send_text(mine, "COMMIT"), TG_OK);
    tg_status_t status = tg_conn_flush(mine);
    if (status == TG_OK)
        status = tg_conn_expect(mine);
    assert_int_equal(status, TG_UNAVAILABLE);
    tg_conn_settle(mine);
    assert_false(tg_conn_connected(mine));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_first_claim_makes_the_row_and_starts_at_the_earliest, clean),
        cmocka_unit_test_setup(a_claim_fences_every_earlier_one, clean),
        cmocka_unit_test_setup(another_cluster_means_a_recreated_topic, clean),
        cmocka_unit_test_setup(a_reset_forgets_the_offset_and_renames_the_topic, clean),
        cmocka_unit_test_setup(a_claim_gets_past_an_owner_that_hangs_in_its_transaction, clean),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
