#include "policy/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret.h"
#include "policy/child/child.h"
#include "policy/child/confine.h"

#define MAX_CHILDREN 512
#define SOCKET_FD    3
static const char respawn_word[] = "policy-zygote";

extern char **environ;

struct child {
	pid_t pid;
	int status_fd;
	bool ended; /* the agent has closed the session: the process was sent away */
};

/* -- the zygote's side -- */

static void keep_only(int fd)
{
	int null = open("/dev/null", O_RDWR);
	for (int std = 0; std < 3; std++) {
#if defined(PERRY_SAN_address) || defined(PERRY_SAN_undefined) || defined(PERRY_SAN_thread)
		if (std == 2)
			continue; /* reports of the sanitizers go there */
#endif
		if (null >= 0)
			dup2(null, std);
	}
	if (fd != SOCKET_FD)
		dup2(fd, SOCKET_FD);
	close_range(SOCKET_FD + 1, ~0U, 0);
}

/* What the agent was started with may hold a token; a hook must not find it even by breaking out of Lua. */
static void forget_environment(void)
{
	for (char **e = environ; e && *e; e++)
		wipe(*e, strlen(*e));
	static char *none[] = { NULL };
	environ = none;
}

static void drop_root(void)
{
	if (geteuid() != 0)
		return;
	/* Within some user namespaces there is nobody to become; the filter of system calls holds either way. */
	if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		errno = 0;
}

static int receive_child(int sock, int fds[2])
{
	char byte;
	struct iovec iov = { &byte, 1 };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
	};
	ssize_t n;
	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(2 * sizeof(int)))
		return 0;
	memcpy(fds, CMSG_DATA(c), 2 * sizeof(int));
	return 1;
}

static void report(struct child *c, int status)
{
	if (send(c->status_fd, &status, sizeof status, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		errno = 0; /* the agent has closed the session: nobody asks */
	close(c->status_fd);
	*c = (struct child){ .status_fd = -1 };
}

static void reap(struct child *children, size_t *n)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < *n; i++)
			if (children[i].pid == pid)
				report(&children[i], status);
	size_t kept = 0;
	for (size_t i = 0; i < *n; i++)
		if (children[i].pid)
			children[kept++] = children[i];
	*n = kept;
}

static void start_child(int fds[2], struct child *children, size_t *n)
{
	pid_t zygote = getpid();
	pid_t pid = *n < MAX_CHILDREN ? fork() : -1;
	if (pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		keep_only(fds[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != zygote)
			_exit(1);
		child_main(SOCKET_FD);
	}
	close(fds[0]);
	struct child c = { .pid = pid, .status_fd = fds[1] };
	if (pid < 0) {
		report(&c, -1);
		return;
	}
	children[(*n)++] = c;
}

/* parent: whose death ends us, or 0 */
__attribute__((noreturn)) static void zygote_main(int sock, pid_t parent)
{
	static struct child children[MAX_CHILDREN];
	static struct pollfd polls[MAX_CHILDREN + 2];
	size_t n = 0;
	keep_only(sock);
	sock = SOCKET_FD;
	forget_environment();
	drop_root(); /* which also clears the parent-death signal */
	if (parent && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
		_exit(72);
	/* Ctrl-C and a service manager's TERM are for the agent, whose last hooks still have to run; we end when it
	 * does. */
	setpgid(0, 0);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "perry-policy");
	prctl(PR_SET_DUMPABLE, 0);
	/* A child's heap is small and short-lived: growing and shrinking it costs more than it saves. */
	mallopt(M_MMAP_THRESHOLD, 16 << 20);
	mallopt(M_TRIM_THRESHOLD, 128 << 20);
	if (confine_prepare() < 0)
		_exit(70);
	sigset_t chld;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_SETMASK, &chld, NULL);
	int sig = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sig < 0)
		_exit(71);
	for (;;) {
		polls[0] = (struct pollfd){ .fd = sock, .events = POLLIN };
		polls[1] = (struct pollfd){ .fd = sig, .events = POLLIN };
		for (size_t i = 0; i < n; i++)
			polls[i + 2] = (struct pollfd){ .fd = children[i].ended ? -1 : children[i].status_fd,
							.events = POLLRDHUP };
		if (poll(polls, n + 2, -1) < 0)
			continue;
		for (size_t i = 0; i < n; i++)
			if (polls[i + 2].revents) {
				kill(children[i].pid, SIGKILL);
				children[i].ended = true;
			}
		if (polls[1].revents) {
			struct signalfd_siginfo info;
			while (read(sig, &info, sizeof info) > 0)
				;
		}
		reap(children, &n);
		if (!polls[0].revents)
			continue;
		int fds[2];
		int got = receive_child(sock, fds);
		if (got < 0)
			_exit(0); /* the agent is gone; our children get SIGKILL by their parent-death signal */
		if (got)
			start_child(fds, children, &n);
	}
}

