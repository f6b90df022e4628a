/* Makes a program believe that it may run on as many processors as PROCESSORS says.
 *
 * A pool has as many words as threads can run at once, and `scripts/guard` counts what that costs on machines that are
 * larger than the one it runs on. Loaded by LD_PRELOAD, so nothing of the crate is changed for it: std asks this
 * function how many processors there are. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set) {
    (void)pid;
    int processors = atoi(getenv("PROCESSORS"));
    CPU_ZERO_S(size, set);
    for (int i = 0; i < processors; i++)
        CPU_SET_S(i, size, set);
    return 0;
}
