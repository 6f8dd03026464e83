/* tidegate-worker: reads its settings and runs until SIGTERM. */
#include <stdio.h>

#include "common/observe/log.h"
#include "worker/worker.h"

int main(int argc, char **argv)
{
    tg_worker_config_t config = {0};
    tg_config_action_t action = TG_CONFIG_RUN;
    tg_error_t error = {.status = TG_OK};
    int code = 2;

    if (tg_config_load(&tg_worker_program, argc, argv, &config, &action, &error) != TG_OK)
        (void)fprintf(stderr, "tidegate-worker: %s\n", error.text);
    else if (action == TG_CONFIG_EXIT)
        code = 0;
    else if (tg_log_open("worker", config.log_level, &error) != TG_OK)
        (void)fprintf(stderr, "tidegate-worker: %s\n", error.text);
    else
        code = tg_worker_run(&config);
    tg_config_dispose(&tg_worker_program, &config);
    return code;
}
