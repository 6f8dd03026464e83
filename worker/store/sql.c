/* The statements. Rows arrive sorted and unnest keeps their order, so locks are taken in key order.
 *
 * The large ones have unnest in the select list, not in FROM: there the server hands on one row at
 * a time, while a function in FROM is written to a tuple store first, for each array apart (1.7
 * against 4.8 µs for a row of ten columns). The arrays of a batch are equally long. */
#include "worker/store/sql.h"

#include "worker/pg/pgarray.h"

/* The kept time is read by a second statement, whose snapshot is newer than the insert: it sees the
 * row of whoever was first, also one that committed while the insert waited for it. */
#define KEEP_TIMES                                                                                 \
    "INSERT INTO data.event_times (tenant_id, type, event_id, occurred_at) "                       \
    "SELECT * FROM unnest($1, $2, $3, $4) ON CONFLICT DO NOTHING"
#define READ_TIMES                                                                                 \
    "SELECT k.occurred_at FROM unnest($1, $2, $3) WITH ORDINALITY AS q(tenant_id, type, "          \
    "event_id, n) "                                                                                \
    "JOIN data.event_times k USING (tenant_id, type, event_id) ORDER BY q.n"

#define EVENT_COLUMNS                                                                              \
    "tenant_id, type, event_id, occurred_at, received_at, processed_at, kind, entity, user_id, "   \
    "value, payload"
const char tg_sql_copy_events[] = "COPY data.events (" EVENT_COLUMNS ") FROM STDIN (FORMAT binary)";

#define EVENTS                                                                                     \
    "INSERT INTO data.events (" EVENT_COLUMNS ") "                                                 \
    "SELECT t, y, i, o, r, $11, k, e, u, v, p::jsonb FROM ("                                       \
    "SELECT unnest($1) t, unnest($2) y, unnest($3) i, unnest($4) o, unnest($5) r, unnest($6) k, "  \
    "unnest($7) e, unnest($8) u, unnest($9) v, unnest($10) p) q ON CONFLICT DO NOTHING "           \
    "RETURNING tenant_id, type, event_id, occurred_at"

#define MINUTES                                                                                    \
    "INSERT INTO data.metric_minute AS m (tenant_id, type, bucket, kind, entity, count, "          \
    "value_count, sum, min, max) "                                                                 \
    "SELECT t, y, b, k, e, c, n, s::numeric, lo, hi FROM ("                                        \
    "SELECT unnest($1) t, unnest($2) y, unnest($3) b, unnest($4) k, unnest($5) e, unnest($6) c, "  \
    "unnest($7) n, unnest($8) s, unnest($9) lo, unnest($10) hi) q "                                \
    "ON CONFLICT (tenant_id, type, bucket, kind, entity) DO UPDATE SET "                           \
    "count = m.count + excluded.count, value_count = m.value_count + excluded.value_count, "       \
    "sum = m.sum + excluded.sum, min = least(m.min, excluded.min), "                               \
    "max = greatest(m.max, excluded.max)"

#define HOURS                                                                                      \
    "INSERT INTO data.touched_hours (tenant_id, hour, late) "                                      \
    "SELECT t, h, l <> 0 FROM unnest($1, $2, $3) AS q(t, h, l)"

#define LATE                                                                                       \
    "INSERT INTO data.late_bins (tenant_id, type, hour, kind, entity, bin, count) "                \
    "SELECT t, y, h, k, e, b::smallint, 1 FROM unnest($1, $2, $3, $4, $5, $6) "                    \
    "AS q(t, y, h, k, e, b)"

#define STATES                                                                                     \
    "INSERT INTO data.stream_state AS s (tenant_id, type, entity, name, value) "                   \
    "SELECT * FROM unnest($1, $2, $3, $4, $5) "                                                    \
    "ON CONFLICT (tenant_id, type, entity, name) DO UPDATE SET "                                   \
    "value = s.value + excluded.value, updated_at = now()"

#define DEAD_LETTER                                                                                \
    "INSERT INTO data.dead_letters (id, tenant_id, type, event_id, occurred_at, error_code, "      \
    "error_text, topic, partition, record_offset, topic_id, record_key, record_value, headers, "   \
    "error_field, published_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "  \
    "$14::text::jsonb, $15, CASE WHEN $16 = 1 THEN now() END) "                                    \
    "ON CONFLICT DO NOTHING"

