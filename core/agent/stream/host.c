/* A login shell of this machine on a pseudo-terminal of ours. */
#include "agent/stream/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define GRACE_MS 2000
#define POLL_MS  20

extern char **environ;

struct host {
	struct stream_source base;
	cJSON *caller;
	int cols, rows;
	int fd; /* the terminal's master side */
	pid_t pid;
	struct perry_err *err;
	struct loop_watch *watch, *exit_watch;
	int pid_fd; /* readable once the shell has ended, whoever still has the terminal open */
	struct buf in, pending;
	bool ending, exited, reaping, ended;
	atomic_bool hurry; /* the reaper is to end the shell */
	int hurry_fd;      /* and is told so by this */
	int code;
};

static void host_free(struct host *h)
{
	if (h->fd >= 0)
		close(h->fd);
	if (h->pid_fd >= 0)
		close(h->pid_fd);
	if (h->hurry_fd >= 0)
		close(h->hurry_fd);
	cJSON_Delete(h->caller);
	perry_err_free(h->err);
	buf_free(&h->in);
	buf_free(&h->pending);
	free(h);
}

static void finish(struct host *h)
{
	loop_watch_drop(&h->watch);
	loop_watch_drop(&h->exit_watch);
	stream_source_unlist(&h->base);
	if (h->base.owner)
		h->base.sink->ended(h->base.owner, h->code, h->err);
	host_free(h);
}

/* --- starting --- */

/* What belongs to the agent alone and not to a shell. */
static bool private_variable(const char *assignment)
{
	return strncmp(assignment, "PERRY_TAILSCALE_AUTH_KEY=", 25) == 0 ||
	       strncmp(assignment, "NOTIFY_SOCKET=", 14) == 0 || strncmp(assignment, "TERM=", 5) == 0 ||
	       strncmp(assignment, "INVOCATION_ID=", 14) == 0 || strncmp(assignment, "LISTEN_", 7) == 0;
}

/* Everything is prepared before the fork: between it and exec a program with threads may only call what a signal
 * handler may. */
