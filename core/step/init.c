/* init: process 1 of every workspace. Makes the user ready, waits for the environment, keeps the image's services
 * running, reaps, and ends all of it in order when it is told to. */
#include "step/home.h"
#include "base/mem.h"
#include "step/step.h"
#include "step/tailnet.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READY_WAIT_MS 10000
#define STOP_WAIT_MS  8000 /* less than the ten seconds after which an engine kills */

static pid_t services;           /* runsvdir */
static long long services_again; /* when it may be started again */
static pid_t tailnet;            /* the supervisor of tailscaled */
static char **services_env;
static int stopping;

static void reap(void)
{
	pid_t pid;
	int status;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == services) {
			services = 0;
			services_again = now_ms() + 1000;
			if (!stopping)
				say("the service supervisor ended (%d), starting it again", exit_code(status));
		} else if (pid == tailnet && !stopping) { /* killed: its tailscaled has ended with it */
			tailnet = tailnet_start();
		}
}

/* Sleeps until a signal or for ms (negative: until a signal); reaps, and notes that it is time to stop. */
static void wait_signal(int ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };
	sigset_t all;
	sigfillset(&all);
	int sig = ms < 0 ? sigwaitinfo(&all, NULL) : sigtimedwait(&all, NULL, &t);
	if (sig == SIGTERM || sig == SIGINT || sig == SIGPWR)
		stopping = sig;
	reap();
}

static const char *runsvdir(void)
{
	static const char *const paths[] = { "/usr/bin/runsvdir", "/sbin/runsvdir", "/usr/sbin/runsvdir",
					     "/bin/runsvdir", "/command/runsvdir" };
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (!access(paths[i], X_OK))
			return paths[i];
	return NULL;
}

static bool has_services(void)
{
	DIR *d = opendir(SERVICES_DIR);
	struct dirent *e;
	bool found = false;
	while (d && !found && (e = readdir(d)))
		found = e->d_name[0] != '.';
	if (d)
		closedir(d);
	return found;
}

static void start_services(void)
{
	const char *program = runsvdir();
	services = fork();
	if (services == 0) {
		signals_restore();
		setsid();
		char *argv[] = { (char *)"runsvdir", (char *)"-P", (char *)SERVICES_DIR, NULL };
		execve(program, argv, services_env);
		_exit(EXIT_NOT_FOUND);
	}
	if (services < 0) {
		say("fork: %s", strerror(errno));
		services = 0;
		services_again = now_ms() + 1000;
	}
}

/* Sessions of sshd start from nothing and read these. */
static void keep_image_environment(void)
{
	static const char *const own[] = { "HOME", "PWD", "TERM", "container" };
	struct vars e = { 0 };
	for (char **v = environ; *v; v++) {
		bool skip = false;
		for (size_t i = 0; i < ARRAY_LEN(own); i++)
			skip |= !strncmp(*v, own[i], strlen(own[i])) && (*v)[strlen(own[i])] == '=';
		if (!skip)
			vars_copy(&e, (char *[]){ *v, NULL });
	}
	if (vars_save(&e, IMAGE_ENV_FILE, 0644))
		say(IMAGE_ENV_FILE ": %s", strerror(errno));
}

static void load_environment(void)
{
	struct vars e = { 0 };
	char *problem;
	vars_copy(&e, environ);
	if (!vars_get(&e, "PATH"))
		vars_set(&e, "PATH", DEFAULT_PATH);
	vars_set(&e, "HOME", "/root");
	if (vars_load(&e, TAILNET_ENV_FILE, &problem) || vars_load(&e, ENV_FILE, &problem))
		say("services start without the environment: %s", problem);
	services_env = e.v;
}

static bool has_name(pid_t pid, const char *prefix)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	char *name = read_file(path, NULL);
	bool is = name && !strncmp(name, prefix, strlen(prefix));
	free(name);
	return is;
}

struct sweep {
	int sig, left, supervisors;
	bool terminals_only;
	char names[256];
};

