/* Readings, activity, and the lists of single rows: signals, anomalies, alerts.
 *
 * A lateral part with OFFSET 0 is run once per minute that the minute aggregate names. That is how
 * a condition that comes from other rows gets through the barrier of api.events to its key; it must
 * be of plain columns, as the barrier lets no sum of a time and an interval through. */
#include "query/sql.h"

#include "query/sql_macros.h"

// clang-format off
#define ALL_TYPES "order,session,stream,signal,reading,activity"

#define READINGS_IN(minute)                                                                        \
    "(select event_id, entity, kind, value, payload ->> 'unit' as unit, occurred_at"               \
    " from api.events where type = 'reading' and " SINCE_UNTIL("occurred_at")                      \
    " and " IF_GIVEN("$3", "entity") " and " IF_GIVEN("$4", "kind")                                \
    " and occurred_at >= " minute ".bucket and occurred_at < " minute ".bucket_end offset 0)"

/* Each series' newest minute, then its newest reading in there: the rows of a few minutes are read,
 * however long the range is. */
static const char reading_latest_sql[] =
    "with newest as materialized (select entity, kind, max(bucket) as bucket,"
    " max(bucket) + interval '1 minute' as bucket_end from api.metric_minute where type = 'reading' and " SINCE_UNTIL("bucket")
    " and " IF_GIVEN("$3", "entity") " and " IF_GIVEN("$4", "kind")
    " group by entity, kind order by entity, kind limit $5::bigint)"
    " select entity, kind, value, unit, " MICROS("occurred_at")
    " from (select distinct on (e.entity, e.kind) e.* from (select distinct bucket,"
    " bucket_end from newest) m cross join lateral " READINGS_IN("m") " e"
    " join newest n on n.entity = e.entity and n.kind = e.kind and n.bucket = m.bucket"
    " order by e.entity, e.kind, e.occurred_at desc, e.event_id desc) latest order by 1, 2";

/* Newest minutes until they hold `limit` readings (a minute that the range's end cuts counts as
 * none), then the readings in them. */
static const char reading_history_sql[] =
    "with minutes as materialized (select bucket, bucket + interval '1 minute' as bucket_end,"
    " sum(case when bucket + interval '1 minute' <= $2::timestamptz then count else 0 end) over (order by bucket desc rows between unbounded"
    " preceding and 1 preceding) as newer from api.metric_minute where type = 'reading'"
    " and entity = $3::text and kind = $4::text"
    " and bucket >= $5::timestamptz and bucket < $2::timestamptz)"
    " select " MICROS("occurred_at") ", value, unit from (select e.* from"
    " (select bucket, bucket_end from minutes where coalesce(newer, 0) < $6::bigint) m"
    " cross join lateral " READINGS_IN("m") " e"
    " order by occurred_at desc, event_id desc limit $6::bigint) newest"
    " order by occurred_at, event_id";

static const tg_column_t reading_latest_columns[] = {
    {"device_id", TG_COLUMN_TEXT}, {"metric", TG_COLUMN_TEXT}, {"value", TG_COLUMN_NUMBER},
    {"unit", TG_COLUMN_TEXT},      {"ts", TG_COLUMN_TIME},
};
static const tg_column_t reading_history_columns[] = {
    {"ts", TG_COLUMN_TIME}, {"value", TG_COLUMN_NUMBER}, {"unit", TG_COLUMN_TEXT},
};

const tg_shape_t tg_sql_reading_latest = {.name = "iot.latest", .sql = reading_latest_sql,
                                          .types = "reading", COLUMNS(reading_latest_columns)};
const tg_shape_t tg_sql_reading_history = {.name = "iot.history", .sql = reading_history_sql,
                                           .types = "reading", COLUMNS(reading_history_columns)};

#define ACTIVITY                                                                                   \
    " from api.metric_minute where type = 'activity' and " SINCE_UNTIL("bucket")                   \
    " and " IF_GIVEN("$3", "entity")
static const char activity_latest_sql[] =
    "with newest as materialized (select bucket from api.newest_minutes where type = 'activity' and "
    SINCE_UNTIL("bucket") " and " IF_GIVEN("$3", "entity") " order by bucket desc limit 1)"
    " select " MICROS("bucket") ", " MICROS("(bucket + interval '1 minute')") ", kind, sum(count)"
    ACTIVITY " and bucket = (select bucket from newest) group by bucket, kind order by kind limit 5000";

