/* One JSON object per line, built on the stack and written by one write(2).
 *
 * Repetition is counted per event name in a small table of one-second windows. A window that held
 * lines back is summed up by the first line written after it, of whatever event, or at exit; so a
 * summary is never lost and no thread of our own is needed. When the table is full of events that
 * are all in their current second, a further one is written uncounted: more names than slots within
 * one second is not the flood that this guards against.
 *
 * Threads: the table is under one mutex, held for its update only; the write is outside, under one
 * of its own. With other processes on the same pipe, lines longer than PIPE_BUF (4 KiB) may
 * interleave. */
#include "common/observe/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/time.h"

#define TG_LOG_LINE_MAX    8192 /* bytes, with the newline */
#define TG_LOG_TAIL        2    /* "}\n" always fits */
#define TG_LOG_PER_SECOND  10   /* lines of one event */
#define TG_LOG_EVENTS_MAX  128  /* event names counted at a time */
#define TG_LOG_SERVICE_MAX 63

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static char service_name[TG_LOG_SERVICE_MAX + 1] = "tidegate";
static _Atomic tg_log_level_t lowest_level = TG_LOG_INFO;

struct window {
    const char *event; /* a literal; NULL in a free slot */
    tg_log_level_t level;
    uint64_t second; /* monotonic */
    uint64_t lines;  /* written in that second */
    uint64_t suppressed;
};

static struct {
    pthread_mutex_t mutex;
    struct window windows[TG_LOG_EVENTS_MAX];
    uint64_t suppressed; /* in all windows: nothing to look for while 0 */
} limiter = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Held while something is written, so that lines stay whole and that nobody takes the room that
 * tg_log_lines has just been promised. */
static pthread_mutex_t stream = PTHREAD_MUTEX_INITIALIZER;

static void write_line(const char *line, size_t len)
{
    pthread_mutex_lock(&stream);
    while (len > 0) {
        ssize_t sent = write(STDERR_FILENO, line, len);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            break; /* nowhere left to complain */
        line += sent;
        len -= (size_t)sent;
    }
    pthread_mutex_unlock(&stream);
}

/* What may be written at once: to a pipe, what it has room for when it says that it is writable. */
static size_t whole_lines(tg_str_t lines, bool is_pipe)
{
    if (!is_pipe || lines.len <= PIPE_BUF)
        return lines.len;
    const char *end = memrchr(lines.ptr, '\n', PIPE_BUF);
    return end == NULL ? PIPE_BUF : (size_t)(end - lines.ptr) + 1;
}

/* Bytes taken now; 0: none without waiting. */
static size_t write_some(tg_str_t lines, bool is_socket)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t sent = 0;
    if (is_socket)
        sent = send(STDERR_FILENO, lines.ptr, lines.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0)
        sent = write(STDERR_FILENO, lines.ptr, lines.len);
    return sent > 0 ? (size_t)sent : 0;
}

size_t tg_log_lines(tg_str_t lines)
{
    struct stat is;
    size_t taken = 0;
    if (pthread_mutex_trylock(&stream) != 0)
        return 0;
    bool known = fstat(STDERR_FILENO, &is) == 0;
    bool is_socket = known && S_ISSOCK(is.st_mode), is_file = known && S_ISREG(is.st_mode);
    while (taken < lines.len) {
        tg_str_t rest = {lines.ptr + taken, lines.len - taken};
        rest.len = whole_lines(rest, !is_socket && !is_file);
        size_t sent = write_some(rest, is_socket);
        taken += sent;
        if (sent < rest.len)
            break;
    }
    pthread_mutex_unlock(&stream);
    return taken;
}

static void append_value(tg_buf_t *buf, const tg_log_field_t *field, tg_str_t text)
{
    tg_buf_byte(buf, ',');
    tg_buf_json_string(buf, tg_str_from(field->name));
    tg_buf_byte(buf, ':');
    if (field->type == TG_FIELD_INT)
        tg_buf_i64(buf, field->integer);
    else if (field->type == TG_FIELD_DOUBLE)
        tg_buf_json_double(buf, field->real);
    else
        tg_buf_json_string(buf, text);
}

/* Appends the field whole, or its text cut to what surely fits, or not at all. */
static void append_field(tg_buf_t *buf, const tg_log_field_t *field)
{
    assert(field->name != NULL);
    size_t start = buf->len;
    append_value(buf, field, field->text);
    if (!buf->failed)
        return;
    buf->len = start;
    buf->failed = false;
    size_t around = strlen(field->name) + 8, room = buf->max - buf->len;
    if (field->type != TG_FIELD_STR || room <= around)
        return;
    size_t kept = (room - around) / 6; /* no byte takes more than six: \u00XX */
    append_value(buf, field,
                 (tg_str_t){field->text.ptr, kept < field->text.len ? kept : field->text.len});
    if (buf->failed) {
        buf->len = start;
        buf->failed = false;
    }
}

