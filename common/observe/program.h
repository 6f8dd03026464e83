/* The main() that all services share: read the settings, open the log, run.
 *
 * Exit codes: 0 done, 1 failed while starting or running, 2 wrong settings.
 * Threads: the main thread. */
#ifndef TG_PROGRAM_H
#define TG_PROGRAM_H

#include "common/base/config.h"

/* `config` is the service's zeroed struct; `log_level_offset` is where its log.level option stands
 * (char *). `run` gets the filled struct. Disposes of the settings before it returns the exit code.
 */
int tg_program_main(const tg_program_t *program, int argc, char **argv, void *config,
                    size_t log_level_offset, int (*run)(const void *config));

#endif