static void sweep_one(void *ctx, const struct proc *p)
{
	struct sweep *s = ctx;
	if (p->pid == getpid() || p->state == 'Z' || p->state == 'X')
		return;
	/* The agent's ear: it has nothing to end in order, and the agent begins a new one as long as the container is
	 * there. */
	if (has_name(p->pid, "perry-watch")) {
		kill(p->pid, SIGKILL);
		return;
	}
	/* The holder of channels ends with its children; one that an agent begins meanwhile has none. */
	if (has_name(p->pid, HOLDER_NAME)) {
		s->left++;
		kill(p->pid, SIGTERM);
		return;
	}
	if (has_name(p->pid, "runsv"))
		s->supervisors++;
	else
		s->left++;
	if (!s->sig) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/comm", (int)p->pid);
		char *name = read_file(path, NULL);
		size_t used = strlen(s->names);
		if (name)
			snprintf(s->names + used, sizeof s->names - used, " %.*s(%d)", (int)strcspn(name, "\n"), name,
				 (int)p->pid);
		free(name);
		return;
	}
	/* Supervisors of ours end with what they supervise; runsv tells its own service; twice told, many programs give
	 * up their clean end. */
	if (has_name(p->pid, "perry-step") || has_name(p->pid, "runsv") || has_name(p->ppid, "runsv") ||
	    (tailnet && p->ppid == tailnet))
		return;
	if (!s->terminals_only || p->tty)
		kill(p->pid, s->sig);
}

static void sweep(int sig, bool terminals_only, struct sweep *s)
{
	*s = (struct sweep){ .sig = sig, .terminals_only = terminals_only };
	proc_each(sweep_one, s);
}

static int stop_all(void)
{
	struct sweep s;
	long long began = now_ms();
	bool hung_up = false;
	say("stopping");
	if (services)
		kill(services, SIGHUP); /* runsvdir ends each service and itself */
	if (tailnet)
		kill(tailnet, SIGTERM);
	sweep(SIGTERM, false, &s);
	sweep(SIGCONT, false, &s);
	for (;;) {
		wait_signal(s.left || s.supervisors ? 10 : 0);
		sweep(0, false, &s);
		long long took = now_ms() - began;
		/* runsv sleeps a second when its service ran for less than that: with nothing left to supervise it is
		 * not waited for. */
		if (!s.left && (!s.supervisors || took > 100))
			break;
		if (!hung_up && took > 50) { /* shells on a terminal ignore TERM and leave when it hangs up */
			sweep(SIGHUP, true, &s);
			hung_up = true;
		}
		if (took > STOP_WAIT_MS) {
			say("these did not end in time:%s", s.names);
			break;
		}
	}
	say("stopped");
	return 0;
}

/* The environment and the files of the home come on standard input, when somebody is attached there: a round trip less
 * than an exec. */
static void take_bundle(void)
{
	struct stat st;
	if (fstat(0, &st) || !S_ISFIFO(st.st_mode))
		return;
	if (fork() == 0)
		_exit(apply_bundle(0, READY_WAIT_MS, 1) ? 1 : 0);
}

int cmd_init(int argc, char **argv)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	umask(022);
	if (chdir("/") || make_dirs(RUN_DIR, 0755) || chmod(RUN_DIR, 0755) || make_dirs(EXEC_DIR, 0700) ||
	    make_dirs(STEPS_DIR, 0700))
		say(RUN_DIR ": %s", strerror(errno));
	keep_image_environment();
	tailnet = tailnet_start();
	home_profile();
	home_prepare();
	take_bundle();
	home_host_keys();
	if (put_file(UP_FILE, "", 0644))
		say(UP_FILE ": %s", strerror(errno));
	long long began = now_ms();
	while (!stopping && access(READY_FILE, F_OK) && now_ms() - began < READY_WAIT_MS)
		wait_signal(5);
	if (!stopping && access(READY_FILE, F_OK))
		say("no environment came within %d s, going on without it", READY_WAIT_MS / 1000);
	load_environment();
	bool serve = has_services() && runsvdir();
	if (!stopping)
		say(serve ? "ready, starting services" : "ready");
	while (!stopping) {
		long long pause = services_again - now_ms();
		if (serve && !services && pause <= 0)
			start_services();
		wait_signal(serve && !services ? (int)(pause > 10 ? pause : 10) : -1);
	}
	return stop_all();
}
