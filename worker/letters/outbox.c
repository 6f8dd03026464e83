/* One transaction per round: lock some unsent rows, send them, mark those that were acknowledged.
 */
#include "worker/letters/outbox.h"

#include <stdio.h>

#include "common/base/time.h"
#include "common/base/uuid.h"
#include "worker/pg/pgarray.h"
#include "worker/store/sql.h"

enum column { ID, TOPIC, PARTITION, OFFSET, CODE, TEXT, KEY, VALUE, HEADER_NAME, HEADER_VALUE };

struct letter {
    tg_uuid_t id;
    struct round *round;
    bool acknowledged;
};

struct round {
    struct letter letters[TG_OUTBOX_ROUND];
    size_t count, pending;
};

static void on_done(void *arg, tg_status_t status)
{
    struct letter *letter = arg;
    letter->acknowledged = status == TG_OK;
    assert(letter->round->pending > 0);
    letter->round->pending--;
}

static void add_header(rd_kafka_headers_t *headers, const char *name, tg_str_t value)
{
    (void)rd_kafka_header_add(headers, name, -1, value.ptr == NULL ? "" : value.ptr,
                              (ssize_t)value.len);
}

static void add_number(rd_kafka_headers_t *headers, const char *name, int64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%lld", (long long)number);
    add_header(headers, name, (tg_str_t){text, (size_t)len});
}

/* The error's context, then the headers as they were: rows first..end belong to one letter. */
static rd_kafka_headers_t *make_headers(const PGresult *rows, int first, int end)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    char id[TG_UUID_TEXT_LEN];
    tg_uuid_t uuid;

    memcpy(uuid.bytes, PQgetvalue(rows, first, ID), sizeof(uuid.bytes));
    tg_uuid_format(&uuid, id);
    add_header(headers, "tg-dlq-id", (tg_str_t){id, sizeof(id)});
    add_header(headers, "tg-dlq-topic", tg_conn_cell(rows, first, TOPIC));
    add_number(headers, "tg-dlq-partition", tg_conn_int4(rows, first, PARTITION));
    add_number(headers, "tg-dlq-offset", tg_conn_int8(rows, first, OFFSET));
    add_header(headers, "tg-dlq-code", tg_conn_cell(rows, first, CODE));
    add_header(headers, "tg-dlq-text", tg_conn_cell(rows, first, TEXT));
    for (int row = first; row < end; row++) {
        tg_str_t name = tg_conn_cell(rows, row, HEADER_NAME);
        tg_str_t value = tg_conn_cell(rows, row, HEADER_VALUE);
        if (name.ptr != NULL)
            (void)rd_kafka_header_add(headers, name.ptr, (ssize_t)name.len, value.ptr,
                                      (ssize_t)value.len);
    }
    return headers;
}

static void send_letter(const tg_outbox_t *outbox, const PGresult *rows, int first, int end,
                        struct round *round)
{
    struct letter *letter = &round->letters[round->count++];
    const tg_producer_record_t record = {.topic = outbox->topic,
                                         .key = tg_conn_cell(rows, first, KEY),
                                         .value = tg_conn_cell(rows, first, VALUE),
                                         .headers = make_headers(rows, first, end),
                                         .timestamp_ms = tg_time_now() / TG_US_PER_MS};
    *letter = (struct letter){.round = round};
    memcpy(letter->id.bytes, PQgetvalue(rows, first, ID), sizeof(letter->id.bytes));
    if (tg_producer_send(outbox->producer, &record, on_done, letter) == TG_OK)
        round->pending++;
    else
        rd_kafka_headers_destroy(record.headers);
}

static void send_all(const tg_outbox_t *outbox, const PGresult *rows, struct round *round)
{
    for (int first = 0, end; first < PQntuples(rows) && round->count < TG_OUTBOX_ROUND;
         first = end) {
        end = first + 1;
        while (end < PQntuples(rows) &&
               memcmp(PQgetvalue(rows, first, ID), PQgetvalue(rows, end, ID), 16) == 0)
            end++;
        send_letter(outbox, rows, first, end, round);
    }
    /* The producer's delivery timeout is shorter than the transaction may idle. */
    while (round->pending > 0)
        tg_loop_turn(outbox->loop, 100);
}

static tg_status_t mark_sent(tg_conn_t *conn, const struct round *round, size_t *out_sent)
{
    tg_status_t status = TG_OK;
    size_t sent = 0;

    for (size_t i = 0; i < round->count && status == TG_OK; i++) {
        const tg_str_t id = {(const char *)round->letters[i].id.bytes, 16};
        if (!round->letters[i].acknowledged)
            continue;
        status = tg_conn_send(conn, TG_SQL_DEAD_SENT, &id);
        sent++;
    }
    if (status == TG_OK)
        status = tg_conn_send_text(conn, "COMMIT");
    if (status == TG_OK)
        status = tg_conn_flush(conn);
    for (size_t i = 0; i <= sent && status == TG_OK; i++)
        status = tg_conn_expect(conn);
    if (status == TG_OK)
        *out_sent = sent;
    return status;
}

tg_status_t tg_outbox_round(const tg_outbox_t *outbox, tg_outbox_result_t *out_result)
{
    struct round round = {.count = 0};
    PGresult *rows = NULL;
    char limit[8];

    tg_pg_put_int8(limit, TG_OUTBOX_ROUND);
    *out_result = (tg_outbox_result_t){0};
    const tg_str_t params = {limit, sizeof(limit)};
    tg_status_t status = tg_conn_send_text(outbox->conn, "BEGIN");
    if (status == TG_OK)
        status = tg_conn_send(outbox->conn, TG_SQL_DEAD_UNSENT, &params);
    if (status == TG_OK)
        status = tg_conn_flush(outbox->conn);
    if (status == TG_OK)
        status = tg_conn_expect(outbox->conn);
    if (status == TG_OK)
        status = tg_conn_result(outbox->conn, &rows);
    if (status == TG_OK) {
        send_all(outbox, rows, &round);
        out_result->found = round.count;
        status = mark_sent(outbox->conn, &round, &out_result->sent);
    }
    PQclear(rows);
    tg_conn_settle(outbox->conn);
    return status;
}
