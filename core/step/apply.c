/* apply: a bundle of files from standard input into their places, those in the home as its user, all read before the
 * first is written. perry-bundle LENGTH                    of all that follows this line KIND MODE OWNER SIZE
 * PATHLENGTH        each entry's line, then the path and the bytes, without separators reach ADDRESS: another
 * workspace's, which should be out of reach; whether it is not, is said end READY READY 1: what waits for the
 * environment may go on KIND: file (replaces), default (only where there is none), block (the part of a text
 * file between our marks). OWNER: user, root, or group: root's, and the user's group has what the mode says. */
#include "step/reach.h"
#include "step/step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define TARGETS     4
#define ANSWER_MS   10 /* there and back on one machine: 0.1 ms, and under 8 on one with ten times too much to do */
#define BUNDLE_MAX  (64u << 20)
#define BLOCK_BEGIN "# >>> perry: these lines are replaced at every sync >>>\n"
#define BLOCK_END   "# <<< perry <<<\n"

struct entry {
	struct entry *next;
	char kind; /* of "file", "default", "block" the first letter */
	bool user, group;
	mode_t mode;
	char *path;
	const char *bytes;
	size_t size;
};

struct bundle {
	char *raw;
	size_t len, at;
	struct entry *first, **last;
	char targets[TARGETS][16];
	int fds[TARGETS], ntargets;
	long long asked;
	bool ready;
};

/* Exactly one bundle, whose first line says how long it is: nobody needs to close the stream. NULL: none came within
 * wait_ms, or not all of it. */
static char *read_bundle(int fd, int wait_ms, size_t *len)
{
	static const char head[] = "perry-bundle ";
	struct pollfd p = { fd, POLLIN, 0 };
	char line[64];
	size_t n = 0;
	if (wait_ms >= 0 && poll(&p, 1, wait_ms) <= 0)
		return NULL;
	do {
		if (n == sizeof line - 1 || read(fd, line + n, 1) != 1)
			return NULL;
	} while (line[n++] != '\n');
	line[n] = 0;
	if (strncmp(line, head, sizeof head - 1) || sscanf(line + sizeof head - 1, "%zu", len) != 1 ||
	    *len > BUNDLE_MAX)
		return NULL;
	char *all = xmalloc(*len + 1);
	for (n = 0; n < *len;) {
		ssize_t got = read(fd, all + n, *len - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			free(all);
			return NULL;
		}
		n += (size_t)got;
	}
	return all;
}

static const char *parse_entry(struct bundle *b, const char *line)
{
	char kind[16], owner[16];
	unsigned mode;
	size_t size, path;
	int used = 0;
	if (sscanf(line, "%15s %o %15s %zu %zu\n%n", kind, &mode, owner, &size, &path, &used) != 5 || !used ||
	    line[used - 1] != '\n')
		return "an entry's line is malformed";
	b->at += (size_t)used;
	if (path < 2 || path > 4000 || path > b->len - b->at || size > b->len - b->at - path)
		return "an entry is cut short";
	struct entry *e = xmalloc(sizeof *e);
	*e = (struct entry){ .kind = kind[0], .user = !strcmp(owner, "user"), .mode = mode & 07777, .size = size };
	e->group = !strcmp(owner, "group");
	e->path = xmalloc(path + 1);
	memcpy(e->path, b->raw + b->at, path);
	e->path[path] = 0;
	e->bytes = b->raw + b->at + path;
	b->at += path + size;
	*b->last = e;
	b->last = &e->next;
	if (strlen(e->path) != path || (e->path[0] != '/' && strncmp(e->path, "~/", 2)) || e->path[path - 1] == '/')
		return "an entry's path is not absolute";
	return NULL;
}

static const char *parse(struct bundle *b)
{
	b->last = &b->first;
	for (;;) {
		const char *line = b->raw + b->at, *nl = memchr(line, '\n', b->len - b->at), *problem;
		if (!nl)
			return "the bundle is cut short";
		if (!strncmp(line, "end ", 4)) {
			b->ready = line[4] == '1';
			return NULL;
		}
		char copy[128];
		if (!strncmp(line, "reach ", 6) && nl - line - 6 < (long)sizeof *b->targets && b->ntargets < TARGETS) {
			memcpy(b->targets[b->ntargets++], line + 6, (size_t)(nl - line - 6));
			b->at += (size_t)(nl - line) + 1;
			continue;
		}
		if (nl - line >= (long)sizeof copy - 1)
			return "an entry's line is too long";
		memcpy(copy, line, (size_t)(nl - line) + 1);
		copy[nl - line + 1] = 0;
		if ((problem = parse_entry(b, copy)))
			return problem;
	}
}

static void parents(const char *path, mode_t mode)
{
	char *dir = xstrdup(path);
	for (char *p = dir + 1; *p; p++)
		if (*p == '/') {
			*p = 0;
			mkdir(dir, mode & 077 ? 0755 : 0700);
			*p = '/';
		}
	free(dir);
}

