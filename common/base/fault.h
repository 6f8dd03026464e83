/* Named fault points: places where a test may stop or kill the process.
 *
 * A build without TG_FAULT_POINTS compiles them away. With it, TIDEGATE_FAULT="name=kill[@N]" kills
 * the process with SIGKILL at the N-th passage (1 by default), "name=stop[@N]" raises SIGSTOP, so
 * that a test can let the moment pass and continue it, "name=hang[@N]" keeps that thread for good.
 * Several are separated by commas.
 *
 * Threads: any; the passages are counted together. */
#ifndef TG_FAULT_H
#define TG_FAULT_H

#ifdef TG_FAULT_POINTS
void tg_fault_point(const char *name);
#else
static inline void tg_fault_point(const char *name)
{
    (void)name;
}
#endif

#endif
