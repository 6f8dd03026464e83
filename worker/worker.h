/* The worker as a process: its threads, its maintenance, its admin port, from start to SIGTERM.
 *
 * Threads: the main thread's. */
#ifndef TG_WORKER_H
#define TG_WORKER_H

#include "worker/settings.h"

/* Runs until SIGTERM or SIGINT; returns the exit code. */
int tg_worker_run(tg_worker_config_t *config);

#endif
