/* A disk that is full soon, for the process that asks and its children; it ends with them. */
#ifndef PERRY_TESTS_SMALL_DISK_H
#define PERRY_TESTS_SMALL_DISK_H
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static inline void small_disk_note(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0) /* where it is refused the mount fails, or its files */
		perror(path);
	close(fd);
}

/* Who is not root takes a user namespace, in which he is: without the map he would own nothing there. */
static inline bool small_disk_as_user(void)
{
	char users[64], groups[64];
	snprintf(users, sizeof users, "0 %u 1", (unsigned)geteuid());
	snprintf(groups, sizeof groups, "0 %u 1", (unsigned)getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return false;
	small_disk_note("/proc/self/setgroups", "deny");
	small_disk_note("/proc/self/uid_map", users);
	small_disk_note("/proc/self/gid_map", groups);
	return true;
}

/* Mounts a tmpfs of this size ("64k") on dir, in a mount namespace of the caller's own. False where that is not
 * allowed. */
static inline bool small_disk(const char *dir, const char *size)
{
	char option[32];
	snprintf(option, sizeof option, "size=%s", size);
	return (unshare(CLONE_NEWNS) == 0 || small_disk_as_user()) &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("tmpfs", dir, "tmpfs", 0, option) == 0;
}

#endif
