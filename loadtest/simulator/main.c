/* tidegate-simulator: reads its settings and runs until its events are sent, or SIGTERM. */
#include "common/observe/program.h"
#include "loadtest/simulator/simulator.h"

int main(int argc, char **argv)
{
    tg_simulator_config_t config = {0};
    return tg_program_main(&tg_simulator_program, argc, argv, &config,
                           offsetof(tg_simulator_config_t, log_level), tg_simulator_run);
}
