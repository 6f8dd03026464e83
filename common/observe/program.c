/* A wrong setting is told on stderr as one plain line, since the log is not open yet. */
#include "common/observe/program.h"

#include <stdio.h>

#include "common/observe/log.h"

static int run_with(const tg_program_t *program, const void *config, size_t log_level_offset,
                    int (*run)(const void *config), tg_error_t *error)
{
    const char *level = *(char *const *)(const void *)((const char *)config + log_level_offset);
    if (tg_log_open(program->name, level, error) != TG_OK)
        return 2;
    return run(config);
}

int tg_program_main(const tg_program_t *program, int argc, char **argv, void *config,
                    size_t log_level_offset, int (*run)(const void *config))
{
    assert(program != NULL);
    assert(run != NULL);
    tg_config_action_t action = TG_CONFIG_RUN;
    tg_error_t error = {.status = TG_OK};
    int code = 2;

    if (tg_config_load(program, argc, argv, config, &action, &error) == TG_OK)
        code =
            action == TG_CONFIG_EXIT ? 0 : run_with(program, config, log_level_offset, run, &error);
    if (error.status != TG_OK)
        (void)fprintf(stderr, "tidegate-%s: %s\n", program->name, error.text);
    tg_config_dispose(program, config);
    return code;
}
