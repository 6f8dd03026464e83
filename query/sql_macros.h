/* Pieces of text that the statements share; for the sql*.c files only.
 *
 * Literals are put together by the preprocessor, so each statement is one constant with one
 * address: the key of its prepared form.
 *
 * Threads: read-only. */
#ifndef TG_QUERY_SQL_MACROS_H
#define TG_QUERY_SQL_MACROS_H

/* A time as the renderer takes it. */
#define MICROS(time) "(extract(epoch from " time ") * 1000000)::bigint"

#define SINCE_UNTIL(time) time " >= $1::timestamptz and " time " < $2::timestamptz"

/* $n, when given, is the column's text. */
#define IF_GIVEN(n, column) "(" n "::text is null or " column " = " n "::text)"

#define COLUMNS(rows) .columns = (rows), .column_count = TG_ARRAY_LEN(rows)

/* Entities by a number of one kind of event: $1 from, $2 to, $3 n. */
#define TOP_OF(type, kind, value)                                                                  \
    "select entity, trim_scale((" value ")::numeric) from api.metric_minute"                       \
    " where type = '" type "' and kind = '" kind                                                   \
    "' and " SINCE_UNTIL("bucket") " group by entity order by " value                              \
                                   " desc, entity limit $3::bigint"

#endif
