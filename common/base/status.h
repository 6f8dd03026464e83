/* The one result type of everything that can fail at run time, and the error text that start-up
 * code shows to the operator.
 *
 * Why an enum and not errno: callers switch on it, and the compiler refuses to let it drop.
 * Loop code passes the status only; the layer that decides logs it once. Start-up code and
 * parsers of outside text also fill a tg_error_t, whose words reach a person.
 *
 * Threads: plain values, no shared state. */
#ifndef TG_STATUS_H
#define TG_STATUS_H

#include <assert.h>
#include <stddef.h>

#define TG_NODISCARD    __attribute__((warn_unused_result))
#define TG_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define TG_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The build sets variables to zero that are not set by hand. For a large one on a hot path, of
 * which only what was written is read, that is to be left out. */
#define TG_UNINITIALIZED __attribute__((uninitialized))

typedef enum tg_status {
    TG_OK = 0,
    TG_INVALID,   /* outside input is wrong; the text says where */
    TG_TOO_LARGE, /* outside input exceeds a named limit */
    TG_NOT_FOUND,
    TG_CONFLICT,    /* the state forbids it: exists already, fenced, mismatch */
    TG_DENIED,      /* not allowed */
    TG_FULL,        /* a bounded resource is at its limit; retry later */
    TG_TIMEOUT,     /* the deadline passed; the outcome may be unknown */
    TG_UNAVAILABLE, /* a dependency cannot be reached now */
    TG_CANCELLED,   /* given up by our own side */
    TG_NOMEM,
    TG_INTERNAL, /* a dependency answered what it must not */
} tg_status_t;

typedef struct tg_error {
    tg_status_t status;
    char text[512]; /* NUL-terminated, one line, for a person */
} tg_error_t;

/* Lower-case word for logs, metric labels and error codes; never NULL. */
const char *tg_status_name(tg_status_t status);

/* Fills `error` (NULL is allowed) and returns `status`, so that failing is one statement. Text that
 * does not fit is cut. */
tg_status_t tg_error_set(tg_error_t *error, tg_status_t status, const char *format, ...)
    TG_PRINTF(3, 4);

#endif
