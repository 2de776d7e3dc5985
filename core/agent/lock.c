#include "agent/lock.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
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

struct holder {
	unsigned long inode; /* 0: none */
	unsigned uid;
};

/* The address as /proc/net/tcp and tcp6 write it. */
static bool table_address(const char *addr, char out[33])
{
	uint32_t words[4];
	int n = inet_pton(AF_INET, addr, words) == 1 ? 1 : inet_pton(AF_INET6, addr, words) == 1 ? 4 : 0;
	for (int i = 0; i < n; i++)
		snprintf(out + (ptrdiff_t)i * 8, 9, "%08X", words[i]);
	return n;
}

/* Who listens on the address, or on all. */
static struct holder listener_of(const char *table, const char *address, uint16_t port)
{
	FILE *f = fopen(table, "re");
	char line[512], local[33];
	struct holder found = { 0 };
	while (f && !found.inode && fgets(line, sizeof line, f)) {
		unsigned at, state, uid;
		unsigned long inode;
		if (sscanf(line, " %*d: %32[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %u %*d %lu", local, &at, &state,
			   &uid, &inode) == 5 &&
		    at == port && state == 0x0a && (strcmp(local, address) == 0 || strspn(local, "0") == strlen(local)))
			found = (struct holder){ inode, uid };
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

/* Whose descriptors another user may not see: his name at least. */
static char *program_of_user(unsigned uid)
{
	struct passwd pw, *found = NULL;
	char text[1024];
	if (uid == geteuid())
		return NULL;
	if (getpwuid_r(uid, &pw, text, sizeof text, &found) == 0 && found)
		return xasprintf("a program of the user %s", found->pw_name);
	return xasprintf("a program of the user with the id %u", uid);
}

char *port_holder(const char *addr, uint16_t port)
{
	char address[33];
	if (!table_address(addr, address))
		return NULL;
	struct holder h = listener_of("/proc/net/tcp", address, port);
	if (!h.inode)
		h = listener_of("/proc/net/tcp6", address, port);
	DIR *d = h.inode ? opendir("/proc") : NULL;
	struct dirent *e;
	char *who = NULL;
	while (d && !who && (e = readdir(d)))
		if (isdigit((unsigned char)e->d_name[0]) && holds(e->d_name, h.inode))
			who = program_of(e->d_name);
	if (d)
		closedir(d);
	return who || !h.inode ? who : program_of_user(h.uid);
}
