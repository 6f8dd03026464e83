/* Typed query parameters (application/x-www-form-urlencoded): a table row each, parsed and bounded
 * before the handler sees them. A wrong one is a 400 that names it and says what is allowed.
 *
 * Limits: 32 parameters, 8 KiB of query text, each name once.
 * Threads: any. */
#ifndef TG_HTTP_PARAMS_H
#define TG_HTTP_PARAMS_H

#include "common/base/arena.h"

typedef enum tg_param_type {
    TG_PARAM_STR,  /* min..max bytes of UTF-8 without NUL */
    TG_PARAM_UINT, /* min..max */
    TG_PARAM_TIME, /* RFC 3339, or epoch seconds, ms or µs by magnitude */
    TG_PARAM_ENUM, /* one of `allowed`, "a|b|c"; value is its index */
    TG_PARAM_BOOL, /* true or false */
} tg_param_type_t;

typedef struct tg_param {
    const char *name;
    tg_param_type_t type;
    const char *allowed; /* TG_PARAM_ENUM only */
    int64_t fallback;    /* number, time or index when absent (see `present`) */
    int64_t min, max;
} tg_param_t;

typedef struct tg_param_value {
    bool present;
    int64_t number; /* UINT, TIME (µs), ENUM index, BOOL */
    tg_str_t text;  /* STR, decoded; in the arena */
} tg_param_value_t;

/* Parses `query` into values[count] by the rows. On failure the error text is for the client and
 * `out_name` names the parameter (in the arena or the rows). */
TG_NODISCARD tg_status_t tg_params_parse(const tg_param_t *rows, size_t count, tg_str_t query,
                                         tg_arena_t *arena, tg_param_value_t *out_values,
                                         tg_str_t *out_name, tg_error_t *error);

/* Percent-decoding (RFC 3986 section 2.1) into the arena; '+' is a space when `plus`. TG_INVALID
 * for bad escapes, NUL or bytes that are not UTF-8. */
TG_NODISCARD tg_status_t tg_params_decode(tg_str_t text, bool plus, tg_arena_t *arena,
                                          tg_str_t *out_text);

#endif