static int start_shell(struct host *h, struct perry_err **err)
{
	struct passwd pw, *found = NULL;
	char space[4096];
	getpwuid_r(getuid(), &pw, space, sizeof space, &found);
	const char *shell = getenv("SHELL"), *home = getenv("HOME");
	if (!shell || access(shell, X_OK) < 0)
		shell = found && found->pw_shell && access(found->pw_shell, X_OK) == 0 ? found->pw_shell : "/bin/sh";
	if (!home || !*home)
		home = found ? found->pw_dir : "/";
	size_t n = 0, k = 0;
	while (environ[n])
		n++;
	cleanup_free const char **env = xcalloc(n + 2, sizeof *env);
	for (size_t i = 0; i < n; i++)
		if (!private_variable(environ[i]))
			env[k++] = environ[i];
	env[k++] = "TERM=xterm-256color";
	const char *argv[] = { shell, "-l", NULL };
	struct winsize size = { .ws_col = (unsigned short)h->cols, .ws_row = (unsigned short)h->rows };
	int fd = -1;
	pid_t pid = forkpty(&fd, NULL, NULL, &size);
	if (pid < 0)
		return perry_fail_errno(err, errno, "cannot open a terminal");
	if (pid == 0) {
		sigset_t none;
		struct sigaction dfl = { .sa_handler = SIG_DFL };
		for (int sig = 1; sig < 32; sig++)
			sigaction(sig, &dfl, NULL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		/* Not every library marks its descriptors close-on-exec. */
		if (close_range(3, ~0u, 0) < 0)
			for (int open_fd = 3; open_fd < 4096; open_fd++)
				close(open_fd);
		if (chdir(home) < 0 && chdir("/") < 0)
			_exit(126);
		execve(shell, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
		_exit(127);
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	h->fd = fd;
	h->pid = pid;
	h->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0); /* without it the end shows when the terminal is closed */
	return 0;
}

static void start_thread(void *arg)
{
	struct host *h = arg;
	if (h->hurry_fd < 0) {
		perry_fail(&h->err, PERRY_EUNAVAILABLE, "cannot open a terminal: too many open files");
		return;
	}
	const struct streams_setup *setup = &h->base.s->setup;
	if (!setup->host_access || !setup->host_access(setup->ctx)) {
		perry_fail(&h->err, PERRY_EFORBIDDEN, "Host access is disabled");
		h->err->status = 4003;
		return;
	}
	if (setup->admit && setup->admit(setup->ctx, h->caller, "terminal", STREAM_HOST, &h->err) < 0)
		return;
	start_shell(h, &h->err);
}

/* --- ending --- */

/* How long it may sleep: until somebody wants the shell gone, until that has taken too long, or for ever. Where the
 * kernel has no descriptor of a process, only for a moment. */
static void reap_wait(const struct host *h, int64_t kill_at)
{
	struct pollfd fds[] = { { .fd = h->pid_fd, .events = POLLIN },
				{ .fd = kill_at ? -1 : h->hurry_fd, .events = POLLIN } };
	int64_t left = kill_at - clock_mono_ms();
	int wait = kill_at == 0 || kill_at == INT64_MAX ? -1 : left > 0 ? (int)left : 0;
	poll(fds, 2, h->pid_fd < 0 ? POLL_MS : wait);
}

static void reap_thread(void *arg)
{
	struct host *h = arg;
	int64_t kill_at = 0; /* 0: nobody wants it gone */
	for (int status;;) {
		pid_t got = waitpid(h->pid, &status, WNOHANG);
		if (got == h->pid || (got < 0 && errno != EINTR)) {
			h->code = got < 0 ? 1 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
			return;
		}
		if (atomic_load(&h->hurry) && !kill_at) {
			kill_at = clock_mono_ms() + GRACE_MS;
			kill(-h->pid, SIGHUP);
			kill(-h->pid, SIGCONT);
		} else if (kill_at && clock_mono_ms() >= kill_at) {
			kill(-h->pid, SIGKILL);
			kill_at = INT64_MAX;
		}
		reap_wait(h, kill_at);
	}
}

static void maybe_finish(struct host *h)
{
	if (h->ended && (!h->pending.len || !h->base.owner || h->ending))
		finish(h);
}

static void reap_done(void *arg)
{
	struct host *h = arg;
	h->ended = true;
	maybe_finish(h);
}

static void reap(struct host *h)
{
	if (h->reaping)
		return;
	h->reaping = true;
	loop_work(h->base.s->loop, reap_thread, reap_done, h);
}

/* --- pumping --- */

static bool can_read(const struct host *h)
{
	return !h->pending.len && (h->ending || !h->base.owner || h->base.sink->room(h->base.owner) > 0);
}

static void update(struct host *h)
{
	if (h->watch)
		loop_watch_set(h->watch, (can_read(h) ? EPOLLIN : 0) | (h->in.len ? EPOLLOUT : 0));
}

static void flush_input(struct host *h)
{
	while (h->watch && h->in.len) {
		ssize_t n = write(h->fd, h->in.data, h->in.len);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			n = (ssize_t)h->in.len;
		buf_consume(&h->in, (size_t)n);
		if (h->base.owner)
			h->base.sink->consumed(h->base.owner, (size_t)n);
	}
}

static void give(struct host *h, const char *bytes, size_t n)
{
	if (h->ending || !h->base.owner)
		return;
	size_t room = h->pending.len ? 0 : h->base.sink->room(h->base.owner), k = n < room ? n : room;
	if (k)
		h->base.sink->output(h->base.owner, 1, bytes, k);
	buf_add(&h->pending, bytes + k, n - k);
}

static void read_some(struct host *h)
{
	char bytes[16384];
	do {
		ssize_t n = read(h->fd, bytes, sizeof bytes);
		if (n > 0) {
			give(h, bytes, (size_t)n);
		} else if (n == 0 || errno != EINTR) {
			if (n < 0 && errno == EAGAIN && !h->exited)
				return;
			loop_watch_drop(&h->watch); /* EIO: nobody has the other side any more */
			reap(h);
			return;
		}
	} while (h->exited && can_read(h));
}

static void on_event(void *owner, uint32_t events)
{
	struct host *h = owner;
	if (events & EPOLLOUT)
		flush_input(h);
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && can_read(h))
		read_some(h);
	update(h);
}

static void on_exit_event(void *owner, uint32_t events)
{
	struct host *h = owner;
	loop_watch_drop(&h->exit_watch);
	h->exited = true;
	if (h->watch && can_read(h))
		read_some(h);
	update(h);
}

static void start_done(void *arg)
{
	struct host *h = arg;
	if (h->err) {
		finish(h);
		return;
	}
	h->watch = loop_watch_new(h->base.s->loop, h->fd, on_event, h);
	if (h->pid_fd >= 0) {
		h->exit_watch = loop_watch_new(h->base.s->loop, h->pid_fd, on_exit_event, h);
		loop_watch_set(h->exit_watch, EPOLLIN);
	}
	if (h->ending)
		reap(h);
	else if (h->base.owner)
		h->base.sink->opened(h->base.owner, NULL);
	struct winsize size = { .ws_col = (unsigned short)h->cols, .ws_row = (unsigned short)h->rows };
	ioctl(h->fd, TIOCSWINSZ, &size);
	flush_input(h);
	update(h);
}

static void on_input(struct stream_source *src, const char *bytes, size_t n)
{
	struct host *h = (struct host *)src;
	if (h->ending || h->reaping) {
		src->sink->consumed(src->owner, n);
		return;
	}
	buf_add(&h->in, bytes, n);
	flush_input(h);
	update(h);
}

static void on_resize(struct stream_source *src, int cols, int rows)
{
	struct host *h = (struct host *)src;
	struct winsize size = { .ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows };
	if (h->watch)
		ioctl(h->fd, TIOCSWINSZ, &size);
}

static void on_kick(struct stream_source *src)
{
	struct host *h = (struct host *)src;
	size_t room = src->sink->room(src->owner), n = h->pending.len < room ? h->pending.len : room;
	if (n) {
		src->sink->output(src->owner, 1, h->pending.data, n);
		buf_consume(&h->pending, n);
	}
	if (h->exited && h->watch && can_read(h))
		read_some(h);
	update(h);
	maybe_finish(h);
}

static void on_end(struct stream_source *src)
{
	struct host *h = (struct host *)src;
	h->ending = true;
	atomic_store(&h->hurry, true);
	eventfd_write(h->hurry_fd, 1);
	h->pending.len = 0;
	if (h->watch)
		reap(h);
	update(h);
	maybe_finish(h);
}

struct stream_source *stream_host_new(struct streams *s, int cols, int rows, const cJSON *caller,
				      const struct stream_sink *sink, void *owner)
{
	struct host *h = xcalloc(1, sizeof *h);
	h->fd = h->pid_fd = -1;
	h->hurry_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	h->cols = cols;
	h->rows = rows;
	h->caller = cJSON_Duplicate(caller, 1);
	stream_source_list(&h->base, s, STREAM_HOST, sink, owner);
	h->base.input = on_input;
	h->base.resize = on_resize;
	h->base.kick = on_kick;
	h->base.end = on_end;
	loop_work(s->loop, start_thread, start_done, h);
	return &h->base;
}
