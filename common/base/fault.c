/* Parses TIDEGATE_FAULT once and counts passages.
 *
 * A malformed setting aborts: a fault test whose fault never fires would pass for the wrong reason.
 * For the same reason a name that is not in the setting costs one comparison per entry and nothing
 * else. The whole file is empty in a build without fault points. */
#include "common/base/fault.h"

#ifdef TG_FAULT_POINTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/str.h"

#define TG_FAULT_MAX      16
#define TG_FAULT_NAME_MAX 63

struct point {
    char name[TG_FAULT_NAME_MAX + 1];
    int signal;  /* 0: hang */
    uint64_t at; /* the passage that fires, from 1 */
    _Atomic uint64_t passed;
};

static struct point points[TG_FAULT_MAX];
static size_t point_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static _Noreturn void refuse(const char *setting)
{
    (void)fprintf(stderr, "TIDEGATE_FAULT=\"%s\": allowed is name=kill|stop|hang[@N][,...]\n",
                  setting);
    abort();
}

/* "name=kill@3" into one point; false when it is not of that form. */
static bool parse_point(tg_str_t text, struct point *point)
{
    const char *equals = text.len == 0 ? NULL : memchr(text.ptr, '=', text.len);
    if (equals == NULL)
        return false;
    size_t name_len = (size_t)(equals - text.ptr);
    if (name_len == 0 || name_len > TG_FAULT_NAME_MAX)
        return false;
    tg_str_t action = {equals + 1, text.len - name_len - 1};
    const char *mark = action.len == 0 ? NULL : memchr(action.ptr, '@', action.len);
    point->at = 1;
    if (mark != NULL) {
        tg_str_t number = {mark + 1, (size_t)(action.ptr + action.len - mark) - 1};
        action.len = (size_t)(mark - action.ptr);
        if (tg_str_to_u64(number, &point->at) != TG_OK || point->at == 0)
            return false;
    }
    if (tg_str_eq(action, TG_STR("kill")))
        point->signal = SIGKILL;
    else if (tg_str_eq(action, TG_STR("stop")))
        point->signal = SIGSTOP;
    else if (tg_str_eq(action, TG_STR("hang")))
        point->signal = 0;
    else
        return false;
    memcpy(point->name, text.ptr, name_len);
    return true;
}

static void parse_setting(void)
{
    const char *setting = getenv("TIDEGATE_FAULT");
    if (setting == NULL || setting[0] == '\0')
        return;
    for (const char *at = setting;;) {
        size_t len = strcspn(at, ",");
        if (point_count == TG_FAULT_MAX || !parse_point((tg_str_t){at, len}, &points[point_count]))
            refuse(setting);
        point_count++;
        if (at[len] == '\0')
            return;
        at += len + 1;
    }
}

static void fire(const struct point *point)
{
    if (point->signal != 0)
        (void)raise(point->signal);
    else
        for (;;)
            (void)pause();
}

void tg_fault_point(const char *name)
{
    assert(name != NULL);
    pthread_once(&once, parse_setting);
    for (size_t i = 0; i < point_count; i++) {
        struct point *point = &points[i];
        if (strcmp(point->name, name) == 0 && atomic_fetch_add(&point->passed, 1) + 1 == point->at)
            fire(point);
    }
}

#endif