static void emit(tg_log_level_t level, const char *event, const tg_log_field_t *fields,
                 size_t count)
{
    char line[TG_LOG_LINE_MAX];
    /* Storage of the full limit: the buffer never reallocates it, and is not disposed. */
    tg_buf_t buf = {.data = line,
                    .cap = sizeof(line) - TG_LOG_TAIL,
                    .max = sizeof(line) - TG_LOG_TAIL};
    char now[TG_TIME_TEXT_MAX];
    tg_time_format(tg_time_now(), now);
    tg_buf_printf(&buf, "{\"ts\":\"%s\",\"level\":\"%s\",\"service\":\"%s\",\"event\":", now,
                  level_names[level], service_name);
    tg_buf_json_string(&buf, tg_str_from(event));
    for (size_t i = 0; i < count; i++)
        append_field(&buf, &fields[i]);
    line[buf.len] = '}';
    line[buf.len + 1] = '\n';
    write_line(line, buf.len + TG_LOG_TAIL);
}

static void emit_summary(const struct window *window)
{
    const tg_log_field_t fields[] = {TG_F_INT("suppressed", window->suppressed)};
    emit(window->level, window->event, fields, TG_ARRAY_LEN(fields));
}

/* Under the mutex: moves windows of the past with suppressed lines to `out`. */
static size_t take_summaries(uint64_t second, struct window out[TG_LOG_EVENTS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < TG_LOG_EVENTS_MAX && limiter.suppressed > 0; i++) {
        struct window *window = &limiter.windows[i];
        if (window->suppressed == 0 || window->second >= second)
            continue;
        out[count++] = *window;
        limiter.suppressed -= window->suppressed;
        window->suppressed = 0;
    }
    return count;
}

/* Under the mutex: the event's window, or one whose second has passed, or NULL. */
static struct window *find_window(const char *event, uint64_t second)
{
    struct window *reusable = NULL;
    for (size_t i = 0; i < TG_LOG_EVENTS_MAX; i++) {
        struct window *window = &limiter.windows[i];
        if (window->event == NULL)
            return reusable != NULL ? reusable : window; /* slots fill from the front */
        if (window->event == event || strcmp(window->event, event) == 0)
            return window;
        if (reusable == NULL && window->second < second && window->suppressed == 0)
            reusable = window;
    }
    return reusable;
}

/* Under the mutex: counts one line; false when it is to be held back. */
static bool admit(tg_log_level_t level, const char *event, uint64_t second)
{
    struct window *window = find_window(event, second);
    if (window == NULL)
        return true;
    if (window->event != event || window->second != second)
        *window = (struct window){.event = event, .second = second};
    window->level = level;
    if (window->lines < TG_LOG_PER_SECOND) {
        window->lines++;
        return true;
    }
    window->suppressed++;
    limiter.suppressed++;
    return false;
}

static void flush_at_exit(void)
{
    struct window late[TG_LOG_EVENTS_MAX];
    pthread_mutex_lock(&limiter.mutex);
    size_t count = take_summaries(UINT64_MAX, late);
    pthread_mutex_unlock(&limiter.mutex);
    for (size_t i = 0; i < count; i++)
        emit_summary(&late[i]);
}

tg_status_t tg_log_parse_level(const char *name, tg_log_level_t *out_level, tg_error_t *error)
{
    assert(name != NULL);
    size_t found = 0;
    while (found < TG_ARRAY_LEN(level_names) && strcmp(level_names[found], name) != 0)
        found++;
    if (found == TG_ARRAY_LEN(level_names))
        return tg_error_set(error, TG_INVALID,
                            "log.level: \"%.32s\" is none of debug, info, warn, error", name);
    *out_level = (tg_log_level_t)found;
    return TG_OK;
}

void tg_log_set_level(tg_log_level_t level)
{
    atomic_store_explicit(&lowest_level, level, memory_order_relaxed);
}

tg_status_t tg_log_open(const char *service, const char *level, tg_error_t *error)
{
    assert(service != NULL);
    static bool registered;
    tg_log_level_t lowest = TG_LOG_INFO;
    tg_status_t status = tg_log_parse_level(level, &lowest, error);
    if (status != TG_OK)
        return status;
    tg_log_set_level(lowest);
    assert(strlen(service) <= TG_LOG_SERVICE_MAX);
    memcpy(service_name, service, strlen(service) + 1);
    if (!registered && atexit(flush_at_exit) != 0)
        return tg_error_set(error, TG_NOMEM, "no room for an exit handler");
    registered = true;
    return TG_OK;
}

void tg_log_write(tg_log_level_t level, const char *event, const tg_log_field_t *fields,
                  size_t count)
{
    assert((size_t)level < TG_ARRAY_LEN(level_names));
    assert(event != NULL);
    assert(fields != NULL || count == 0);
    if (level < atomic_load_explicit(&lowest_level, memory_order_relaxed))
        return;
    int saved_errno = errno; /* callers report errno after logging as well */
    uint64_t second = tg_time_mono_ms() / 1000;
    struct window late[TG_LOG_EVENTS_MAX];
    pthread_mutex_lock(&limiter.mutex);
    size_t late_count = take_summaries(second, late);
    bool admitted = admit(level, event, second);
    pthread_mutex_unlock(&limiter.mutex);
    for (size_t i = 0; i < late_count; i++)
        emit_summary(&late[i]);
    if (admitted)
        emit(level, event, fields, count);
    errno = saved_errno;
}
