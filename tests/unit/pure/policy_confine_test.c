/* Native code in the place of a hook: what broke out of Lua still reads no file, opens no socket and sees no secret.
 * Every system call that is not on the list ends the process. */
#include <sched.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "policy/child/confine.h"
#include "policy/session.h"
#include "policy_help.h"

/* Secrets as they are in the agent, and one more that is meant to be found: no text of them is in the program itself.
 */
#define MASK 0x5a
static const char environment_secret[] = { 't' ^ MASK, 'k' ^ MASK, '-' ^ MASK, 'E' ^ MASK, 'n' ^ MASK, 'V' ^ MASK,
					   '9' ^ MASK, '1' ^ MASK, '7' ^ MASK, 'q' ^ MASK, 0 };
static const char config_secret_text[] = { 't' ^ MASK, 'k' ^ MASK, '-' ^ MASK, 'C' ^ MASK, 'o' ^ MASK, 'N' ^ MASK,
					   '3' ^ MASK, '3' ^ MASK, '8' ^ MASK, 'w' ^ MASK, 0 };
static const char canary[] = { 't' ^ MASK, 'k' ^ MASK, '-' ^ MASK, 'B' ^ MASK, 'i' ^ MASK, 'R' ^ MASK,
			       '5' ^ MASK, '5' ^ MASK, '2' ^ MASK, 'z' ^ MASK, 0 };

static void unmask(const char *masked, char out[16])
{
	size_t i = 0;
	for (; masked[i]; i++)
		out[i] = (char)(masked[i] ^ MASK);
	out[i] = 0;
}

/* What was mapped and readable when the zygote was forked; the heap may have grown since. */
static struct {
	const char *from, *to;
	bool heap;
} ranges[512];
static size_t nranges;

static void note_ranges(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512], mode[8];
	unsigned long from, to;
	while (f && fgets(line, sizeof line, f) && nranges < ARRAY_LEN(ranges))
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3 && mode[0] == 'r' && !strstr(line, "[v")) {
			ranges[nranges].from = (const char *)from;
			ranges[nranges].to = (const char *)to;
			ranges[nranges++].heap = strstr(line, "[heap]") != NULL;
		}
	if (f)
		fclose(f);
}

/* -- in the child -- */

static bool at(const char *p, const char *masked)
{
	for (size_t i = 0; masked[i]; i++)
		if (p[i] != (char)(masked[i] ^ MASK))
			return false;
	return true;
}

static int in_memory(const char *masked)
{
	int found = 0;
	for (size_t i = 0; i < nranges; i++) {
		const char *to = ranges[i].heap ? sbrk(0) : ranges[i].to;
		for (const char *p = ranges[i].from; p + 16 < to; p++)
			found += *p == (char)(masked[0] ^ MASK) && at(p, masked);
	}
	return found;
}

static int open_descriptors_in_child(void)
{
	int n = 0;
	char byte;
	for (int fd = 0; fd < 2000; fd++)
		n += !(read(fd, &byte, 0) < 0 && errno == EBADF);
	return n;
}

/* Gives what the parent asked for; what must not be possible ends the process before. */
static int native(const char *what)
{
	static char page[4096];
	long n;
	if (strcmp(what, "find environment") == 0)
		return in_memory(environment_secret);
	if (strcmp(what, "find config") == 0)
		return in_memory(config_secret_text);
	if (strcmp(what, "find canary") == 0)
		return in_memory(canary);
	if (strcmp(what, "descriptors") == 0)
		return open_descriptors_in_child();
	if (strcmp(what, "stdin") == 0)
		return (int)read(0, page, sizeof page); /* /dev/null */
	if (sscanf(what, "open %1000s", page) == 1)
		return (int)syscall(SYS_openat, AT_FDCWD, page, O_RDONLY);
	if (sscanf(what, "socket %ld", &n) == 1)
		return (int)syscall(SYS_socket, n, SOCK_STREAM, 0);
	if (sscanf(what, "call %ld", &n) == 1)
		return (int)syscall(n, 0, 0, 0, 0, 0, 0);
	if (strcmp(what, "map a file") == 0)
		return (int)(intptr_t)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0);
	if (strcmp(what, "run data") == 0)
		return mprotect((void *)((uintptr_t)page & ~4095UL), 4096, PROT_READ | PROT_EXEC);
	if (strcmp(what, "renice another") == 0)
		return setpriority(PRIO_PROCESS, 1, 19);
	if (strcmp(what, "another's turn") == 0)
		return (int)syscall(SYS_sched_setscheduler, 1, SCHED_IDLE, &(struct sched_param){ 0 });
	if (strcmp(what, "real time") == 0)
		return (int)syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &(struct sched_param){ 1 });
	if (strcmp(what, "signal the agent") == 0)
		return (int)syscall(SYS_tgkill, 1, 1, SIGTERM);
	if (strcmp(what, "grow") == 0) {
		for (n = 0; n < 1000; n++)
			if (mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			    MAP_FAILED)
				break;
		return (int)n;
	}
	return -1;
}

