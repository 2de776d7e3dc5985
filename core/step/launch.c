/* What exec, run and the holder share: a user's environment, its login shell, and becoming that user in the child. */
#include "step/step.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

void launch_prepare(struct launch *l, const char *user)
{
	char *problem;
	user_wait();
	if (user_find(user, &l->user))
		die(EXIT_STEP, "no user %s in this image", user);
	vars_copy(&l->env, environ);
	user_env(&l->user, &l->env);
	vars_set(&l->env, "SHELL", user_shell(&l->user, &(struct vars){ 0 }, NULL));
	if (vars_load(&l->env, TAILNET_ENV_FILE, &problem) || vars_load(&l->env, ENV_FILE, &problem))
		die(EXIT_STEP, "%s", problem);
	/* Who one is does not come from a file. */
	user_env(&l->user, &l->env);
}

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

void launch_command(struct launch *l, const struct command *c)
{
	*l = (struct launch){ .cwd = c->cwd, .argv = c->argv };
	launch_prepare(l, c->user);
	if (c->login) {
		const char *real = xstrdup(user_shell(&l->user, &l->env, c->shell)); /* it may stand in the variable */
		vars_set(&l->env, "SHELL", real);
		l->argv = login_argv(l, c->argv, real);
	}
	give_stdio(&l->user);
}

char *launch_record_path(const char *id)
{
	return xasprintf(EXEC_DIR "/%s", id);
}

void launch_record(const char *path)
{
	if (make_dirs(EXEC_DIR, 0700))
		die(EXIT_STEP, EXEC_DIR ": %s", strerror(errno));
	if (record_write(path, getpid()))
		die(EXIT_STEP, "%s: %s", path, strerror(errno));
}

void signals_restore(void)
{
	sigset_t none;
	sigemptyset(&none);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static char *find_program(const char *file, const char *path)
{
	int seen = ENOENT;
	if (strchr(file, '/'))
		return xstrdup(file);
	while (path && *file) {
		size_t n = strcspn(path, ":");
		char *full = n ? xasprintf("%.*s/%s", (int)n, path, file) : xasprintf("./%s", file);
		struct stat st;
		if (!stat(full, &st) && !S_ISDIR(st.st_mode)) {
			if (!access(full, X_OK))
				return full;
			seen = EACCES;
		}
		free(full);
		path = path[n] ? path + n + 1 : NULL;
	}
	errno = seen;
	return NULL;
}

void exec_program(const char *file, char **argv, const struct vars *env)
{
	char *path = find_program(file, vars_get(env, "PATH"));
	if (!path)
		return;
	execve(path, argv, env->v);
	if (errno == ENOEXEC) { /* a script without a first line, as shells take it */
		int n = 0;
		while (argv[n])
			n++;
		char **with = xmalloc((size_t)(n + 2) * sizeof *with);
		with[0] = (char *)"sh";
		with[1] = path;
		memcpy(with + 2, argv + 1, (size_t)n * sizeof *with);
		execve("/bin/sh", with, env->v);
	} else if (errno == ENOENT && !access(path, F_OK)) {
		errno = ENOEXEC; /* the file is there, what its first line or loader names is not: that is 126 */
	}
}

static void enter(const struct launch *l)
{
	const char *home = l->user.home, *cwd = l->cwd;
	if (!cwd) {
		if (chdir(home) && chdir("/"))
			die(EXIT_CANNOT_RUN, "cannot enter /: %s", strerror(errno));
		return;
	}
	char *full = cwd[0] == '~' && (cwd[1] == '/' || !cwd[1]) ? xasprintf("%s%s", home, cwd + 1)
		     : cwd[0] == '/'                             ? xstrdup(cwd)
								 : xasprintf("%s/%s", home, cwd);
	if (chdir(full))
		die(EXIT_CANNOT_RUN, "cannot enter %s: %s", full, strerror(errno));
	free(full);
}

void launch_exec(struct launch *l)
{
	signals_restore();
	umask(022);
	if (user_become(&l->user))
		die(EXIT_CANNOT_RUN, "cannot become %s: %s", l->user.name, strerror(errno));
	enter(l);
	char *cwd = getcwd(NULL, 0);
	if (cwd)
		vars_set(&l->env, "PWD", cwd);
	free(cwd);
	exec_program(l->shell ? l->shell : l->argv[0], l->argv, &l->env);
	int e = errno;
	const char *what = l->shell ? l->shell : l->argv[0];
	if (e == ENOENT || e == ENOTDIR)
		die(EXIT_NOT_FOUND, "%s: command not found", what);
	die(EXIT_CANNOT_RUN, "%s: %s", what,
	    e == ENOEXEC ? "cannot be run: its interpreter or format is missing here" : strerror(e));
}