/* The file's text with our block replaced (or added at the end; removed when it would be empty). */
static char *with_block(const char *path, const struct entry *e, size_t *len)
{
	size_t have = 0;
	char *old = read_file(path, &have), *begin = old ? strstr(old, BLOCK_BEGIN) : NULL,
	     *end = begin ? strstr(begin, BLOCK_END) : NULL;
	size_t before = begin && end ? (size_t)(begin - old) : have;
	const char *after = begin && end ? end + strlen(BLOCK_END) : "";
	bool newline = before && old[before - 1] != '\n';
	char *text = xmalloc(have + e->size + sizeof BLOCK_BEGIN + sizeof BLOCK_END + 4), *p = text;
	if (before) {
		memcpy(p, old, before);
		p += before;
	}
	if (e->size) {
		p += sprintf(p, "%s" BLOCK_BEGIN, newline ? "\n" : "");
		memcpy(p, e->bytes, e->size);
		p += e->size;
		p += sprintf(p, "%s" BLOCK_END, e->bytes[e->size - 1] == '\n' ? "" : "\n");
	}
	p += sprintf(p, "%s", after);
	*len = (size_t)(p - text);
	free(old);
	return text;
}

/* Only what changed is written: a watcher in the workspace sees no change where there is none. */
static bool same(const char *path, const char *bytes, size_t size, const struct entry *e, const struct user *u)
{
	struct stat st;
	size_t n = 0;
	if (lstat(path, &st) || !S_ISREG(st.st_mode) || (st.st_mode & 07777) != e->mode || (size_t)st.st_size != size ||
	    (e->group && (st.st_uid != 0 || st.st_gid != u->gid)))
		return false;
	char *have = read_file(path, &n);
	bool is = have && n == size && !memcmp(have, bytes, size);
	free(have);
	return is;
}

static int put(const char *path, const struct entry *e, const struct user *u)
{
	struct stat st;
	bool exists = !lstat(path, &st);
	if (exists && S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return -1;
	}
	if (exists && e->kind == 'd')
		return 0;
	size_t n = e->size;
	char *block = e->kind == 'b' ? with_block(path, e, &n) : NULL;
	const char *bytes = block ? block : e->bytes;
	if ((e->kind == 'b' && !exists && !n) || same(path, bytes, n, e, u)) {
		free(block);
		return 0;
	}
	parents(path, e->mode);
	const char *slash = strrchr(path, '/');
	char *tmp = xasprintf("%.*s/.%s.XXXXXX", (int)(slash - path), path, slash + 1);
	int fd = mkostemp(tmp, O_CLOEXEC), rc = -1;
	if (fd >= 0) {
		rc = fd_write_all(fd, bytes, n) || (e->group && fchown(fd, 0, u->gid)) || fchmod(fd, e->mode) ||
				     rename(tmp, path)
			     ? -1
			     : 0;
		int saved = errno;
		close(fd);
		if (rc)
			unlink(tmp);
		errno = saved;
	}
	free(tmp);
	free(block);
	return rc;
}

static int put_all(const struct bundle *b, const struct user *u, bool as_user, int report)
{
	int failed = 0;
	for (const struct entry *e = b->first; e; e = e->next) {
		if (e->user != as_user)
			continue;
		char *path = e->path[0] == '~' ? xasprintf("%s%s", u->home, e->path + 1) : xstrdup(e->path);
		if (put(path, e, u)) {
			dprintf(report, "[perry] apply: %s: %s\n", path, strerror(errno));
			failed = 1;
		}
		free(path);
	}
	return failed;
}

/* In a child, because becoming the user is for good: a link planted in the home leads no further than the user could
 * go. */
static int put_as_user(const struct bundle *b, const struct user *u, int report)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		umask(022);
		if (user_become(u)) {
			dprintf(report, "[perry] apply: cannot become %s: %s\n", u->name, strerror(errno));
			_exit(1);
		}
		_exit(put_all(b, u, true, report));
	}
	if (pid < 0)
		return 1;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 0; /* reaped elsewhere */
	return exit_code(status);
}

static void ask_targets(struct bundle *b)
{
	b->asked = now_ms();
	for (int i = 0; i < b->ntargets; i++)
		b->fds[i] = reach_begin(b->targets[i]);
}

static void tell_targets(struct bundle *b, int report)
{
	for (int i = 0; i < b->ntargets; i++)
		if (b->fds[i] >= 0 && reach_end(b->fds[i], (int)(b->asked + ANSWER_MS - now_ms())))
			dprintf(report, "[perry] reaches %s\n", b->targets[i]);
}

int apply_bundle(int fd, int wait_ms, int report)
{
	struct bundle b = { 0 };
	struct user u = { 0 };
	b.raw = read_bundle(fd, wait_ms, &b.len);
	if (!b.raw)
		return -1;
	const char *problem = parse(&b);
	if (problem) {
		dprintf(report, "[perry] apply: %s\n", problem);
		return 1;
	}
	ask_targets(&b);
	if (user_find(WORKSPACE_USER, &u)) {
		dprintf(report, "[perry] apply: no user " WORKSPACE_USER " in this image\n");
		return 1;
	}
	umask(022);
	int failed = put_all(&b, &u, false, report);
	failed |= put_as_user(&b, &u, report);
	explicit_bzero(b.raw, b.len);
	if (b.ready && put_file(READY_FILE, "", 0644)) {
		dprintf(report, "[perry] apply: " READY_FILE ": %s\n", strerror(errno));
		failed = 1;
	}
	tell_targets(&b, report);
	dprintf(report, failed ? "[perry] apply: failed\n" : "[perry] apply: done\n");
	return failed;
}

int cmd_apply(int argc, char **argv)
{
	if (argc != 1)
		die(EXIT_USAGE, "apply takes nothing");
	user_wait();
	int rc = apply_bundle(0, -1, 1);
	if (rc < 0)
		die(EXIT_USAGE, "apply needs a bundle on its standard input");
	return rc;
}
