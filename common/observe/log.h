/* JSON-lines log on stderr: one line per event, with closed field names and typed values.
 *
 * A line has ts, level, service, event and the given fields. A message states what happened and
 * what the service did about it. The same event repeated more than 10 times in a second is counted
 * and summed up in one line instead ("suppressed"), so that a failing dependency cannot fill the
 * disk. A line is at most 8 KiB; values are cut to fit.
 *
 * Threads: any; a line is one write(2). */
#ifndef TG_LOG_H
#define TG_LOG_H

#include "common/base/str.h"

typedef enum tg_log_level { TG_LOG_DEBUG, TG_LOG_INFO, TG_LOG_WARN, TG_LOG_ERROR } tg_log_level_t;

typedef struct tg_log_field {
    const char *name;
    enum { TG_FIELD_STR, TG_FIELD_INT, TG_FIELD_DOUBLE } type;
    tg_str_t text;
    int64_t integer;
    double real;
} tg_log_field_t;

#define TG_F_STR(n, s)  ((tg_log_field_t){.name = (n), .type = TG_FIELD_STR, .text = (s)})
#define TG_F_TEXT(n, c) TG_F_STR(n, tg_str_from(c))
#define TG_F_INT(n, i)                                                                             \
    ((tg_log_field_t){.name = (n), .type = TG_FIELD_INT, .integer = (int64_t)(i)})
#define TG_F_REAL(n, d) ((tg_log_field_t){.name = (n), .type = TG_FIELD_DOUBLE, .real = (d)})

/* Names the service and the lowest level written ("debug", "info", "warn", "error"). */
TG_NODISCARD tg_status_t tg_log_open(const char *service, const char *level, tg_error_t *error);

/* The level of that name, and another lowest level while the program runs. */
TG_NODISCARD tg_status_t tg_log_parse_level(const char *name, tg_log_level_t *out_level,
                                            tg_error_t *error);
void tg_log_set_level(tg_log_level_t level);

/* Writes one line; fields in the given order. `event` is a snake_case literal. */
void tg_log_write(tg_log_level_t level, const char *event, const tg_log_field_t *fields,
                  size_t count);

/* Writes lines made elsewhere (whole, each with its newline) as far as that needs no waiting; gives
 * the bytes that were taken, perhaps up to the middle of a line: the rest is to be given again. A
 * pipe that other processes write to as well may still make it wait. */
size_t tg_log_lines(tg_str_t lines);

#define TG_LOG_(level, event, ...)                                                                 \
    do {                                                                                           \
        const tg_log_field_t tg_fields_[] = {{0}, ##__VA_ARGS__};                                  \
        tg_log_write(level, event, tg_fields_ + 1, TG_ARRAY_LEN(tg_fields_) - 1);                  \
    } while (0)
#define tg_log_debug(event, ...) TG_LOG_(TG_LOG_DEBUG, event, ##__VA_ARGS__)
#define tg_log_info(event, ...)  TG_LOG_(TG_LOG_INFO, event, ##__VA_ARGS__)
#define tg_log_warn(event, ...)  TG_LOG_(TG_LOG_WARN, event, ##__VA_ARGS__)
#define tg_log_error(event, ...) TG_LOG_(TG_LOG_ERROR, event, ##__VA_ARGS__)

#endif
