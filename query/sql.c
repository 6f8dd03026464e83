/* KPIs and streams. The readings and the lists of single rows are in sql_events.c. */
#include "query/sql.h"

#include "query/sql_macros.h"

// clang-format off
/* Orders by currency beside the sessions of the same bucket. A bucket with sessions and no order
 * has one row without a currency (or with the one that was asked for). Averages and ratios are
 * derived here and nowhere stored. */
#define KPI_ORDERS(source, condition)                                                              \
    "select bucket, kind as currency, sum(count) as orders, sum(sum) as revenue,"                  \
    " sum(value_count) as priced from " source " where type = 'order' and " condition              \
    " and " IF_GIVEN("$3", "kind") " group by bucket, kind"
#define KPI_SESSIONS(source, condition)                                                            \
    "select bucket, coalesce(sum(count) filter (where kind = 'view'), 0) as views,"                \
    " coalesce(sum(count) filter (where kind = 'checkout'), 0) as checkouts,"                      \
    " coalesce(sum(count) filter (where kind = 'purchase'), 0) as purchases from " source          \
    " where type = 'session' and " condition " group by bucket"
#define KPI_COLUMNS                                                                                \
    " select " MICROS("bucket") ", coalesce(o.currency, $3::text),"                                \
    " trim_scale(coalesce(o.revenue, 0)), coalesce(o.orders, 0),"                                  \
    " trim_scale(round(o.revenue / nullif(o.priced, 0), 6)),"                                      \
    " coalesce(s.views, 0), coalesce(s.checkouts, 0), coalesce(s.purchases, 0),"                   \
    " trim_scale(round(s.purchases::numeric / nullif(s.views, 0), 6))"                             \
    " from o full join s using (bucket)"

/* Hours are those rolled up and, for the marked ones, their minutes. api.metric_hour has the same, but
 * the planner cannot carry a range through that view to the minutes and opens every partition of
 * them (45 ms at 400 days). Hence both parts here, each with its bounds; that $2 is a whole hour makes
 * it a bound of minutes too. OFFSET 0 keeps the lateral part one query per hour: as a join, its
 * condition could not enter the barrier and all minutes of the range would be read. */
#define IN_NEWEST(time) time " = (select bucket from newest) and " SINCE_UNTIL(time)
#define HOURS(condition)                                                                           \
    "hours as materialized (select type, bucket, kind, count, value_count, sum"                    \
    " from api.metric_hour_rolled where type in ('order', 'session') and " condition("bucket")     \
    " union all select m.type, t.hour, m.kind, m.count, m.value_count, m.sum"                      \
    " from api.marked_hours t cross join lateral (select type, kind, count, value_count, sum"      \
    " from api.metric_minute where type in ('order', 'session') and " SINCE_UNTIL("bucket")        \
    " and bucket >= t.hour and bucket < t.hour_end offset 0) m"                    \
    " where " condition("t.hour") "), "

/* The newest `limit` rows, oldest first. No row of the answer needs more than `limit` groups of
 * orders; if there are so many, none needs sessions older than the oldest of them. A source that
 * comes newest first is read no further than that: a quarter of 24 hours of minutes in six
 * currencies. `since` is materialized and joined laterally because as a sub-select it could not
 * enter the view's barrier. */
#define KPI(level, source)                                                                         \
    "with " level "o as materialized (" KPI_ORDERS(source, SINCE_UNTIL("bucket"))                  \
    " order by bucket desc, kind limit $4::bigint),"                                               \
    " since as materialized (select coalesce((select min(bucket) from o"                           \
    " having count(*) >= $4::bigint), $1::timestamptz) as bucket),"                                \
    " s as (select m.* from since cross join lateral ("                                            \
    KPI_SESSIONS(source, SINCE_UNTIL("bucket") " and bucket >= since.bucket")                      \
    " order by bucket desc limit $4::bigint) m)"                                                   \
    " select * from (" KPI_COLUMNS                                                                 \
    " order by bucket desc, o.currency limit $4::bigint) newest order by 1, 2"

/* An hour with data has a minute with data, and only minutes can be asked for their newest. */
#define NEWEST(type)                                                                               \
    "(select bucket from api.newest_minutes where type = '" type "' and " SINCE_UNTIL("bucket")    \
    " order by bucket desc limit 1)"
#define KPI_LATEST(unit, level, source)                                                            \
    "with newest as materialized (select date_bin('1 " unit "', greatest(" NEWEST("order") ", "    \
    NEWEST("session") "), '2000-01-01T00:00:00Z') as bucket), " level                              \
    "o as (" KPI_ORDERS(source, IN_NEWEST("bucket")) "), s as ("                                   \
    KPI_SESSIONS(source, IN_NEWEST("bucket")) ")" KPI_COLUMNS " order by o.currency"

static const tg_column_t kpi_columns[] = {
    {"bucket", TG_COLUMN_TIME},       {"currency", TG_COLUMN_TEXT},
    {"revenue", TG_COLUMN_NUMBER},    {"orders", TG_COLUMN_NUMBER},
    {"avg_order", TG_COLUMN_NUMBER},  {"views", TG_COLUMN_NUMBER},
    {"checkouts", TG_COLUMN_NUMBER},  {"purchases", TG_COLUMN_NUMBER},
    {"conversion", TG_COLUMN_NUMBER},
};

