/* What one read needs: the statements to run, the key to cache the answer under, how to write its
 * rows.
 *
 * An endpoint turns a request's typed parameters into a plan and nothing else; running, caching and
 * answering are the same for all (flight.h). SQL is a literal with parameters, never built from
 * text.
 *
 * Threads: a plan belongs to its flight. */
#ifndef TG_QUERY_PLAN_H
#define TG_QUERY_PLAN_H

#include "common/base/time.h"
#include "common/http/server.h"
#include "common/pg/pool.h"

#define TG_PLAN_PARAMS_MAX 6
#define TG_PLAN_TEXT_MAX   300 /* bytes of one parameter: an identifier, its UTF-8 within 256 */
#define TG_PLAN_KEY_MAX    2176

typedef enum tg_column_type {
    TG_COLUMN_TIME,   /* bigint µs → RFC 3339 string */
    TG_COLUMN_TEXT,   /* string */
    TG_COLUMN_NUMBER, /* integer or numeric text → JSON number */
    TG_COLUMN_JSON,   /* jsonb → as it stands */
} tg_column_type_t;

/* One member of an item, in the order of the statement's columns. NULL is null. */
typedef struct tg_column {
    const char *name;
    tg_column_type_t type;
} tg_column_t;

/* One kind of answer: its statement and the shape of its rows. */
typedef struct tg_shape {
    const char *name; /* short, unique: part of the cache key */
    const char *sql;
    const char *types;  /* "order,session": whose newest minute is the answer's freshness */
    const char *bucket; /* "minute", "hour"; NULL when the answer has no bucket */
    const tg_column_t *columns;
    size_t column_count;
} tg_shape_t;

typedef struct tg_plan {
    const tg_shape_t *shape;
    size_t param_count;
    struct {
        bool null;
        size_t len;
        char text[TG_PLAN_TEXT_MAX];
    } params[TG_PLAN_PARAMS_MAX];
    int64_t from, to; /* µs; the answer's range, to exclusive */
    int64_t now;
    char key[TG_PLAN_KEY_MAX]; /* of the cache, without the tenant's prefix */
    size_t key_len;
} tg_plan_t;

/* Parameters in the order of the statement's $1, $2, … */
void tg_plan_time(tg_plan_t *plan, int64_t us);
void tg_plan_number(tg_plan_t *plan, int64_t number);
void tg_plan_null(tg_plan_t *plan);
void tg_plan_str(tg_plan_t *plan, tg_str_t text); /* at most TG_PLAN_TEXT_MAX - 1 bytes */
/* As the client gave them; NULL when not present. */
void tg_plan_text(tg_plan_t *plan, const tg_param_value_t *value);
void tg_plan_optional_number(tg_plan_t *plan, const tg_param_value_t *value);

/* How long the answer may be served from the cache: 1 s when its range touches the last hour, else
 * 10 s. */
uint64_t tg_plan_ttl_ms(const tg_plan_t *plan);

#endif