void zygote_main_if_asked(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], respawn_word) == 0)
		zygote_main(SOCKET_FD, 0);
}

/* -- the agent's side -- */

int zygote_fork(struct zygote *z, struct perry_err **err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return perry_fail_errno(err, errno, "socketpair");
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0) {
		int e = errno;
		close(pair[0]);
		close(pair[1]);
		return perry_fail_errno(err, e, "fork");
	}
	if (pid == 0)
		zygote_main(pair[1], parent);
	close(pair[1]);
	*z = (struct zygote){ pair[0], pid };
	return 0;
}

/* No parent-death signal here: it follows the thread that forked, and that may be an operation's. The socket's end
 * tells as well. */
int zygote_respawn(struct zygote *z, struct perry_err **err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return perry_fail_errno(err, errno, "socketpair");
	/* dup2 onto itself would keep the close-on-exec flag */
	cleanup_fd int theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, SOCKET_FD + 1);
	close(pair[1]);
	posix_spawn_file_actions_t acts;
	posix_spawnattr_t attr;
	sigset_t none;
	sigemptyset(&none);
	posix_spawn_file_actions_init(&acts);
	posix_spawn_file_actions_adddup2(&acts, theirs, SOCKET_FD);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	char *argv[] = { (char[]){ "perry" }, (char[]){ "policy-zygote" }, NULL };
	char *env[] = { NULL };
	pid_t pid = -1;
	int e = theirs < 0 ? EMFILE : posix_spawn(&pid, "/proc/self/exe", &acts, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&acts);
	if (e) {
		close(pair[0]);
		return perry_fail_errno(err, e, "starting the policy process anew");
	}
	*z = (struct zygote){ pair[0], pid };
	return 0;
}

static int pass(int sock, int a, int b)
{
	char byte = 'f';
	struct iovec iov = { &byte, 1 };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(c), (int[]){ a, b }, 2 * sizeof(int));
	ssize_t n;
	do
		n = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

int zygote_child(const struct zygote *z, int *sock, int *status, struct perry_err **err)
{
	int a[2], b[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a) < 0)
		return perry_fail_errno(err, errno, "socketpair");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b) < 0) {
		int e = errno;
		close(a[0]);
		close(a[1]);
		return perry_fail_errno(err, e, "socketpair");
	}
	int failed = z->fd < 0 ? -1 : pass(z->fd, a[1], b[1]);
	close(a[1]);
	close(b[1]);
	if (failed < 0) {
		close(a[0]);
		close(b[0]);
		return perry_fail(err, PERRY_EUNAVAILABLE, "the policy process is gone");
	}
	*sock = a[0];
	*status = b[0];
	return 0;
}

void zygote_end(struct zygote *z)
{
	if (z->fd >= 0)
		close(z->fd);
	if (z->pid > 0) {
		kill(z->pid, SIGKILL);
		while (waitpid(z->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*z = (struct zygote){ -1, -1 };
}
