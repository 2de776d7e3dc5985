/* exec: one command or login shell of a user, in a session of its own, under a supervisor that keeps the record for
 * kill. */
#include "step/step.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

/* The engine made these pipes and terminals as root; the user must be able to open /dev/stdout or its terminal by name.
 */
static void give_stdio(const struct user *u)
{
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;
		if (!fstat(fd, &st) && (S_ISFIFO(st.st_mode) || isatty(fd)) && fchown(fd, u->uid, (gid_t)-1))
			continue; /* somebody else's pipe: leave it */
	}
}

static int supervise(pid_t child, const sigset_t *watched)
{
	int status;
	for (;;) {
		int sig = sigwaitinfo(watched, NULL);
		if (sig == SIGCHLD) {
			pid_t got;
			while ((got = waitpid(-1, &status, WNOHANG)) > 0)
				if (got == child)
					return exit_code(status);
		} else if (sig > 0) {
			kill(-child, sig);
		}
	}
}

static int run_supervised(struct launch *l, const char *record)
{
	sigset_t watched;
	int go[2];
	/* On a terminal that the engine made for us we are its session's leader: let go of it, so that the child can
	 * have a session with it. */
	bool tty = isatty(0), own = tty && getsid(0) == getpid();
	sigemptyset(&watched);
	for (const int *s = (const int[]){ SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, 0 }; *s; s++)
		sigaddset(&watched, *s);
	if (own) {
		/* Letting go of a terminal hangs up on its foreground group, which is ours; blocked instead of ignored
		 * it would be passed on later. */
		signal(SIGHUP, SIG_IGN);
		ioctl(0, TIOCNOTTY);
		signal(SIGHUP, SIG_DFL);
	}
	sigprocmask(SIG_BLOCK, &watched, NULL);
	if (pipe2(go, O_CLOEXEC))
		die(EXIT_STEP, "pipe: %s", strerror(errno));
	pid_t pid = fork();
	if (pid < 0)
		die(EXIT_STEP, "fork: %s", strerror(errno));
	if (pid == 0) {
		char byte;
		if (!tty || own)
			setsid();
		else
			setpgid(0, 0);
		if (own)
			ioctl(0, TIOCSCTTY, 0);
		close(go[1]);
		if (read(go[0], &byte, 1) != 1) /* only once the record stands: what runs can be ended */
			_exit(EXIT_STEP);
		launch_exec(l);
	}
	if (tty && !own) {
		setpgid(pid, pid);
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(0, pid);
	}
	if (record_write(record, pid)) {
		kill(pid, SIGKILL);
		die(EXIT_STEP, "%s: %s", record, strerror(errno));
	}
	if (write(go[1], "g", 1) != 1)
		die(EXIT_STEP, "the command died before it began");
	/* Only the command holds the streams: who reads them sees their end when it closes them. */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	int code = supervise(pid, &watched);
	unlink(record);
	return code;
}

static char **login_argv(struct launch *l, char **cmd, const char *shell)
{
	const char *base = strrchr(shell, '/') ? strrchr(shell, '/') + 1 : shell;
	int n = 0;
	while (cmd[n])
		n++;
	char **argv = xmalloc((size_t)(n + 5) * sizeof *argv);
	if (n == 0) {
		argv[0] = xasprintf("-%s", base);
		argv[1] = NULL;
		l->shell = shell;
		return argv;
	}
	/* A command in a login environment: only shells of the Bourne kind know "$@". */
	static const char *const bourne[] = { "sh", "bash", "zsh", "dash", "ksh", "ash" };
	bool known = false;
	for (size_t i = 0; i < ARRAY_LEN(bourne); i++)
		known |= !strcmp(base, bourne[i]);
	l->shell = known ? shell : "/bin/sh";
	argv[0] = (char *)"-sh";
	argv[1] = (char *)"-c";
	argv[2] = (char *)"exec \"$@\"";
	argv[3] = (char *)"perry";
	memcpy(argv + 4, cmd, (size_t)(n + 1) * sizeof *argv);
	return argv;
}

int cmd_exec(int argc, char **argv)
{
	static const struct option options[] = {
		{ "id", required_argument, 0, 'i' },
		{ "user", required_argument, 0, 'u' },
		{ "cwd", required_argument, 0, 'c' },
		{ "login", no_argument, 0, 'l' },
		{ "shell", required_argument, 0, 's' },
		{ "size", required_argument, 0, 'z' },
		{ 0 },
	};
	struct winsize size = { 0 };
	const char *id = NULL, *user = WORKSPACE_USER, *shell = NULL;
	struct launch l = { 0 };
	bool login = false;
	int o;
	while ((o = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (o) {
		case 'i':
			id = optarg;
			break;
		case 'u':
			user = optarg;
			break;
		case 'c':
			l.cwd = optarg;
			break;
		case 'l':
			login = true;
			break;
		case 's':
			shell = optarg;
			break;
		case 'z':
			sscanf(optarg, "%hux%hu", &size.ws_col, &size.ws_row);
			break;
		default:
			return EXIT_USAGE;
		}
	}
	/* The engine sets a terminal's size only once the command runs, which may have asked already. */
	if (size.ws_col && size.ws_row && isatty(0))
		ioctl(0, TIOCSWINSZ, &size);
	l.argv = argv + optind;
	if (!id || !valid_id(id))
		die(EXIT_USAGE, "exec needs --id, made of letters, digits, . _ and -");
	if (!login && !l.argv[0])
		die(EXIT_USAGE, "exec needs a command, or --login");
	launch_prepare(&l, user);
	if (login) {
		const char *real = user_shell(&l.user, &l.env, shell);
		vars_set(&l.env, "SHELL", real);
		l.argv = login_argv(&l, l.argv, real);
	}
	char *record = xasprintf(EXEC_DIR "/%s", id);
	struct proc other;
	if (make_dirs(EXEC_DIR, 0700))
		die(EXIT_STEP, EXEC_DIR ": %s", strerror(errno));
	if (!record_read(record, &other))
		die(EXIT_STEP, "an exec with the id %s is running", id);
	give_stdio(&l.user);
	return run_supervised(&l, record);
}

/* The login shell of the workspace image: sshd and su start it as "perry-sh -c CMD" or "-perry-sh". It adds the
 * workspace's environment and becomes the real shell with the same arguments, so that a remote command, sftp, rsync and
 * a terminal all see the same. */
int cmd_shell(int argc, char **argv)
{
	struct launch l = { 0 };
	char uid[16], *problem;
	snprintf(uid, sizeof uid, "%u", (unsigned)getuid());
	if (user_find(uid, &l.user))
		die(EXIT_STEP, "no user with the id %s", uid);
	vars_copy(&l.env, environ);
	user_env(&l.user, &l.env);
	vars_set(&l.env, "SHELL", "/bin/bash");
	if (vars_load(&l.env, IMAGE_ENV_FILE, &problem))
		warn_line("%s", problem); /* a shell without it is better than no shell */
	if (vars_load(&l.env, TAILNET_ENV_FILE, &problem))
		warn_line("%s", problem);
	if (vars_load(&l.env, ENV_FILE, &problem))
		warn_line("%s", problem);
	user_env(&l.user, &l.env);
	const char *shell = user_shell(&l.user, &l.env, NULL), *base = strrchr(shell, '/') + 1;
	vars_set(&l.env, "SHELL", shell);
	argv[0] = argv[0][0] == '-' ? xasprintf("-%s", base) : (char *)base;
	exec_program(shell, argv, &l.env);
	die(EXIT_CANNOT_RUN, "%s: %s", shell, strerror(errno));
}