/* A first claim makes the row; the row's own lock is what a claim waits for. */
#define CLAIM                                                                                      \
    "WITH before AS (SELECT cluster_id FROM data.consumer_offsets "                                \
    "                WHERE topic = $1 AND partition = $2) "                                        \
    "INSERT INTO data.consumer_offsets AS o (topic, partition, epoch, owner, backend_pid, "        \
    "cluster_id) VALUES ($1, $2, 1, $3, pg_backend_pid(), $4) "                                    \
    "ON CONFLICT (topic, partition) DO UPDATE SET epoch = o.epoch + 1, owner = excluded.owner, "   \
    "backend_pid = excluded.backend_pid, updated_at = now(), "                                     \
    "cluster_id = CASE WHEN excluded.cluster_id = '' THEN o.cluster_id "                           \
    "                  ELSE excluded.cluster_id END, "                                             \
    "topic_id = CASE WHEN '' IN (excluded.cluster_id, o.cluster_id) "                              \
    "                     OR excluded.cluster_id = o.cluster_id "                                  \
    "                THEN o.topic_id ELSE gen_random_uuid()::text END, "                           \
    "next_offset = CASE WHEN '' IN (excluded.cluster_id, o.cluster_id) "                           \
    "                        OR excluded.cluster_id = o.cluster_id THEN o.next_offset END "        \
    "RETURNING epoch, next_offset, topic_id, "                                                     \
    "coalesce((SELECT cluster_id NOT IN ('', $4) AND $4 <> '' FROM before), false)"

#define CLAIM_AGAIN                                                                                \
    "UPDATE data.consumer_offsets SET epoch = epoch + 1, owner = $4, "                             \
    "backend_pid = pg_backend_pid(), updated_at = now() "                                          \
    "WHERE topic = $1 AND partition = $2 AND epoch = $3 RETURNING epoch, next_offset, topic_id, "  \
    "false"

/* A process id may have been given anew: only a backend of our own role is ended, and that one
 * merely reconnects. */
#define END_OWNER                                                                                  \
    "SELECT pg_terminate_backend(a.pid) FROM data.consumer_offsets o "                             \
    "JOIN pg_stat_activity a ON a.pid = o.backend_pid AND a.usename = current_user "               \
    "WHERE o.topic = $1 AND o.partition = $2 AND a.pid <> pg_backend_pid()"

#define LEASE                                                                                      \
    "INSERT INTO data.leases AS l (name, owner, epoch, expires_at) "                               \
    "VALUES ($1, $2, 1, now() + $3 * interval '1 second') "                                        \
    "ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at, "  \
    "epoch = l.epoch + CASE WHEN l.owner = excluded.owner THEN 0 ELSE 1 END "                      \
    "WHERE l.owner = excluded.owner OR l.expires_at < now() RETURNING epoch"

#define PURGE_TIMES                                                                                \
    "DELETE FROM data.event_times WHERE ctid = ANY (ARRAY(SELECT ctid FROM data.event_times "      \
    "WHERE created_at < now() - interval '7 days' LIMIT $1))"

/* Locked while they are sent, so that two publishers never send the same letter at the same time.
 */
#define DEAD_UNSENT                                                                                \
    "WITH unsent AS MATERIALIZED (SELECT * FROM data.dead_letters WHERE published_at IS NULL "     \
    "ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED) "                                        \
    "SELECT u.id, u.topic, u.partition, u.record_offset, u.error_code, u.error_text, "             \
    "u.record_key, u.record_value, h.value ->> 'name', "                                           \
    "decode(h.value ->> 'value', 'base64') FROM unsent u "                                         \
    "LEFT JOIN LATERAL jsonb_array_elements(u.headers) WITH ORDINALITY AS h(value, n) ON true "    \
    "ORDER BY u.created_at, u.id, h.n"

