/* Reads /proc/self at each scrape: four small files, some 50 µs, and nothing between scrapes. */
#include "common/observe/process_metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STAT_UTIME      14 /* fields of proc(5) /proc/[pid]/stat, from 1 */
#define STAT_STIME      15
#define STAT_START_TIME 22

/* The start of a file as a C string; false when it cannot be read. */
static bool read_start(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, out, size - 1);
    (void)close(fd);
    if (got <= 0)
        return false;
    out[got] = '\0';
    return true;
}

static void append_metric(tg_buf_t *out, const char *name, const char *type, const char *help,
                          double value)
{
    tg_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, type, name);
    tg_buf_json_double(out, value);
    tg_buf_byte(out, '\n');
}

static void render_memory(tg_buf_t *out)
{
    char text[256];
    if (!read_start("/proc/self/statm", text, sizeof(text)))
        return;
    char *resident = strchr(text, ' ');
    if (resident == NULL)
        return;
    double pages = (double)strtoull(resident, NULL, 10);
    append_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
                  pages * (double)sysconf(_SC_PAGESIZE));
}

/* Field `number` of the stat line, counted behind the command name, which may hold anything. */
static double stat_field(const char *text, int number)
{
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < number; field++)
        at = strchr(at + 1, ' ');
    return at == NULL ? 0 : (double)strtoull(at, NULL, 10);
}

/* When the machine started, in seconds since the epoch; 0 when unknown. */
static double boot_time(void)
{
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        return 0;
    char line[256];
    double seconds = 0;
    while (seconds == 0 && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "btime ", 6) == 0)
            seconds = (double)strtoull(line + 6, NULL, 10);
    }
    (void)fclose(file);
    return seconds;
}

static void render_times(tg_buf_t *out)
{
    char text[1024];
    if (!read_start("/proc/self/stat", text, sizeof(text)))
        return;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    double cpu = (stat_field(text, STAT_UTIME) + stat_field(text, STAT_STIME)) / ticks;
    append_metric(out, "process_cpu_seconds_total", "counter",
                  "Total user and system CPU time spent in seconds.", cpu);
    double boot = boot_time();
    if (boot > 0)
        append_metric(out, "process_start_time_seconds", "gauge",
                      "Start time of the process since unix epoch in seconds.",
                      boot + stat_field(text, STAT_START_TIME) / ticks);
}

static void render_descriptors(tg_buf_t *out)
{
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return;
    int count = -1; /* the one that reads the folder */
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        count += entry->d_name[0] != '.';
    (void)closedir(dir);
    append_metric(out, "process_open_fds", "gauge", "Number of open file descriptors.", count);
}

void tg_process_metrics_render(tg_buf_t *out)
{
    assert(out != NULL);
    render_memory(out);
    render_times(out);
    render_descriptors(out);
}
