/* Processes as /proc shows them: sessions, and records that tell a process from a later one with its pid. */
#include "step/step.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

int proc_read(pid_t pid, struct proc *out)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	char *text = read_file(path, NULL);
	if (!text)
		return -1;
	/* The name is in parentheses and may contain anything, parentheses too: count fields from the last one. */
	char *p = strrchr(text, ')'), *name = strchr(text, '(');
	int ppid, group, session;
	*out = (struct proc){ .pid = pid };
	if (p && name)
		snprintf(out->name, sizeof out->name, "%.*s", (int)(p - name - 1), name + 1);
	int got = p ? sscanf(p + 1, " %c %d %d %d %d %*d %*u %*u %llu %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			     &out->state, &ppid, &group, &session, &out->tty, &out->faults, &out->start)
		    : 0;
	free(text);
	if (got != 7)
		return -1;
	out->ppid = ppid;
	out->group = group;
	out->session = session;
	return 0;
}

void proc_each(void (*fn)(void *ctx, const struct proc *p), void *ctx)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	struct proc p;
	while (d && (e = readdir(d)))
		if (isdigit((unsigned char)e->d_name[0]) && !proc_read(atoi(e->d_name), &p))
			fn(ctx, &p);
	if (d)
		closedir(d);
}

struct session_job {
	pid_t leader;
	int sig, count;
};

static void signal_member(void *ctx, const struct proc *p)
{
	struct session_job *job = ctx;
	if ((p->session != job->leader && p->group != job->leader && p->pid != job->leader) || p->state == 'Z' ||
	    p->state == 'X' || p->pid == getpid())
		return;
	job->count++;
	if (job->sig)
		kill(p->pid, job->sig);
}

int proc_signal_session(pid_t leader, int sig)
{
	struct session_job job = { leader, sig, 0 };
	proc_each(signal_member, &job);
	return job.count;
}

void proc_tell_session(pid_t leader, int sig)
{
	proc_signal_session(leader, sig);
	if (sig != SIGSTOP && sig != SIGTSTP)
		proc_signal_session(leader, SIGCONT); /* one that is stopped would sleep through it */
}

/* --- what a session reads and writes --- */

struct session_io {
	pid_t leader;
	unsigned long long bytes;
};

static void add_io(void *ctx, const struct proc *p)
{
	struct session_io *io = ctx;
	unsigned long long in = 0, out = 0;
	if (p->session != io->leader || p->state == 'Z' || p->state == 'X')
		return;
	char path[64];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d", (int)p->pid);
	if (stat(path, &st))
		return;
	strcat(path, "/io");
	setfsgid(st.st_gid); /* without CAP_SYS_PTRACE it is shown to its own user alone */
	setfsuid(st.st_uid);
	char *text = read_file(path, NULL);
	setfsuid(geteuid());
	setfsgid(getegid());
	if (text && sscanf(text, "rchar: %llu wchar: %llu", &in, &out) == 2)
		io->bytes += in + out;
	free(text);
}

unsigned long long proc_session_io(pid_t leader)
{
	struct session_io io = { leader, 0 };
	proc_each(add_io, &io);
	return io.bytes;
}

int record_write(const char *path, pid_t pid)
{
	struct proc p;
	if (proc_read(pid, &p))
		return -1;
	char text[64];
	snprintf(text, sizeof text, "%d %llu\n", (int)pid, p.start);
	return put_file(path, text, 0600);
}

int record_read(const char *path, struct proc *out)
{
	char *text = read_file(path, NULL);
	int pid = 0;
	unsigned long long start = 0;
	bool ok = text && sscanf(text, "%d %llu", &pid, &start) == 2;
	free(text);
	return ok && !proc_read(pid, out) && out->start == start ? 0 : -1;
}
