/* What a policy process may do: compute, and read and write the one socket it was given. */
#ifndef PERRY_POLICY_CONFINE_H
#define PERRY_POLICY_CONFINE_H
#include <stdint.h>

/* In the zygote: compiles the filter of system calls and measures the address space, so that a child need not. */
int confine_prepare(void);
/* In the child: no new privileges, limits, the filter. -1: something could not be put in force, and the child must not
 * go on. */
int confine_apply(void);

/* Arms the timers of one hook: a signal after cpu_ms of CPU time from now (SIGPROF). 0 disarms. */
void confine_timer(int cpu_ms);
int64_t confine_cpu_us(void); /* CPU time of this process so far */
/* A hook that goes on for long offers the processor to others again and again (cpu_us: its CPU time so far): whatever
 * its priority, one that wakes up might else wait until the next tick, 4 ms. SCHED_IDLE would do that too, but on a
 * machine that compiles a hook then never gets to its limit, nor says where it was. Who wakes up is done soon; beside
 * others that compute, each offer costs their whole turn, so the next one comes later then, but soon enough for who
 * wakes up: else an honest hook of 20 ms takes 10 s there. */
void confine_yield(int64_t cpu_us);
/* Tries what the filter must forbid: "open", "socket", "fork", "exec", "kill", "ptrace", "mmap-exec", "signal". Returns
 * errno or 0 if it survives. */
int confine_probe(const char *what);
/* Tests set it before the zygote exists: native code in the place of a hook, for every other word. NULL otherwise. */
extern int (*confine_native)(const char *what);

#if defined(PERRY_SAN_address) || defined(PERRY_SAN_undefined) || defined(PERRY_SAN_thread)
#define CONFINE_SANITIZED 1
#else
#define CONFINE_SANITIZED 0
#endif

#endif
