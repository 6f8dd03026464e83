/* tidegate-simulator: events of a small made-up world, sent through the gateway when they are due.
 *
 * One thread does everything: it makes events, sends them, reads the answers, writes the ledger and
 * serves POST /emit. Open loop: an event's time does not depend on how fast the gateway is; what
 * cannot be sent in time is sent as soon as it can, with the time at which it was due. So a start
 * in the past fills history, and then goes on live.
 *
 * Threads: main thread; the HTTP shell's own. */
#ifndef TG_SIMULATOR_H
#define TG_SIMULATOR_H

#include "common/base/config.h"
#include "loadtest/simulator/generator.h"

typedef struct tg_simulator_config {
    char *listen, *admin_listen;
    char *gateway, *key;
    char *start, *types, *ledger, *log_level;
    uint64_t seed, history_ms, events, duration_ms;
    double rate, rates[TG_SIM_TYPES];
    bool single;
    uint64_t batch, inflight, linger_ms, deadline_ms, give_up_ms, drain_ms;
} tg_simulator_config_t;

extern const tg_program_t tg_simulator_program;

/* Runs until SIGTERM, or until the events or the duration are over and all is settled; prints the
 * summary. The exit code: 0 all acknowledged; 1 something was refused or given up, or the ledger
 * could not be written. */
int tg_simulator_run(const void *config);

#endif
