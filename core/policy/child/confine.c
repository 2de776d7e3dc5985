#include "policy/child/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define DEMOTE_AFTER_MS 5
#define YIELD_AFTER_US  2000
#define YIELD_EVERY_US  50
#define YIELD_MOST_US   100
#define YIELD_SHARE     4
#define ADDRESS_ROOM    (96u << 20) /* over what the zygote maps: 32 MiB of Lua, messages, and the allocator's slack */

static struct sock_filter filter[256];
static unsigned short filter_len;
static timer_t cpu_timer;
static rlim_t address_limit = RLIM_INFINITY;

static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(sched_yield),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(timer_settime),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
#if CONFINE_SANITIZED
	/* the sanitizers' own: stacks of signals, locks, their maps and their reports */
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(futex),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(sched_yield),
	SCMP_SYS(getrusage),
	SCMP_SYS(readlink),
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(pread64),
	SCMP_SYS(getdents64),
	SCMP_SYS(prctl),
	SCMP_SYS(tgkill),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
#endif
};

static int rules(scmp_filter_ctx ctx)
{
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0) < 0)
			return -1;
	/* Its own priority, nobody else's. */
	if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setpriority), 2, SCMP_A0(SCMP_CMP_EQ, PRIO_PROCESS),
			     SCMP_A1(SCMP_CMP_EQ, 0)) < 0)
		return -1;
	if (CONFINE_SANITIZED)
		return 0;
	/* Memory, but none that can be executed, and no file behind it. */
	if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
			     SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS)) < 0)
		return -1;
	/* A heap that shrinks and grows again (glibc's arenas) changes protection. */
	if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) < 0)
		return -1;
	/* abort() signals itself, and only that. */
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A2(SCMP_CMP_EQ, SIGABRT, 0));
}

/* Compiled once; a child loads the program itself with one call. */
static int compile(void)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ok = fd >= 0 && ctx && rules(ctx) == 0 && seccomp_export_bpf(ctx, fd) == 0;
	seccomp_release(ctx);
	ssize_t n = ok ? pread(fd, filter, sizeof filter, 0) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0 || (size_t)n >= sizeof filter)
		return -1;
	filter_len = (unsigned short)((size_t)n / sizeof filter[0]);
	return 0;
}

static void measure(void)
{
	char text[64] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
	unsigned long pages = 0;
	if (fd >= 0)
		close(fd);
	if (n > 0 && sscanf(text, "%lu", &pages) == 1)
		address_limit = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + ADDRESS_ROOM;
}

int confine_prepare(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	if (!CONFINE_SANITIZED)
		measure();
	return compile();
}

static int limit(__rlimit_resource_t what, rlim_t value)
{
	struct rlimit r = { value, value };
	return setrlimit(what, &r);
}

/* A signal by the CPU time that the scheduler counts. setitimer(ITIMER_PROF) counts whole ticks instead: on a busy
 * machine it is early. */
static int cpu_signal(int sig, timer_t *out)
{
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig };
	return timer_create(CLOCK_PROCESS_CPUTIME_ID, &e, out);
}

/* A runaway gets a tenth of what others get. An innocent hook is done before. */
static void demote(int sig)
{
	int saved = errno;
	setpriority(PRIO_PROCESS, 0, 10);
	errno = saved;
}

void confine_yield(int64_t cpu_us)
{
	static int64_t next = YIELD_AFTER_US;
	if (cpu_us < next)
		return;
	int64_t began = clock_mono_us();
	sched_yield();
	int64_t wait = (clock_mono_us() - began) / YIELD_SHARE;
	next = cpu_us + (wait < YIELD_EVERY_US ? YIELD_EVERY_US : wait > YIELD_MOST_US ? YIELD_MOST_US : wait);
}

int confine_apply(void)
{
	struct sigaction slower = { .sa_handler = demote, .sa_flags = SA_RESTART };
	sigaction(SIGVTALRM, &slower, NULL);
	timer_t demotion;
	struct itimerspec t = { .it_value = { 0, DEMOTE_AFTER_MS * 1000000 } };
	if (cpu_signal(SIGVTALRM, &demotion) < 0 || timer_settime(demotion, 0, &t, NULL) < 0 ||
	    cpu_signal(SIGPROF, &cpu_timer) < 0)
		return -1;
	if (limit(RLIMIT_CORE, 0) < 0 || limit(RLIMIT_FSIZE, 0) < 0 || limit(RLIMIT_NPROC, 0) < 0)
		return -1;
	if (!CONFINE_SANITIZED && (limit(RLIMIT_NOFILE, 0) < 0 || limit(RLIMIT_AS, address_limit) < 0))
		return -1;
	struct sock_fprog prog = { filter_len, filter };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

void confine_timer(int cpu_ms)
{
	/* A second signal follows 4 ms after the first, in case that one's handler could not end the process. */
	struct itimerspec t = { .it_interval = { 0, cpu_ms ? 4000000 : 0 },
				.it_value = { cpu_ms / 1000, (cpu_ms % 1000) * 1000000L } };
	timer_settime(cpu_timer, 0, &t, NULL);
}

int64_t confine_cpu_us(void)
{
	/* Of this one thread: while a timer of the process is armed, the process's clock goes on once a tick. */
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int (*confine_native)(const char *what);

int confine_probe(const char *what)
{
	long r = 0;
	errno = 0;
	if (strcmp(what, "open") == 0)
		r = syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
	else if (strcmp(what, "socket") == 0)
		r = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	else if (strcmp(what, "fork") == 0)
		r = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	else if (strcmp(what, "exec") == 0)
		r = syscall(SYS_execve, "/bin/true", NULL, NULL);
	else if (strcmp(what, "kill") == 0)
		r = syscall(SYS_kill, 1, 0);
	else if (strcmp(what, "ptrace") == 0)
		r = syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
	else if (strcmp(what, "mmap-exec") == 0)
		r = syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	else if (strcmp(what, "crash") == 0)
		r = raise(SIGABRT);
	else if (confine_native)
		return confine_native(what);
	return r < 0 ? errno : 0;
}
