/* write: standard input into a file, all or nothing. ready: the environment is there. */
#include "step/step.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

static int copy_input(int fd, long long expected)
{
	char bytes[65536];
	long long total = 0;
	for (;;) {
		ssize_t n = read(0, bytes, sizeof bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		total += n;
		if (fd_write_all(fd, bytes, (size_t)n))
			return -1;
	}
	if (expected >= 0 && total != expected) {
		warn_line("%lld bytes came where %lld were announced", total, expected);
		errno = EPIPE;
		return -1;
	}
	return 0;
}

static void make_parents(const char *path, const struct user *u, bool as_user)
{
	char *dir = xstrdup(path);
	for (char *p = dir + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (!mkdir(dir, 0755) && u && !as_user && chown(dir, u->uid, u->gid))
			warn_line("%s: %s", dir, strerror(errno));
		*p = '/';
	}
	free(dir);
}

static bool below(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	return n > 1 && !strncmp(path, dir, n) && path[n] == '/';
}

int cmd_write(int argc, char **argv)
{
	static const struct option options[] = { { "mode", required_argument, 0, 'm' },
						 { "owner", required_argument, 0, 'o' },
						 { "size", required_argument, 0, 's' },
						 { 0 } };
	const char *owner = NULL;
	long mode = 0600;
	long long size = -1;
	char *end;
	int o;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'm' && ((mode = strtol(optarg, &end, 8)) < 0 || mode > 07777 || *end || end == optarg))
			die(EXIT_USAGE, "--mode takes octal digits, not %s", optarg);
		if (o == 's' && ((size = strtoll(optarg, &end, 10)) < 0 || *end || end == optarg))
			die(EXIT_USAGE, "--size takes a number, not %s", optarg);
		if (o == 'o')
			owner = optarg;
		if (o == '?')
			return EXIT_USAGE;
	}
	if (optind + 1 != argc)
		die(EXIT_USAGE, "write needs one path");
	struct user u = { 0 };
	if (owner)
		user_wait();
	if (owner && user_find(owner, &u))
		die(EXIT_STEP, "no user %s in this image", owner);
	char *path = argv[optind];
	if (path[0] == '~' && path[1] == '/')
		path = xasprintf("%s%s", owner ? u.home : WORKSPACE_HOME, path + 1);
	if (path[0] != '/' || path[strlen(path) - 1] == '/')
		die(EXIT_USAGE, "write needs the whole path of a file, not %s", path);
	/* In a user's own home everything is done as that user: a link planted there leads no further than it could go
	 * itself. */
	bool as_user = owner && u.uid != 0 && below(path, u.home);
	if (as_user && user_become(&u))
		die(EXIT_STEP, "cannot become %s: %s", u.name, strerror(errno));
	umask(022);
	make_parents(path, owner ? &u : NULL, as_user);
	struct stat st;
	if (!lstat(path, &st) && S_ISDIR(st.st_mode))
		die(1, "%s is a folder", path);
	const char *slash = strrchr(path, '/');
	char *tmp = xasprintf("%.*s/.%s.XXXXXX", (int)(slash - path), path, slash + 1);
	int fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		die(1, "%s: %s", tmp, strerror(errno));
	if (copy_input(fd, size) || (owner && !as_user && fchown(fd, u.uid, u.gid)) || fchmod(fd, (mode_t)mode) ||
	    fsync(fd) || close(fd) || rename(tmp, path)) {
		int e = errno;
		unlink(tmp);
		die(1, "%s: %s", path, strerror(e));
	}
	return 0;
}

int cmd_ready(int argc, char **argv)
{
	if (argc != 1)
		die(EXIT_USAGE, "ready takes nothing");
	if (make_dirs(RUN_DIR, 0755) || put_file(READY_FILE, "", 0644))
		die(1, READY_FILE ": %s", strerror(errno));
	return 0;
}
