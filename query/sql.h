/* The statements of the v1 reads and the shapes of their rows.
 *
 * All read the security-barrier views of schema api, whose predicate is the tenant that the pool
 * sets in the same transaction. Numbers leave PostgreSQL as text that is valid JSON.
 *
 * Bounds of time are parameters and never expressions over now(): only a constant lets the planner
 * leave out the other days' partitions. `ahead` lies behind the last minute that may hold an event.
 * Of the KPIs, both bounds are whole buckets.
 *
 * Threads: read-only. */
#ifndef TG_QUERY_SQL_H
#define TG_QUERY_SQL_H

#include "query/plan.h"

extern const tg_shape_t tg_sql_kpi[2]; /* minute, hour; $1 from, $2 to, $3 currency, $4 limit */
extern const tg_shape_t tg_sql_kpi_latest[2]; /* minute, hour; $1 from, $2 to, $3 currency */
extern const tg_shape_t tg_sql_stream;        /* $1 from, $2 to, $3 stream, $4 limit, $5 ahead */
extern const tg_shape_t tg_sql_stream_latest; /* $1 from, $2 to, $3 stream, $4 ahead */
extern const tg_shape_t tg_sql_top[3]; /* by donations, chat, viewers; $1 from, $2 to, $3 n */

extern const tg_shape_t
    tg_sql_reading_latest; /* $1 from, $2 ahead, $3 device, $4 metric, $5 limit */
extern const tg_shape_t tg_sql_reading_history; /* $1 from, $2 to, $3 device, $4 metric, $5 from's
                                                   minute, $6 limit */
extern const tg_shape_t tg_sql_activity_latest; /* $1 from, $2 to, $3 page */
extern const tg_shape_t tg_sql_leaderboard;     /* $1 from, $2 to, $3 n */
extern const tg_shape_t tg_sql_signals; /* $1 from, $2 to, $3 user, $4 source, $5 type, $6 limit */
extern const tg_shape_t tg_sql_anomalies; /* …, $3 user, $4 type, $5 severity, $6 limit */
extern const tg_shape_t tg_sql_alerts;    /* …, $3 source, $4 severity, $5 limit */

#endif
