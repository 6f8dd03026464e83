/* See thread.h. */
#include "common/base/thread.h"

#include <assert.h>
#include <signal.h>

int tg_thread_start(pthread_t *out_id, void *(*run)(void *arg), void *arg)
{
    assert(out_id != NULL && run != NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(out_id, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

void tg_thread_never_cancelled(void)
{
    /* The type, which is without effect while the state is "disabled", is what glibc looks at. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
}