static const tg_column_t activity_columns[] = {
    {"window_start", TG_COLUMN_TIME}, {"window_end", TG_COLUMN_TIME},
    {"event_type", TG_COLUMN_TEXT},   {"count", TG_COLUMN_NUMBER},
};
static const tg_column_t leaderboard_columns[] = {
    {"page", TG_COLUMN_TEXT}, {"purchases", TG_COLUMN_NUMBER},
};

const tg_shape_t tg_sql_activity_latest = {.name = "activity.latest", .sql = activity_latest_sql,
                                           .types = "activity", .bucket = "minute",
                                           COLUMNS(activity_columns)};
const tg_shape_t tg_sql_leaderboard = {.name = "activity.top",
                                       .sql = TOP_OF("activity", "purchase", "sum(count)"),
                                       .types = "activity", COLUMNS(leaderboard_columns)};

/* The newest rows, oldest first. Rows carry documents of up to 256 KiB each, so those behind the one
 * that passes 16 MiB stay in the server; the answer is then too large by itself (TG_RENDER_BODY_MAX)
 * and is refused. */
#define NEWEST_ROWS(columns, view, time, document, condition, limit)                               \
    "select " columns " from (select q.*, sum(octet_length(q." document "::text)) over"            \
    " (order by q." time " desc, q.id desc rows between unbounded preceding and 1 preceding) as"   \
    " before from (select * from " view " where " SINCE_UNTIL(time) " and " condition              \
    " order by " time " desc, id desc limit " limit "::bigint) q) w"                               \
    " where coalesce(before, 0) <= 16777216 order by " time ", id"

static const tg_column_t signal_columns[] = {
    {"id", TG_COLUMN_TEXT},      {"user_id", TG_COLUMN_TEXT}, {"source", TG_COLUMN_TEXT},
    {"type", TG_COLUMN_TEXT},    {"event_ts", TG_COLUMN_TIME}, {"value", TG_COLUMN_NUMBER},
    {"payload", TG_COLUMN_JSON}, {"received_at", TG_COLUMN_TIME},
};
static const tg_column_t anomaly_columns[] = {
    {"id", TG_COLUMN_TEXT},         {"user_id", TG_COLUMN_TEXT},
    {"anomaly_type", TG_COLUMN_TEXT}, {"severity", TG_COLUMN_NUMBER},
    {"detection_ts", TG_COLUMN_TIME}, {"signal_event_id", TG_COLUMN_TEXT},
    {"context", TG_COLUMN_JSON},
};
static const tg_column_t alert_columns[] = {
    {"id", TG_COLUMN_TEXT},          {"source", TG_COLUMN_TEXT},
    {"ts", TG_COLUMN_TIME},          {"name", TG_COLUMN_TEXT},
    {"severity", TG_COLUMN_NUMBER},  {"state", TG_COLUMN_TEXT},
    {"resolved_at", TG_COLUMN_TIME}, {"acknowledged_at", TG_COLUMN_TIME},
    {"context", TG_COLUMN_JSON},
};

const tg_shape_t tg_sql_signals = {
    .name = "signals", .types = "signal", COLUMNS(signal_columns),
    .sql = NEWEST_ROWS("id, user_id, source, type, " MICROS("event_ts") ", value, payload, "
                       MICROS("received_at"), "api.signals", "event_ts", "payload",
                       IF_GIVEN("$3", "user_id") " and " IF_GIVEN("$4", "source") " and "
                       IF_GIVEN("$5", "type"), "$6"),
};
const tg_shape_t tg_sql_anomalies = {
    .name = "anomalies", .types = ALL_TYPES, COLUMNS(anomaly_columns),
    .sql = NEWEST_ROWS("id, user_id, anomaly_type, severity, " MICROS("detection_ts")
                       ", signal_event_id, context", "api.anomalies", "detection_ts", "context",
                       IF_GIVEN("$3", "user_id") " and " IF_GIVEN("$4", "anomaly_type")
                       " and ($5::int is null or severity = $5::int)", "$6"),
};
const tg_shape_t tg_sql_alerts = {
    .name = "alerts", .types = ALL_TYPES, COLUMNS(alert_columns),
    .sql = NEWEST_ROWS("id, source, " MICROS("ts") ", name, severity, state, " MICROS("resolved_at")
                       ", " MICROS("acknowledged_at") ", context", "api.alerts", "ts", "context",
                       IF_GIVEN("$3", "source") " and ($4::int is null or severity = $4::int)", "$5"),
};
// clang-format on
