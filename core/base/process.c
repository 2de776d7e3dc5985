#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/str.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
#define LINGER_MS    200 /* for output that a child of the child holds open */

extern char **environ;

void process_end_free(struct process_end *end)
{
	buf_free(&end->out);
	buf_free(&end->err);
}

static bool runnable(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

char *process_find(const char *name, const char *path)
{
	if (strchr(name, '/'))
		return runnable(name) ? xstrdup(name) : NULL;
	if (!path || !*path)
		path = DEFAULT_PATH;
	while (*name) {
		size_t n = strcspn(path, ":");
		cleanup_free char *dir = xstrndup(path, n), *program = path_join(dir, name);
		if (*dir == '/' && runnable(program)) /* never the current folder */
			return take_ptr(program);
		if (!path[n])
			break;
		path += n + 1;
	}
	return NULL;
}

static const char *path_of(const char *const *env)
{
	const char *path = NULL;
	for (const char *const *e = env; *e; e++)
		if (str_starts(*e, "PATH="))
			path = *e + 5;
	return path;
}

struct child {
	pid_t pid;
	int in, out, err; /* our ends */
	pid_t foreground; /* the group that had the terminal, 0 */
};

/* Between fork and exec, in a process whose threads are gone: system calls only. */
__attribute__((noreturn)) static void become(const struct process *p, const char *path, const char *const *env, int in,
					     int out, int err)
{
	sigset_t none;
	static const int reset[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGTTOU };
	setpgid(0, 0);
	for (size_t i = 0; i < ARRAY_LEN(reset); i++)
		signal(reset[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (p->file_size) {
		struct rlimit r = { (rlim_t)p->file_size, (rlim_t)p->file_size };
		setrlimit(RLIMIT_FSIZE, &r);
		signal(SIGXFSZ, SIG_IGN); /* an error message says more than a signal */
	}
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0 || (p->dir && chdir(p->dir) < 0))
		_exit(126);
	close_range(3, ~0U, 0);
	execve(path, (char *const *)(uintptr_t)p->argv, (char *const *)(uintptr_t)env);
	_exit(errno == ENOENT ? 127 : 126);
}

static void close_pair(const int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* As a shell does it: who asks for a passphrase must be in the foreground. */
static void lend_terminal(const struct process *p, struct child *c)
{
	pid_t now = p->terminal ? tcgetpgrp(0) : -1;
	if (now <= 0 || now != getpgrp())
		return;
	if (tcsetpgrp(0, c->pid) == 0)
		c->foreground = now;
}

static void take_terminal_back(struct child *c)
{
	if (!c->foreground)
		return;
	void (*before)(int) = signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(0, c->foreground);
	signal(SIGTTOU, before);
	c->foreground = 0;
}

static int start(const struct process *p, const char *path, const char *const *env, struct child *c,
		 struct perry_err **err)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, errs[2] = { -1, -1 };
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(errs, O_CLOEXEC) < 0 ||
	    (c->pid = fork()) < 0) {
		int e = errno;
		close_pair(in);
		close_pair(out);
		close_pair(errs);
		return perry_fail_errno(err, e, "starting %s", p->argv[0]);
	}
	if (c->pid == 0)
		become(p, path, env, in[0], out[1], errs[1]);
	setpgid(c->pid, c->pid); /* in both: whoever comes first */
	close(in[0]);
	close(out[1]);
	close(errs[1]);
	c->in = in[1];
	c->out = out[0];
	c->err = errs[0];
	fd_set_nonblock(c->in, 1);
	lend_terminal(p, c);
	return 0;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void feed(const struct process *p, struct child *c, size_t *fed)
{
	ssize_t n = *fed < p->input_len ? write(c->in, p->input + *fed, p->input_len - *fed) : 0;
	if (n > 0)
		*fed += (size_t)n;
	if (*fed >= p->input_len || (n < 0 && errno != EAGAIN && errno != EINTR))
		shut(&c->in);
}

static void drain(int *fd, struct buf *to, size_t max, bool *cut)
{
	char bytes[8192];
	ssize_t n = read(*fd, bytes, sizeof bytes);
	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		shut(fd);
		return;
	}
	size_t room = to->len < max ? max - to->len : 0;
	*cut = *cut || (size_t)n > room;
	buf_add(to, bytes, (size_t)n < room ? (size_t)n : room);
}

/* Until it has ended and its output too, or the time is up: false. */
static bool serve(const struct process *p, struct child *c, int64_t until, struct process_end *end)
{
	size_t fed = 0;
	bool gone = false;
	for (;;) {
		siginfo_t info = { 0 };
		/* Not reaped yet: until its group is killed nobody else may get its number. */
		if (!gone && waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid) {
			int64_t soon = clock_mono_ms() + LINGER_MS;
			gone = true;
			until = until < soon ? until : soon;
		}
		if (gone && c->out < 0 && c->err < 0)
			return true;
		int64_t left = until - clock_mono_ms();
		if (left <= 0)
			return gone;
		struct pollfd f[3] = { { .fd = c->in, .events = POLLOUT },
				       { .fd = c->out, .events = POLLIN },
				       { .fd = c->err, .events = POLLIN } };
		/* No signal tells of the child's end, for the handler would be the whole process's: a look now and
		 * then. */
		int wait = c->out < 0 && c->err < 0 ? 5 : 50;
		if (poll(f, 3, left < wait ? (int)left : wait) < 0 && errno != EINTR)
			return gone;
		if (f[0].revents)
			feed(p, c, &fed);
		if (f[1].revents)
			drain(&c->out, &end->out, p->max_output, &end->cut);
		if (f[2].revents)
			drain(&c->err, &end->err, p->max_output, &end->cut);
	}
}

int process_run(const struct process *p, struct process_end *end, struct perry_err **err)
{
	const char *const *env = p->env ? p->env : (const char *const *)environ;
	cleanup_free char *path = process_find(p->argv[0], path_of(env));
	struct child c = { 0 };
	int status = 0;
	*end = (struct process_end){ 0 };
	if (!path)
		return perry_fail(err, PERRY_ENOTFOUND, "%s: there is no such command", p->argv[0]);
	if (start(p, path, env, &c, err) < 0)
		return -1;
	bool ended = serve(p, &c, clock_mono_ms() + p->timeout_ms, end);
	kill(-c.pid, SIGKILL); /* itself, or what it left in its group */
	while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
		;
	take_terminal_back(&c);
	shut(&c.in);
	shut(&c.out);
	shut(&c.err);
	if (!ended)
		return perry_fail(err, PERRY_ETIMEOUT, "%s: not done after %g s; it was ended", p->argv[0],
				  p->timeout_ms / 1000.0);
	end->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return 0;
}
