/* tidegate-gateway: reads its settings and runs until SIGTERM. */
#include "common/observe/program.h"
#include "gateway/gateway.h"

int main(int argc, char **argv)
{
    tg_gateway_config_t config = {0};
    return tg_program_main(&tg_gateway_program, argc, argv, &config,
                           offsetof(tg_gateway_config_t, log_level), tg_gateway_run);
}
