/* Threads that leave signals to the main thread, which waits for them.
 *
 * A thread that was begun before the main thread blocked them would take a signal that comes while
 * that one is busy, and end the process by it.
 *
 * Threads: any. */
#ifndef TG_THREAD_H
#define TG_THREAD_H

#include <pthread.h>

#include "common/base/status.h"

/* As pthread_create, with all signals blocked: 0, or a code for strerror. */
TG_NODISCARD int tg_thread_start(pthread_t *out_id, void *(*run)(void *arg), void *arg);

/* Says of the calling thread what holds for all here. While it is not said, glibc takes precautions
 * around each blocking call, two atomic exchanges, which show where such calls are most of the
 * work. */
void tg_thread_never_cancelled(void);

#endif