/* -- in the parent -- */

/* The signal that ended it, 0 with *value when it went on. */
static int probe(const char *what, int *value)
{
	struct policy_session *s = NULL;
	struct perry_err *err = NULL;
	cJSON *opening = cJSON_CreateObject(), *reply = NULL;
	int signal = 0;
	json_set(opening, "layers", cJSON_CreateArray());
	if (session_begin(policy, opening, &s, &err) < 0)
		fail_msg("%s", perry_msg(err));
	cleanup_json cJSON *msg = cJSON_CreateObject();
	json_set_str(msg, "probe", what);
	s->heard = true; /* its death is the answer */
	if (session_exchange(s, msg, 10000, &reply, &err) < 0)
		signal = (int)json_int_or(err->data, "signal", -1);
	else
		*value = (int)json_int_or(reply, "survived", -1);
	policy_close(s);
	cJSON_Delete(reply);
	perry_err_free(err);
	return signal;
}

static void not_with_a_sanitizer(void)
{
	if (SANITIZED) {
		print_message("skip: a sanitizer has descriptors, files and copies of the environment of its own\n");
		skip();
	}
}

static void dies(const char *what)
{
	int value = 0, signal = probe(what, &value);
	if (signal != SIGSYS)
		fail_msg("%s: %s", what, signal ? "ended by another signal" : "it went on");
}

static void no_file_is_read(void **state)
{
	static const char *const files[] = { "/etc/passwd",
					     "/etc/shadow",
					     "/proc/self/environ",
					     "/proc/self/mem",
					     "/proc/1/environ",
					     "/dev/null",
					     "/dev/zero",
					     "/root",
					     "/",
					     "/var/run/docker.sock",
					     "/nonexistent" };
	(void)state;
	not_with_a_sanitizer();
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		cleanup_free char *what = xasprintf("open %s", files[i]);
		dies(what);
	}
	dies("map a file");
	int value = -1;
	assert_int_equal(probe("stdin", &value), 0);
	assert_int_equal(value, 0); /* nothing to read there */
}

static void no_socket_is_opened(void **state)
{
	(void)state;
	not_with_a_sanitizer();
	for (int family = 0; family <= AF_VSOCK + 5; family++) {
		cleanup_free char *what = xasprintf("socket %d", family);
		dies(what);
	}
}

static void one_descriptor_leads_out(void **state)
{
	int value = -1;
	(void)state;
	not_with_a_sanitizer();
	assert_int_equal(probe("descriptors", &value), 0);
	assert_int_equal(value, 4); /* /dev/null three times, and the socket */
}

/* Number by number, with nothing but zeros: those on the list answer, all others are the end. */
static void every_other_system_call_is_the_end(void **state)
{
	static const long fine[] = { SYS_read,           SYS_write,       SYS_brk,           SYS_munmap,
				     SYS_mremap,         SYS_madvise,     SYS_clock_gettime, SYS_timer_settime,
				     SYS_rt_sigprocmask, SYS_sched_yield, SYS_getpid,        SYS_gettid,
				     SYS_mprotect };
	/* These end it in their own way: exit, exit_group, and rt_sigreturn without a frame. */
	static const long ends[] = { SYS_exit, SYS_exit_group, SYS_rt_sigreturn };
	int forbidden = 0;
	(void)state;
	not_with_a_sanitizer();
	for (long n = 0; n < 470; n++) {
		bool is_fine = n == SYS_setpriority, end = false;
		for (size_t i = 0; i < ARRAY_LEN(fine); i++)
			is_fine = is_fine || n == fine[i];
		for (size_t i = 0; i < ARRAY_LEN(ends); i++)
			end = end || n == ends[i];
		if (end)
			continue;
		cleanup_free char *what = xasprintf("call %ld", n);
		int value = 0, signal = probe(what, &value);
		/* uretprobe and uprobe serve the kernel's own trampolines and pass by every filter; whoever else calls
		 * them gets an error or SIGILL. */
		if (n == 335 || n == 336)
			continue;
		if (is_fine ? signal == SIGSYS : signal != SIGSYS)
			fail_msg("system call %ld: signal %d, wanted %s", n, signal, is_fine ? "an answer" : "its end");
		forbidden += !is_fine;
	}
	print_message("# %d system calls are the end\n", forbidden);
	dies("run data");
	dies("renice another");
	dies("another's turn");
	dies("real time");
	dies("signal the agent");
}

