/* The worker as a process: its threads, its maintenance, its admin port, from start to SIGTERM.
 *
 * Threads: the main thread's. */
#ifndef TG_WORKER_H
#define TG_WORKER_H

#include "worker/settings.h"

/* Runs by a tg_worker_config_t until SIGTERM or SIGINT; returns the exit code. */
int tg_worker_run(const void *config);

#endif
