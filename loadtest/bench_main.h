/* What the benchmark's tools begin and end with.
 *
 * Threads: the process's first one, once. */
#ifndef TG_BENCH_MAIN_H
#define TG_BENCH_MAIN_H

#include "common/base/config.h"

/* Loads `settings`, the tool's zeroed struct, and runs it with them; disposes of them. Returns the
 * exit code: of `run`, 0 after --help, 2 when the settings are wrong, which is said. */
int tg_bench_main(const tg_program_t *program, int argc, char **argv, void *settings,
                  int (*run)(const void *settings));

#endif
