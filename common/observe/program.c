/* A wrong setting is told on stderr as one plain line, since the log is not open yet. */
#include "common/observe/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/observe/log.h"

/* The one program that this process is. */
static struct {
    const tg_program_t *program;
    int argc;
    char **argv;
    void *at_start; /* the caller's */
    void *in_use;   /* at_start, or owned */
    void *fresh;    /* owned; NULL outside of a reload */
    tg_log_level_t fresh_level;
    size_t log_level_offset;
} self;

static const char *log_level(const void *config)
{
    return *(char *const *)(const void *)((const char *)config + self.log_level_offset);
}

static void dispose(void *config)
{
    if (config == NULL)
        return;
    tg_config_dispose(self.program, config);
    if (config != self.at_start)
        free(config);
}

/* --- new settings --- */

bool tg_program_can_reload(void)
{
    return self.program != NULL && self.program->config_size > 0;
}

tg_status_t tg_program_reload(const void **out_fresh, tg_buf_t *changed, tg_error_t *error)
{
    assert(tg_program_can_reload());
    assert(self.fresh == NULL);
    void *fresh = calloc(1, self.program->config_size);
    if (fresh == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory");
    tg_status_t status =
        tg_config_reload(self.program, self.argc, self.argv, self.in_use, fresh, changed, error);
    if (status == TG_OK)
        status = tg_log_parse_level(log_level(fresh), &self.fresh_level, error);
    if (status != TG_OK) {
        dispose(fresh);
        return status;
    }
    self.fresh = fresh;
    *out_fresh = fresh;
    return TG_OK;
}

void tg_program_keep(bool in_use)
{
    assert(self.fresh != NULL);
    void *old = self.fresh;
    if (in_use) {
        tg_log_set_level(self.fresh_level);
        old = self.in_use == self.at_start ? NULL : self.in_use;
        self.in_use = self.fresh;
    }
    self.fresh = NULL;
    dispose(old);
}

const void *tg_program_part(const void *fresh, const void *part)
{
    const char *base = self.at_start, *at = part;
    if (at < base || at >= base + self.program->config_size)
        return NULL;
    return (const char *)fresh + (at - base);
}

/* --- the program --- */

static int run_with(int (*run)(const void *config), tg_error_t *error)
{
    if (tg_program_can_reload()) { /* asked for while we start it waits, and does not end us */
        sigset_t reload;
        sigemptyset(&reload);
        sigaddset(&reload, SIGHUP);
        pthread_sigmask(SIG_BLOCK, &reload, NULL);
    }
    if (tg_log_open(self.program->name, log_level(self.at_start), error) != TG_OK)
        return 2;
    return run(self.at_start);
}

int tg_program_main(const tg_program_t *program, int argc, char **argv, void *config,
                    size_t log_level_offset, int (*run)(const void *config))
{
    assert(program != NULL);
    assert(run != NULL);
    tg_config_action_t action = TG_CONFIG_RUN;
    tg_error_t error = {.status = TG_OK};
    int code = 2;

    self.program = program;
    self.argc = argc;
    self.argv = argv;
    self.at_start = self.in_use = config;
    self.log_level_offset = log_level_offset;
    if (tg_config_load(program, argc, argv, config, &action, &error) == TG_OK)
        code = action == TG_CONFIG_EXIT ? 0 : run_with(run, &error);
    if (error.status != TG_OK)
        (void)fprintf(stderr, "tidegate-%s: %s\n", program->name, error.text);
    if (self.in_use != self.at_start)
        dispose(self.in_use);
    dispose(self.at_start);
    return code;
}
