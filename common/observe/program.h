/* The main() that all services share: read the settings, open the log, run.
 *
 * While it runs the settings can be read again. The struct at start stays as it is until the end;
 * each reading makes a new one, which is kept for the next comparison and no longer: whoever needs
 * something of it copies that.
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

/* Whether the settings of this process can be read again: it has a tg_program_main whose program
 * has a config_size. */
bool tg_program_can_reload(void);

/* Reads the settings again. On TG_OK *out_fresh is borrowed until tg_program_keep: a struct as the
 * one at start, in which nothing has changed but what may; `changed` has those names. Else the
 * error says which option, where and what to do. */
TG_NODISCARD tg_status_t tg_program_reload(const void **out_fresh, tg_buf_t *changed,
                                           tg_error_t *error);

/* What tg_program_reload gave is in use from now on (also the log's level), or is dropped. */
void tg_program_keep(bool in_use);

/* The place in `fresh` of what is at `part` in the settings at start; NULL when it is not in
 * them. */
const void *tg_program_part(const void *fresh, const void *part);

#endif
