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
	pid_t pid = fork();
	if (pid < 0)
		die(EXIT_STEP, "fork: %s", strerror(errno));
	if (pid == 0) {
		if (!tty || own) {
			setsid();
		} else {
			setpgid(0, 0);
			signal(SIGTTOU, SIG_IGN);
			tcsetpgrp(0, getpid());
		}
		if (own)
			ioctl(0, TIOCSCTTY, 0);
		launch_record(record);
		launch_exec(l);
	}
	/* Only the command holds the streams: who reads them sees their end when it closes them. */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	int code = supervise(pid, &watched);
	unlink(record);
	return code;
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
	const char *id = NULL;
	struct command c = { .user = WORKSPACE_USER };
	struct launch l;
	int o;
	while ((o = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (o) {
		case 'i':
			id = optarg;
			break;
		case 'u':
			c.user = optarg;
			break;
		case 'c':
			c.cwd = optarg;
			break;
		case 'l':
			c.login = true;
			break;
		case 's':
			c.shell = optarg;
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
	c.argv = argv + optind;
	if (!id || !valid_id(id))
		die(EXIT_USAGE, "exec needs --id, made of letters, digits, . _ and -");
	if (!c.login && !c.argv[0])
		die(EXIT_USAGE, "exec needs a command, or --login");
	launch_command(&l, &c);
	char *record = launch_record_path(id);
	struct proc other;
	if (!record_read(record, &other))
		die(EXIT_STEP, "an exec with the id %s is running", id);
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
	const char *shell = xstrdup(user_shell(&l.user, &l.env, NULL)), *base = strrchr(shell, '/') + 1;
	vars_set(&l.env, "SHELL", shell);
	argv[0] = argv[0][0] == '-' ? xasprintf("-%s", base) : (char *)base;
	exec_program(shell, argv, &l.env);
	die(EXIT_CANNOT_RUN, "%s: %s", shell, strerror(errno));
}
