/* tidegate-query: reads its settings and runs until SIGTERM. */
#include "common/observe/program.h"
#include "query/service.h"

int main(int argc, char **argv)
{
    tg_query_config_t config = {0};
    return tg_program_main(&tg_query_program, argc, argv, &config,
                           offsetof(tg_query_config_t, log_level), tg_query_run);
}
