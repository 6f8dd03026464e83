/* tidegate-ingestion: reads its settings and runs until SIGTERM. */
#include "common/observe/program.h"
#include "ingestion/ingestion.h"

int main(int argc, char **argv)
{
    tg_ingestion_config_t config = {0};
    return tg_program_main(&tg_ingestion_program, argc, argv, &config,
                           offsetof(tg_ingestion_config_t, log_level), tg_ingestion_run);
}
