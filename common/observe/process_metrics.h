/* The process's own numbers, under the names that every Prometheus client library uses.
 *
 * Threads: any. */
#ifndef TG_PROCESS_METRICS_H
#define TG_PROCESS_METRICS_H

#include "common/base/str.h"

/* Appends resident memory, CPU time, open descriptors and start time; what /proc does not tell is
 * left out. */
void tg_process_metrics_render(tg_buf_t *out);

#endif
