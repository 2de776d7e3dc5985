#include "agent/lock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/paths.h"

static char *program_of(const char *pid)
{
	cleanup_free char *path = xasprintf("/proc/%s/comm", pid);
	FILE *f = fopen(path, "re");
	char name[64] = "";
	if (f) {
		if (fgets(name, sizeof name, f))
			name[strcspn(name, "\n")] = 0;
		fclose(f);
	}
	return xasprintf("%s (pid %s)", *name ? name : "a program", pid);
}

int lock_take(const char *dir, int *fd, struct perry_err **err)
{
	cleanup_free char *path = path_join(dir, "agent.pid");
	cleanup_fd int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0)
		return perry_fail_errno(err, errno, "%s", path);
	/* Of the description, not of the process: it goes when the agent goes, however it goes. */
	if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
		char text[32] = "";
		if (errno != EWOULDBLOCK)
			return perry_fail_errno(err, errno, "%s", path);
		ssize_t n = pread(lock, text, sizeof text - 1, 0);
		text[n > 0 ? n : 0] = 0;
		text[strcspn(text, "\n")] = 0;
		cleanup_free char *who = *text ? program_of(text) : xstrdup("another agent");
		return perry_fail(err, PERRY_ECONFLICT, "an agent is running on %s already: %s", dir, who);
	}
	*fd = lock;
	lock = -1;
	return lock_note(*fd, 0, err);
}

int lock_note(int fd, uint16_t port, struct perry_err **err)
{
	char text[48];
	int n = port ? snprintf(text, sizeof text, "%ld\n%u\n", (long)getpid(), port)
		     : snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		return perry_fail_errno(err, errno, "agent.pid");
	return 0;
}

/* The inode of the socket that listens on the port, from /proc/net/tcp or tcp6; 0 when there is none. */
static unsigned long listener_inode(const char *table, uint16_t port)
{
	FILE *f = fopen(table, "re");
	char line[512];
	unsigned long found = 0;
	while (f && !found && fgets(line, sizeof line, f)) {
		unsigned local, state;
		unsigned long inode;
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*d %*d %lu", &local, &state,
			   &inode) == 3 &&
		    local == port && state == 0x0a)
			found = inode;
	}
	if (f)
		fclose(f);
	return found;
}

static bool holds(const char *pid, unsigned long inode)
{
	cleanup_free char *dir = xasprintf("/proc/%s/fd", pid), *want = xasprintf("socket:[%lu]", inode);
	DIR *d = opendir(dir);
	struct dirent *e;
	bool found = false;
	while (d && !found && (e = readdir(d))) {
		char target[64];
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
		if (n > 0) {
			target[n] = 0;
			found = strcmp(target, want) == 0;
		}
	}
	if (d)
		closedir(d);
	return found;
}

char *port_holder(uint16_t port)
{
	unsigned long inode = listener_inode("/proc/net/tcp", port);
	if (!inode)
		inode = listener_inode("/proc/net/tcp6", port);
	DIR *d = inode ? opendir("/proc") : NULL;
	struct dirent *e;
	char *who = NULL;
	while (d && !who && (e = readdir(d)))
		if (isdigit((unsigned char)e->d_name[0]) && holds(e->d_name, inode))
			who = program_of(e->d_name);
	if (d)
		closedir(d);
	return who;
}
