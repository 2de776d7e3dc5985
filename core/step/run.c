/* run: a command once per key, whoever asks and however often. A supervisor that belongs to no caller runs it and keeps
 * its output and code; every caller, the first one too, only follows the files:
 * /run/perry/steps/KEY/{lock,out,pid,code}. --quiet SECONDS: one that writes nothing for so long, while none of its
 * processes reads or writes anything, is ended with the code 124. */
#include "step/step.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

/* The output lies in memory (a tmpfs): a command that prints without end must not eat it. */
#define OUT_MAX (32LL << 20)

#define LOOK_MS     1000 /* how often a command with a deadline is looked at */
#define LOOK_MAX_MS 3000 /* a look that comes later was frozen with the workspace, or asleep with the machine */
#define GRACE_MS    2000 /* between asking it to end, and ending it */
#define EXIT_QUIET  124

struct step {
	char *lock, *out, *pid, *code, *dir;
};

struct sink {
	int fd;
	long long n;
	bool cut;
};

static void keep(struct sink *s, const char *bytes, size_t n)
{
	if (s->cut)
		return;
	if (s->n + (long long)n <= OUT_MAX && !fd_write_all(s->fd, bytes, n)) {
		s->n += (long long)n;
		return;
	}
	s->cut = true;
	dprintf(s->fd, "\n[perry] output ends here, the rest is not kept; the command goes on\n");
}

/* What is in the pipe now. False at its end. */
static bool drain(int fd, struct sink *s)
{
	char bytes[65536];
	for (;;) {
		ssize_t n = read(fd, bytes, sizeof bytes);
		if (n > 0)
			keep(s, bytes, (size_t)n);
		else if (n == 0)
			return false;
		else if (errno != EINTR)
			return errno == EAGAIN;
	}
}

/* A command that may not be quiet for longer than so long. */
struct quiet {
	long long most, so_far, looked, kill_at; /* ms; most 0: it may */
	long long written;                       /* as of the last look */
	unsigned long long io;
	bool ended; /* by us */
};

static void look_at_silence(struct quiet *q, pid_t child, const struct sink *s)
{
	long long now = now_ms(), passed = now - q->looked;
	if (!q->most || passed < LOOK_MS)
		return;
	q->looked = now;
	if (q->ended) {
		if (now >= q->kill_at)
			proc_signal_session(child, SIGKILL);
		return;
	}
	unsigned long long io = proc_session_io(child);
	q->so_far = s->n != q->written || io != q->io ? 0 : q->so_far + (passed < LOOK_MAX_MS ? passed : LOOK_MAX_MS);
	q->written = s->n;
	q->io = io;
	if (q->so_far < q->most)
		return;
	q->ended = true;
	q->kill_at = now + GRACE_MS;
	proc_signal_session(child, SIGTERM);
}

static void pump(pid_t child, int fd, struct sink *s, const struct step *st, long long quiet_ms)
{
	struct quiet q = { .most = quiet_ms, .looked = now_ms() };
	sigset_t chld;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	struct pollfd polls[] = { { fd, POLLIN, 0 }, { signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK), POLLIN, 0 } };
	bool over = false;
	while (polls[0].fd >= 0 || !over) {
		struct signalfd_siginfo info;
		int status;
		poll(polls, 2, 1000);
		if (read(polls[1].fd, &info, sizeof info) < 0 && errno != EAGAIN)
			sleep_ms(10);
		bool ended = !over && waitpid(child, &status, WNOHANG) == child;
		if (polls[0].fd >= 0 && !drain(fd, s))
			polls[0].fd = -1;
		if (!ended && !over)
			look_at_silence(&q, child, s);
		if (ended) { /* after the drain: all that it wrote itself stands in out before code does */
			char text[16];
			snprintf(text, sizeof text, "%d\n", q.ended ? EXIT_QUIET : exit_code(status));
			put_file(st->code, text, 0600);
			over = true;
		}
	}
	/* Background processes that it left keep their output: we read on until the last one closes it. */
}

static void supervise(struct launch *l, const struct step *st, int out, long long quiet_ms)
{
	int go[2], pipefd[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t all;
	setsid();
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (pipe2(go, O_CLOEXEC) || pipe2(pipefd, O_CLOEXEC))
		_exit(EXIT_STEP);
	struct sink s = { .fd = out };
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		setsid();
		close(go[1]);
		if (fchown(pipefd[1], l->user.uid, (gid_t)-1) || dup2(pipefd[1], 1) < 0 || dup2(pipefd[1], 2) < 0 ||
		    read(go[0], &byte, 1) != 1)
			_exit(EXIT_STEP);
		launch_exec(l);
	}
	close(pipefd[1]);
	close(go[0]);
	if (pid < 0 || record_write(st->pid, pid) || write(go[1], "g", 1) != 1) {
		dprintf(out, "perry-step: cannot start: %s\n", strerror(errno));
		put_file(st->code, "125\n", 0600);
		_exit(EXIT_STEP);
	}
	close(go[1]);
	fcntl(pipefd[0], F_SETFL, O_NONBLOCK);
	pump(pid, pipefd[0], &s, st, quiet_ms);
	_exit(0);
}