#define KPI_SHAPE(key, word, text)                                                                 \
    {.name = (key), .sql = (text), .types = "order,session", .bucket = (word), COLUMNS(kpi_columns)}

const tg_shape_t tg_sql_kpi[2] = {
    KPI_SHAPE("kpi.minute", "minute", KPI("", "api.newest_minutes")),
    KPI_SHAPE("kpi.hour", "hour", KPI(HOURS(SINCE_UNTIL), "hours")),
};
const tg_shape_t tg_sql_kpi_latest[2] = {
    KPI_SHAPE("kpi.latest.minute", "minute", KPI_LATEST("minute", "", "api.metric_minute")),
    KPI_SHAPE("kpi.latest.hour", "hour", KPI_LATEST("hour", HOURS(IN_NEWEST), "hours")),
};

/* One row per stream and minute. The viewers at a minute's end are the current state less the
 * deltas of all later minutes; those after `to` are counted too, as events may be up to ten minutes
 * ahead. The state and the minutes are of one snapshot (one statement), so they agree. */
#define STREAM_MINUTES(since, until)                                                                      \
    "minutes as (select bucket, entity,"                                                           \
    " coalesce(sum(count) filter (where kind = 'chat_message'), 0) as chat,"                       \
    " coalesce(sum(sum) filter (where kind = 'donation'), 0) as donations,"                        \
    " coalesce(sum(count) filter (where kind = 'viewer_join'), 0)"                                 \
    " - coalesce(sum(count) filter (where kind = 'viewer_leave'), 0) as delta"                     \
    " from api.metric_minute where type = 'stream' and bucket >= " since                           \
    " and bucket < " until "::timestamptz and " IF_GIVEN("$3", "entity")                           \
    " group by bucket, entity),"                                                                   \
    " viewed as (select m.*, greatest(coalesce(s.value, 0) - coalesce(sum(m.delta) over"           \
    " (partition by m.entity order by m.bucket desc rows between unbounded preceding and 1"        \
    " preceding), 0), 0) as viewers from minutes m left join api.stream_state s"                   \
    " on s.type = 'stream' and s.entity = m.entity and s.name = 'active_viewers')"
#define STREAM_COLUMNS                                                                             \
    MICROS("bucket") ", " MICROS("(bucket + interval '1 minute')")                                 \
    ", entity, viewers, chat, trim_scale(donations) from viewed"

static const tg_column_t stream_columns[] = {
    {"window_start", TG_COLUMN_TIME},    {"window_end", TG_COLUMN_TIME},
    {"stream_id", TG_COLUMN_TEXT},       {"active_viewers", TG_COLUMN_NUMBER},
    {"chat_messages", TG_COLUMN_NUMBER}, {"donations_usd", TG_COLUMN_NUMBER},
};

static const char stream_sql[] =
    "with " STREAM_MINUTES("$1::timestamptz", "$5")
    " select * from (select " STREAM_COLUMNS " where bucket < $2::timestamptz"
    " order by bucket desc, entity limit $4::bigint) newest order by 1, 3";

static const char stream_latest_sql[] =
    "with newest as materialized (select bucket from api.newest_minutes where type = 'stream' and "
    SINCE_UNTIL("bucket") " and " IF_GIVEN("$3", "entity") " order by bucket desc limit 1), "
    STREAM_MINUTES("$1::timestamptz and bucket >= (select bucket from newest)", "$4")
    " select " STREAM_COLUMNS " where bucket = (select bucket from newest) order by entity limit 5000";

#define STREAM_SHAPE(key, text)                                                                    \
    {.name = (key), .sql = (text), .types = "stream", .bucket = "minute", COLUMNS(stream_columns)}

const tg_shape_t tg_sql_stream = STREAM_SHAPE("stream", stream_sql);
const tg_shape_t tg_sql_stream_latest = STREAM_SHAPE("stream.latest", stream_latest_sql);

static const tg_column_t top_donations[] = {{"stream_id", TG_COLUMN_TEXT},
                                            {"donations_usd", TG_COLUMN_NUMBER}};
static const tg_column_t top_chat[] = {{"stream_id", TG_COLUMN_TEXT},
                                       {"chat_messages", TG_COLUMN_NUMBER}};
static const tg_column_t top_viewers[] = {{"stream_id", TG_COLUMN_TEXT},
                                          {"active_viewers", TG_COLUMN_NUMBER}};

const tg_shape_t tg_sql_top[3] = {
    {.name = "top.donations",
     .sql = TOP_OF("stream", "donation", "sum(sum)"),
     .types = "stream",
     COLUMNS(top_donations)},
    {.name = "top.chat",
     .sql = TOP_OF("stream", "chat_message", "sum(count)"),
     .types = "stream",
     COLUMNS(top_chat)},
    /* Viewers are a state, not a sum: those who watch now, of the streams with an event in the
       range. */
    {.name = "top.viewers",
     .sql =
         "select s.entity, greatest(s.value, 0) from api.stream_state s"
         " where s.type = 'stream' and s.name = 'active_viewers'"
         " and exists (select from api.metric_minute m where m.type = 'stream'"
         " and m.entity = s.entity and m.bucket >= $1::timestamptz and m.bucket < $2::timestamptz)"
         " order by greatest(s.value, 0) desc, s.entity limit $3::bigint",
     .types = "stream",
     COLUMNS(top_viewers)},
};
// clang-format on
