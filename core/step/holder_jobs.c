/* Our children, and how they are ended: HUP to all of a session, KILL to what is left of it. */
#include "step/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#define PASS_MS    40   /* between two looks at what is left */
#define GIVE_UP_MS 5000 /* after the first KILL: a session that forks while it is killed needs several */

static struct job *jobs;

int terminal_open(unsigned cols, unsigned rows, int *slave)
{
	const struct winsize size = { .ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows };
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), no = 0;
	if (master < 0)
		return -1;
	*slave = -1;
	if (!ioctl(master, TIOCSPTLCK, &no)) {
		char name[64];
		unsigned number;
		*slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (*slave < 0 && !ioctl(master, TIOCGPTN, &number)) { /* before Linux 4.13 */
			snprintf(name, sizeof name, "/dev/pts/%u", number);
			*slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
		}
	}
	if (*slave < 0 || ioctl(master, TIOCSWINSZ, &size)) {
		int e = errno;
		if (*slave >= 0)
			close(*slave);
		close(master);
		errno = e;
		return -1;
	}
	return master;
}

/* Never returns: what goes wrong is said where the command would have spoken. */
static void become(const struct start *s, const int fds[3], bool tty)
{
	setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			_exit(EXIT_STEP);
	if (tty)
		ioctl(0, TIOCSCTTY, 0);
	s->run(s);
}

struct job *job_start(const struct start *s, int in, int out, int err, bool tty)
{
	pid_t pid = fork();
	if (pid < 0)
		return NULL;
	if (pid == 0)
		become(s, (const int[]){ in, out, err }, tty);
	struct job *j = xcalloc(1, sizeof *j);
	j->pid = pid;
	j->record = xstrdup(s->record);
	j->watch = s->life != NULL;
	j->next = jobs;
	jobs = j;
	return j;
}

static void forget(struct job *j)
{
	for (struct job **p = &jobs; *p; p = &(*p)->next)
		if (*p == j) {
			*p = j->next;
			break;
		}
	free(j->record);
	free(j);
}

/* --- ending --- */

static void count_and_signal(void *ctx, const struct proc *p)
{
	if (p->state == 'Z' || p->state == 'X' || p->pid == getpid())
		return;
	for (struct job *j = jobs; j; j = j->next) {
		if (!j->kill_at || (p->session != j->pid && p->group != j->pid && p->pid != j->pid))
			continue;
		j->count++;
		if (j->sig)
			kill(p->pid, j->sig);
		if (j->sig == SIGHUP)
			kill(p->pid, SIGCONT);
		return;
	}
}

/* All that are being ended, in one look at the processes. */
static void pass(struct timer *t)
{
	long long now = now_ms();
	bool more = false;
	for (struct job *j = jobs; j; j = j->next) {
		j->count = 0;
		if (j->kill_at && now >= j->kill_at)
			j->sig = SIGKILL;
	}
	proc_each(count_and_signal, NULL);
	for (struct job *j = jobs; j; j = j->next) {
		j->gone = j->kill_at && (j->count ? now >= j->kill_at + GIVE_UP_MS : j->ended);
		more |= j->kill_at && !j->gone;
		if (j->gone)
			j->kill_at = 0;
		j->sig = 0;
	}
	if (more)
		timer_set(t, now_ms() + PASS_MS);
	/* Whoever is told may free any of them, and end others. */
	for (struct job *j = jobs; j;) {
		if (!j->gone) {
			j = j->next;
			continue;
		}
		j->gone = false;
		if (j->owner && j->on_gone)
			j->on_gone(j);
		else if (!j->owner && j->ended)
			forget(j);
		j = jobs;
	}
}

static struct timer passes = { .fire = pass };

void job_end(struct job *j)
{
	if (j->kill_at)
		return;
	j->kill_at = now_ms() + ENDING_MS;
	j->sig = SIGHUP;
	timer_set(&passes, now_ms());
}

void job_drop(struct job *j)
{
	j->owner = NULL;
	if (!j->ended)
		job_end(j);
	else if (!j->kill_at)
		forget(j);
}

void jobs_reap(void)
{
	pid_t pid;
	int status;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct job *j = jobs;
		while (j && (j->pid != pid || j->ended))
			j = j->next;
		if (!j)
			continue;
		j->ended = true;
		j->code = exit_code(status);
		if (j->record)
			unlink(j->record);
		if (j->owner)
			j->on_end(j);
		else if (!j->kill_at)
			forget(j);
	}
}

bool jobs_left(void)
{
	for (struct job *j = jobs; j; j = j->next)
		if (!j->ended)
			return true;
	return false;
}

void jobs_end_watches(void)
{
	for (struct job *j = jobs; j; j = j->next)
		if (!j->ended && j->watch)
			kill(j->pid, SIGKILL);
}
