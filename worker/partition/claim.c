/* Each claim is one statement in an implicit transaction, so claimers never hold two rows at once.
 */
#include "worker/partition/claim.h"

#include <stdio.h>

#include "common/base/time.h"
#include "common/base/uuid.h"
#include "common/observe/log.h"
#include "worker/pg/pgarray.h"
#include "worker/store/sql.h"

#define LOCK_TIMEOUT_SQLSTATE "55P03"

static tg_status_t read_claim(PGresult *result, tg_claim_t *out_claim)
{
    if (PQntuples(result) != 1) {
        PQclear(result);
        return TG_DENIED;
    }
    tg_claim_t claim = {.epoch = tg_conn_int8(result, 0, 0),
                        .next_offset = PQgetisnull(result, 0, 1) ? TG_CLAIM_NOTHING_STORED
                                                                 : tg_conn_int8(result, 0, 1),
                        .recreated = PQgetvalue(result, 0, 3)[0] != 0};
    snprintf(claim.topic_id, sizeof(claim.topic_id), TG_STR_FMT,
             TG_STR_ARG(tg_conn_cell(result, 0, 2)));
    PQclear(result);
    *out_claim = claim;
    return TG_OK;
}

static tg_status_t end_owner(tg_conn_t *conn, const tg_claimant_t *claimant)
{
    char partition[4];
    tg_pg_put_int4(partition, claimant->partition);
    const tg_str_t params[] = {tg_str_from(claimant->topic), {partition, 4}};
    tg_log_warn("owner_terminated", TG_F_TEXT("topic", claimant->topic),
                TG_F_INT("partition", claimant->partition),
                TG_F_TEXT("reason", "its transaction did not end within the lock timeout"));
    return tg_conn_query(conn, TG_SQL_END_OWNER, params, NULL);
}

tg_status_t tg_claim_take(tg_conn_t *conn, const tg_claimant_t *claimant, tg_claim_t *out_claim)
{
    assert(claimant->topic != NULL);
    PGresult *result = NULL;
    char partition[4];
    tg_pg_put_int4(partition, claimant->partition);
    const tg_str_t params[] = {tg_str_from(claimant->topic),
                               {partition, 4},
                               tg_str_from(claimant->owner),
                               tg_str_from(claimant->cluster_id)};
    tg_status_t status = tg_conn_query(conn, TG_SQL_CLAIM, params, &result);

    if (status != TG_OK && strcmp(tg_conn_sqlstate(conn), LOCK_TIMEOUT_SQLSTATE) == 0) {
        status = end_owner(conn, claimant);
        if (status == TG_OK)
            status = tg_conn_query(conn, TG_SQL_CLAIM, params, &result);
    }
    if (status != TG_OK)
        return TG_UNAVAILABLE;
    return read_claim(result, out_claim);
}

tg_status_t tg_claim_again(tg_conn_t *conn, const tg_claimant_t *claimant, int64_t epoch,
                           tg_claim_t *out_claim)
{
    assert(epoch > 0);
    PGresult *result = NULL;
    char partition[4], number[8];
    tg_pg_put_int4(partition, claimant->partition);
    tg_pg_put_int8(number, epoch);
    const tg_str_t params[] = {tg_str_from(claimant->topic),
                               {partition, 4},
                               {number, 8},
                               tg_str_from(claimant->owner)};
    tg_status_t status = tg_conn_query(conn, TG_SQL_CLAIM_AGAIN, params, &result);
    return status == TG_OK ? read_claim(result, out_claim) : TG_UNAVAILABLE;
}

tg_status_t tg_claim_reset(tg_conn_t *conn, const tg_claimant_t *claimant, tg_claim_t *claim)
{
    PGresult *result = NULL;
    char partition[4], number[8], text[TG_UUID_TEXT_LEN];
    tg_uuid_t id;

    tg_uuid_v7(tg_time_now() / TG_US_PER_MS, &id);
    tg_uuid_format(&id, text);
    tg_pg_put_int4(partition, claimant->partition);
    tg_pg_put_int8(number, claim->epoch);
    const tg_str_t params[] = {tg_str_from(claimant->topic),
                               {partition, 4},
                               {number, 8},
                               {text, sizeof(text)}};
    tg_status_t status = tg_conn_query(conn, TG_SQL_RESET, params, &result);
    if (status != TG_OK)
        return TG_UNAVAILABLE;
    bool ours = strcmp(PQcmdTuples(result), "1") == 0;
    PQclear(result);
    if (!ours)
        return TG_DENIED;
    snprintf(claim->topic_id, sizeof(claim->topic_id), TG_STR_FMT, (int)sizeof(text), text);
    claim->next_offset = TG_CLAIM_NOTHING_STORED;
    return TG_OK;
}