static int lock_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR)
		;
	return fd;
}

/* Under the lock. The supervisor holds a lock on out as long as it lives. */
static void ensure_started(struct launch *l, const char *user, const struct step *st, long long quiet_ms)
{
	struct proc p;
	int lock = lock_file(st->lock);
	if (lock < 0)
		die(EXIT_STEP, "%s: %s", st->lock, strerror(errno));
	int out = open(st->out, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (out < 0)
		die(EXIT_STEP, "%s: %s", st->out, strerror(errno));
	if (access(st->code, F_OK) && !flock(out, LOCK_EX | LOCK_NB)) {
		if (!access(st->pid, F_OK)) {
			/* It was begun and its supervisor is dead (killed, out of memory): it may have done anything,
			 * so it is not begun again. */
			if (!record_read(st->pid, &p))
				proc_signal_session(p.pid, SIGKILL);
			dprintf(out, "[perry] the supervisor of this command was killed; the command is taken as "
				     "killed too\n");
			put_file(st->code, "137\n", 0600);
		} else if (l) {
			launch_prepare(l, user);
			pid_t pid = fork();
			if (pid < 0)
				die(EXIT_STEP, "fork: %s", strerror(errno));
			if (pid == 0) {
				close(lock);
				supervise(l, st, out, quiet_ms);
			}
		}
	}
	flock(lock, LOCK_UN);
	close(lock);
	close(out);
}

static bool supervisor_gone(int out)
{
	if (flock(out, LOCK_SH | LOCK_NB))
		return false;
	flock(out, LOCK_UN);
	return true;
}

static int follow(const struct step *st)
{
	char bytes[65536];
	int out = open(st->out, O_RDONLY | O_CLOEXEC), watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (out < 0)
		die(EXIT_STEP, "%s: %s", st->out, strerror(errno));
	bool woken = watch >= 0 && inotify_add_watch(watch, st->dir, IN_MODIFY | IN_MOVED_TO) >= 0;
	for (;;) {
		/* First whether it has ended, then what it wrote: nothing comes after. */
		char *code = read_file(st->code, NULL);
		ssize_t n;
		while ((n = read(out, bytes, sizeof bytes)) > 0)
			if (fd_write_all(1, bytes, (size_t)n))
				return EXIT_STEP; /* nobody listens; the command goes on */
		if (code)
			return atoi(code);
		struct pollfd p = { watch, POLLIN, 0 };
		if (poll(&p, 1, woken ? 500 : 20) == 0 && supervisor_gone(out) && access(st->code, F_OK))
			ensure_started(NULL, NULL, st, 0);
		while (woken && read(watch, bytes, sizeof bytes) > 0)
			;
	}
}

int cmd_run(int argc, char **argv)
{
	static const struct option options[] = { { "key", required_argument, 0, 'k' },
						 { "user", required_argument, 0, 'u' },
						 { "cwd", required_argument, 0, 'c' },
						 { "quiet", required_argument, 0, 'q' },
						 { 0 } };
	const char *key = NULL, *user = WORKSPACE_USER;
	struct launch l = { 0 };
	long long quiet_ms = 0;
	char *end;
	int o;
	while ((o = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (o) {
		case 'k':
			key = optarg;
			break;
		case 'u':
			user = optarg;
			break;
		case 'c':
			l.cwd = optarg;
			break;
		case 'q':
			quiet_ms = strtoll(optarg, &end, 10) * 1000;
			if (*end || quiet_ms <= 0 || quiet_ms > 86400000)
				die(EXIT_USAGE, "--quiet takes seconds, not %s", optarg);
			break;
		default:
			return EXIT_USAGE;
		}
	}
	l.argv = argv + optind;
	if (!key || !valid_id(key))
		die(EXIT_USAGE, "run needs --key, made of letters, digits, . _ and -");
	if (!l.argv[0])
		die(EXIT_USAGE, "run needs a command");
	struct step st = { .dir = xasprintf(STEPS_DIR "/%s", key) };
	st.lock = xasprintf("%s/lock", st.dir);
	st.out = xasprintf("%s/out", st.dir);
	st.pid = xasprintf("%s/pid", st.dir);
	st.code = xasprintf("%s/code", st.dir);
	if (make_dirs(STEPS_DIR, 0700) || make_dirs(st.dir, 0700))
		die(EXIT_STEP, "%s: %s", st.dir, strerror(errno));
	ensure_started(&l, user, &st, quiet_ms);
	return follow(&st);
}