static void no_secret_is_in_memory(void **state)
{
	int value = -1;
	char secret[16];
	(void)state;
	not_with_a_sanitizer();
	/* The agent has both by now: in its environment, and read from config.json, with sessions made since. */
	unmask(environment_secret, secret);
	assert_string_equal(getenv("PERRY_TEST_TOKEN"), secret);
	unmask(config_secret_text, secret);
	char *kept = xstrdup(secret);
	cleanup_free char *config =
		xasprintf("{\"secrets\":{\"slack\":{\"$secret\":\"secrets.slack\"}},\"note\":\"%zu\"}", strlen(kept));
	user_hook("env", "return function() return { A = perry.secret 'slack' } end");
	struct policy_session *s = begin(config, NULL, NULL);
	policy_close(s);
	assert_int_equal(probe("find canary", &value), 0);
	assert_true(value > 0); /* it does look */
	assert_int_equal(probe("find environment", &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(probe("find config", &value), 0);
	assert_int_equal(value, 0);
	free(kept);
}

/* The same from outside: all that the kernel says the zygote and a session's process have. */
static void nor_seen_from_outside(void **state)
{
	char secret[16], line[512];
	unsigned long from, to;
	size_t scanned = 0;
	(void)state;
	not_with_a_sanitizer();
	if (geteuid() != 0) {
		print_message("skip: another process's memory is for root\n");
		skip();
	}
	cleanup_free char *maps = xasprintf("/proc/%d/maps", (int)policy_zygote_pid(policy)),
			  *mem = xasprintf("/proc/%d/mem", (int)policy_zygote_pid(policy));
	unmask(environment_secret, secret);
	FILE *f = fopen(maps, "re");
	cleanup_fd int fd = open(mem, O_RDONLY | O_CLOEXEC);
	assert_true(f && fd >= 0);
	while (fgets(line, sizeof line, f)) {
		char mode[8];
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[0] != 'r' || to - from > 256 << 20)
			continue;
		cleanup_free char *bytes = xmalloc(to - from);
		ssize_t n = pread(fd, bytes, to - from, (off_t)from);
		if (n <= 0)
			continue;
		scanned += (size_t)n;
		assert_null(memmem(bytes, (size_t)n, secret, strlen(secret)));
	}
	fclose(f);
	assert_true(scanned > 100000);
}

static void memory_is_bounded_below_lua_too(void **state)
{
	int value = -1;
	(void)state;
	not_with_a_sanitizer();
	assert_int_equal(probe("grow", &value), 0);
	assert_true(value > 16 && value < 128); /* MiB */
}

int main(int argc, char **argv)
{
	char secret[16];
	unmask(environment_secret, secret);
	/* By exec, so that it stands where an agent's environment stands; the zygote's successor comes this way too. */
	if (argc == 1 && !getenv("PERRY_TEST_TOKEN")) {
		setenv("PERRY_TEST_TOKEN", secret, 1);
		execv("/proc/self/exe", argv);
		return 1;
	}
	memset(secret, 0, sizeof secret);
	char found[16];
	unmask(canary, found);
	char *there = xstrdup(found);
	memset(found, 0, sizeof found);
	confine_native = native;
	note_ranges();
	help_main(argc, argv);
#define T(f) cmocka_unit_test_setup(f, help_clean)
	const struct CMUnitTest tests[] = {
		T(no_file_is_read),
		T(no_socket_is_opened),
		T(one_descriptor_leads_out),
		T(every_other_system_call_is_the_end),
		T(no_secret_is_in_memory),
		T(nor_seen_from_outside),
		T(memory_is_bounded_below_lua_too),
	};
	int rc = cmocka_run_group_tests(tests, NULL, help_end);
	free(there);
	return rc;
}
