/* See bench_main.h. */
#include "loadtest/bench_main.h"

#include <assert.h>
#include <stdio.h>

int tg_bench_main(const tg_program_t *program, int argc, char **argv, void *settings,
                  int (*run)(const void *settings))
{
    assert(program != NULL && settings != NULL);
    assert(run != NULL);
    tg_config_action_t action = TG_CONFIG_RUN;
    tg_error_t error = {.status = TG_OK};
    int code = 2;
    if (tg_config_load(program, argc, argv, settings, &action, &error) != TG_OK)
        (void)fprintf(stderr, "%s: %s\n", program->name, error.text);
    else
        code = action == TG_CONFIG_EXIT ? 0 : run(settings);
    tg_config_dispose(program, settings);
    return code;
}
