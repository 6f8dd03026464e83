/* tidegate-registry: reads its settings and runs until SIGTERM. */
#include <stdio.h>

#include "common/observe/log.h"
#include "registry/registry.h"

int main(int argc, char **argv)
{
    tg_registry_config_t config = {0};
    tg_config_action_t action = TG_CONFIG_RUN;
    tg_error_t error = {.status = TG_OK};
    int code = 2;

    if (tg_config_load(&tg_registry_program, argc, argv, &config, &action, &error) != TG_OK ||
        tg_log_open("registry", config.log_level, &error) != TG_OK)
        (void)fprintf(stderr, "tidegate-registry: %s\n", error.text);
    else
        code = action == TG_CONFIG_EXIT ? 0 : tg_registry_run(&config);
    tg_config_dispose(&tg_registry_program, &config);
    return code;
}
