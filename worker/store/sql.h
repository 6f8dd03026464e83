/* Every statement that a worker's connection prepares, by number.
 *
 * One table, because statements are prepared once per connection and a thread has one connection
 * for all it does. Parameters travel in binary format; text is cast where the server has no binary
 * form that we want to write (jsonb, numeric).
 *
 * Threads: constants. */
#ifndef TG_SQL_H
#define TG_SQL_H

#include "worker/pg/conn.h"

enum tg_sql {
    TG_SQL_FENCE,      /* topic, partition, epoch, next_offset: 0 rows when fenced */
    TG_SQL_KEEP_TIMES, /* tenant[], type[], id[], time[] */
    TG_SQL_READ_TIMES, /* tenant[], type[], id[]: the time kept for each */
    TG_SQL_EVENTS,     /* the columns of data.events; returns the keys of the new rows */
    TG_SQL_MINUTES,
    TG_SQL_STATES,
    TG_SQL_HOURS, /* tenant[], hour[], late[] (0 or 1) */
    TG_SQL_LATE,
    TG_SQL_DEAD_LETTER,
    TG_SQL_ENSURE_DAYS, /* date[] */
    TG_SQL_CLAIM,       /* topic, partition, owner, cluster */
    TG_SQL_CLAIM_AGAIN, /* topic, partition, epoch, owner: 0 rows when fenced */
    TG_SQL_RESET,       /* topic, partition, epoch, incarnation: starts anew at the earliest */
    TG_SQL_END_OWNER,   /* topic, partition: terminates the backend that holds the row */
    TG_SQL_LEASE,       /* name, owner, seconds: 1 row while we hold it */
    TG_SQL_ENGINE,      /* "plain" or "timescale" */
    TG_SQL_PURGE_TIMES, /* limit */
    TG_SQL_DEAD_UNSENT, /* limit: rows, one per header */
    TG_SQL_DEAD_SENT,   /* id */
    TG_SQL_BIN_HOURS,   /* lease epoch, rows per step, rows per hour */
    TG_SQL_BIN_LATE,    /* lease epoch, limit */
    TG_SQL_RETENTION_PARTS,
    TG_SQL_EXPIRE, /* relation, part, packed, day, age in ms, limit */
    TG_SQL_COUNT
};

extern const tg_statement_t tg_sql_statements[TG_SQL_COUNT];

/* Not prepared: COPY cannot be. All columns of data.events, binary. */
extern const char tg_sql_copy_events[];

#endif