#define T  TG_PG_TEXT
#define TA TG_PG_TEXT_ARRAY
#define I4 TG_PG_INT4
#define I8 TG_PG_INT8
#define IA TG_PG_INT8_ARRAY
#define ZA TG_PG_TIMESTAMPTZ_ARRAY
#define UA TG_PG_UUID_ARRAY
#define FA TG_PG_FLOAT8_ARRAY

// clang-format off
const tg_statement_t tg_sql_statements[TG_SQL_COUNT] = {
    [TG_SQL_FENCE] = {"fence", "UPDATE data.consumer_offsets SET next_offset = $4, updated_at = now() "
                      "WHERE topic = $1 AND partition = $2 AND epoch = $3", 4, {T, I4, I8, I8}},
    [TG_SQL_KEEP_TIMES] = {"keep_times", KEEP_TIMES, 4, {TA, TA, UA, ZA}},
    [TG_SQL_READ_TIMES] = {"read_times", READ_TIMES, 3, {TA, TA, UA}},
    [TG_SQL_EVENTS] = {"events", EVENTS, 11, {TA, TA, UA, ZA, ZA, TA, TA, TA, FA, TA, TG_PG_TIMESTAMPTZ}},
    [TG_SQL_MINUTES] = {"minutes", MINUTES, 10, {TA, TA, ZA, TA, TA, IA, IA, TA, FA, FA}},
    [TG_SQL_STATES] = {"states", STATES, 5, {TA, TA, TA, TA, IA}},
    [TG_SQL_HOURS] = {"hours", HOURS, 3, {TA, ZA, TG_PG_INT4_ARRAY}},
    [TG_SQL_LATE] = {"late", LATE, 6, {TA, TA, ZA, TA, TA, TG_PG_INT4_ARRAY}},
    [TG_SQL_DEAD_LETTER] = {"dead_letter", DEAD_LETTER, 16,
                            {TG_PG_UUID, T, T, TG_PG_UUID, TG_PG_TIMESTAMPTZ, T, T, T, I4, I8, T, TG_PG_BYTEA,
                             TG_PG_BYTEA, T, T, I4}},
    [TG_SQL_ENSURE_DAYS] = {"ensure_days", "SELECT data.ensure_days($1)", 1, {TG_PG_DATE_ARRAY}},
    [TG_SQL_CLAIM] = {"claim", CLAIM, 4, {T, I4, T, T}},
    [TG_SQL_CLAIM_AGAIN] = {"claim_again", CLAIM_AGAIN, 4, {T, I4, I8, T}},
    [TG_SQL_RESET] = {"reset", "UPDATE data.consumer_offsets SET next_offset = NULL, topic_id = $4, updated_at = now() "
                      "WHERE topic = $1 AND partition = $2 AND epoch = $3", 4, {T, I4, I8, T}},
    [TG_SQL_END_OWNER] = {"end_owner", END_OWNER, 2, {T, I4}},
    [TG_SQL_LEASE] = {"lease", LEASE, 3, {T, T, TG_PG_FLOAT8}},
    [TG_SQL_ENGINE] = {"engine", "SELECT data.engine()", 0, {0}},
    [TG_SQL_PURGE_TIMES] = {"purge_times", PURGE_TIMES, 1, {I8}},
    [TG_SQL_DEAD_UNSENT] = {"dead_unsent", DEAD_UNSENT, 1, {I8}},
    [TG_SQL_DEAD_SENT] = {"dead_sent", "UPDATE data.dead_letters SET published_at = now() WHERE id = $1", 1, {TG_PG_UUID}},
    [TG_SQL_BIN_HOURS] = {"bin_hours", "SELECT * FROM data.bin_hours($1, $2, $3)", 3, {I8, I8, I8}},
    [TG_SQL_BIN_LATE] = {"bin_late", "SELECT data.fold_late_bins($1, $2)", 2, {I8, I4}},
    [TG_SQL_RETENTION_PARTS] = {"retention_parts", "SELECT relation, part, packed, day FROM data.retention_parts()", 0, {0}},
    [TG_SQL_EXPIRE] = {"expire", "SELECT data.expire($1, $2, $3, $4, $5::float8 * interval '1 millisecond', $6)", 6,
                       {T, T, T, TG_PG_TIMESTAMPTZ, I8, I4}},
};
// clang-format on
