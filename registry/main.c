/* tidegate-registry: reads its settings and runs until SIGTERM. */
#include "common/observe/program.h"
#include "registry/registry.h"

int main(int argc, char **argv)
{
    tg_registry_config_t config = {0};
    return tg_program_main(&tg_registry_program, argc, argv, &config,
                           offsetof(tg_registry_config_t, log_level), tg_registry_run);
}
