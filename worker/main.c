/* tidegate-worker: reads its settings and runs until SIGTERM. */
#include "common/observe/program.h"
#include "worker/worker.h"

int main(int argc, char **argv)
{
    tg_worker_config_t config = {0};
    return tg_program_main(&tg_worker_program, argc, argv, &config,
                           offsetof(tg_worker_config_t, log_level), tg_worker_run);
}
