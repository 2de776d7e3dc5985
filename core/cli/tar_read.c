#include "cli/tar_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "cli/tar_head.h"
#include "cli/text.h"

enum { MAX_PAX = 1 << 20 };

struct unpacker {
	char *dir, *as, *top;
	int root;        /* the target folder */
	struct buf head; /* of the next member, while it is incomplete */
	struct buf pax;
	char *long_name, *long_link;
	int64_t long_size;
	int64_t left, pad;
	char type; /* of the member under way */
	int fd;
	bool ended;
};

struct unpacker *unpacker_new(const char *dir, const char *as)
{
	struct unpacker *u = xcalloc(1, sizeof *u);
	u->dir = xstrdup(dir);
	u->as = xstrdup(as);
	u->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	u->fd = -1;
	u->long_size = -1;
	return u;
}

/* Does the name stay below the folder it is relative to? */
static bool stays_inside(const char *name)
{
	int depth = 0;
	if (*name == '/' || !*name)
		return false;
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return false;
		depth += n > 0;
		p += n;
		p += strspn(p, "/");
	}
	return depth > 0;
}

/* A link's target seen from where the link stands: never above the folder that was copied. */
static bool link_stays_inside(const char *name, const char *target)
{
	int depth = 0;
	if (*target == '/')
		return false;
	for (const char *p = name; (p = strchr(p, '/')); p++)
		depth++;
	for (const char *p = target; *p;) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			if (--depth < 0)
				return false;
		} else if (n && !(n == 1 && *p == '.')) {
			depth++;
		}
		p += n;
		p += strspn(p, "/");
	}
	return true;
}

/* Opens below the folder without following a link on the way (one that an earlier member put there). */
static int open_below(const struct unpacker *u, const char *name, int flags, mode_t mode)
{
	struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC,
				.mode = flags & O_CREAT ? mode : 0,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	return (int)syscall(SYS_openat2, u->root, name, &how, sizeof how);
}

static int make_parents(const struct unpacker *u, const char *name, struct perry_err **err)
{
	cleanup_free char *path = xstrdup(name);
	for (char *p = path; (p = strchr(p, '/')); p++) {
		*p = '\0';
		cleanup_fd int have = open_below(u, path, O_RDONLY | O_DIRECTORY, 0);
		if (have < 0) {
			cleanup_free char *parent = xstrdup(path);
			char *slash = strrchr(parent, '/');
			cleanup_fd int at = slash ? (*slash = '\0', open_below(u, parent, O_RDONLY | O_DIRECTORY, 0))
						  : dup(u->root);
			if (at < 0 || (mkdirat(at, slash ? slash + 1 : parent, 0755) < 0 && errno != EEXIST))
				return perry_fail_errno(err, errno, "%s/%s", u->dir, path);
		}
		*p = '/';
	}
	return 0;
}

/* The folder that a member stands in, opened, and its last name. */
static int parent_of(const struct unpacker *u, const char *name, char **last, struct perry_err **err)
{
	cleanup_free char *path = xstrdup(name);
	char *slash = strrchr(path, '/');
	*last = xstrdup(slash ? slash + 1 : path);
	if (!slash)
		return dup(u->root);
	*slash = '\0';
	int fd = open_below(u, path, O_RDONLY | O_DIRECTORY, 0);
	return fd < 0 ? perry_fail_errno(err, errno, "%s/%s", u->dir, path) : fd;
}

/* The member's name with the first step replaced by what the user wants it called. */
static char *renamed(struct unpacker *u, const char *name)
{
	size_t n = strcspn(name, "/");
	if (!u->top)
		u->top = xstrndup(name, n);
	if (!u->as || strncmp(u->top, name, n) != 0 || u->top[n])
		return xstrdup(name);
	return name[n] ? xasprintf("%s%s", u->as, name + n) : xstrdup(u->as);
}

static int begin_member(struct unpacker *u, const char *raw, const char *link, char type, mode_t mode,
			struct perry_err **err)
{
	cleanup_free char *trimmed = xstrdup(raw);
	for (size_t n = strlen(trimmed); n > 1 && trimmed[n - 1] == '/';)
		trimmed[--n] = '\0';
	if (!stays_inside(trimmed))
		return perry_fail(err, PERRY_EINPUT,
				  "the archive holds \"%.200s\", which leaves the folder; nothing of it was written",
				  raw);
	cleanup_free char *name = renamed(u, trimmed);
	cleanup_free char *last = NULL;
	if (make_parents(u, name, err) < 0)
		return -1;
	cleanup_fd int at = parent_of(u, name, &last, err);
	if (at < 0)
		return -1;
	if (type == '5') {
		if (mkdirat(at, last, mode & 0777) < 0 && errno != EEXIST)
			return perry_fail_errno(err, errno, "%s/%s", u->dir, name);
		return 0;
	}
	if (type == '2') {
		if (!link_stays_inside(name, link)) {
			cleanup_free char *from = printable(name), *to = printable(link);
			fprintf(stderr, "perry: cp: left out the link %s -> %s (it leaves the folder)\n", from, to);
			return 0;
		}
		unlinkat(at, last, 0);
		if (symlinkat(link, at, last) < 0)
			return perry_fail_errno(err, errno, "%s/%s", u->dir, name);
		return 0;
	}
	if (type == '1') {
		cleanup_free char *target = renamed(u, link);
		if (!stays_inside(target))
			return perry_fail(err, PERRY_EINPUT,
					  "the archive holds a link to \"%.200s\", which leaves the folder", link);
		cleanup_free char *target_last = NULL;
		cleanup_fd int from = parent_of(u, target, &target_last, err);
		if (from < 0)
			return -1;
		unlinkat(at, last, 0);
		if (linkat(from, target_last, at, last, 0) < 0)
			return perry_fail_errno(err, errno, "%s/%s", u->dir, name);
		return 0;
	}
	if (type != '0' && type != '\0' && type != '7') {
		cleanup_free char *shown = printable(name);
		fprintf(stderr, "perry: cp: left out %s (no file, folder or link)\n", shown);
		return 0;
	}
	unlinkat(at, last, 0);
	u->fd = openat(at, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0777);
	if (u->fd < 0)
		return perry_fail_errno(err, errno, "%s/%s", u->dir, name);
	return 0;
}

/* "LEN key=value\n" records; only path, linkpath and size matter here. */
static void take_pax(struct unpacker *u)
{
	const char *p = buf_str(&u->pax), *end = p + u->pax.len;
	while (p < end) {
		char *space;
		long n = strtol(p, &space, 10);
		if (n <= 0 || *space != ' ' || n > end - p || space + 1 >= p + n)
			return;
		cleanup_free char *record = xstrndup(space + 1, (size_t)(p + n - space - 2));
		char *eq = strchr(record, '=');
		if (eq) {
			*eq = '\0';
			if (strcmp(record, "path") == 0)
				free(u->long_name), u->long_name = xstrdup(eq + 1);
			else if (strcmp(record, "linkpath") == 0)
				free(u->long_link), u->long_link = xstrdup(eq + 1);
			else if (strcmp(record, "size") == 0)
				u->long_size = strtoll(eq + 1, NULL, 10);
		}
		p += n;
	}
}

static int take_head(struct unpacker *u, struct perry_err **err)
{
	struct tar_head h;
	int rc = tar_head_read(u->head.data, &h, err);
	if (rc <= 0) {
		u->ended = rc == 0;
		return rc;
	}
	u->type = h.type;
	if (h.type == 'x' || h.type == 'L' || h.type == 'K' || h.type == 'g') {
		if (h.size > MAX_PAX)
			return perry_fail(err, PERRY_EINPUT, "the archive is broken (a record of %lld bytes)",
					  (long long)h.size);
		buf_free(&u->pax);
	} else {
		cleanup_free char *link = take_ptr(u->long_link), *name = take_ptr(u->long_name);
		if (u->long_size >= 0)
			h.size = u->long_size;
		u->long_size = -1;
		if (h.type == '1' || h.type == '2' || h.type == '5')
			h.size = 0;
		if (begin_member(u, name ? name : h.name, link ? link : h.link, h.type, h.mode, err) < 0)
			return -1;
	}
	u->left = h.size;
	u->pad = tar_padding(h.size);
	return 0;
}

static void end_member(struct unpacker *u)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	if (u->type == 'x')
		take_pax(u);
	else if (u->type == 'L')
		free(u->long_name), u->long_name = xstrdup(buf_str(&u->pax));
	else if (u->type == 'K')
		free(u->long_link), u->long_link = xstrdup(buf_str(&u->pax));
	u->type = 0;
}

int unpacker_feed(struct unpacker *u, const char *bytes, size_t n, struct perry_err **err)
{
	if (u->root < 0)
		return perry_fail(err, PERRY_ENOTFOUND, "%s: no such folder", u->dir);
	while (n > 0 && !u->ended) {
		size_t k;
		if (u->left > 0) {
			k = (int64_t)n < u->left ? n : (size_t)u->left;
			if (u->fd >= 0 && fd_write_all(u->fd, bytes, k) < 0)
				return perry_fail_errno(err, errno, "cannot write to %s", u->dir);
			if (u->fd < 0 && (u->type == 'x' || u->type == 'L' || u->type == 'K'))
				buf_add(&u->pax, bytes, k);
			u->left -= (int64_t)k;
		} else if (u->pad > 0) {
			k = (int64_t)n < u->pad ? n : (size_t)u->pad;
			u->pad -= (int64_t)k;
		} else {
			k = TAR_BLOCK - u->head.len < n ? TAR_BLOCK - u->head.len : n;
			buf_add(&u->head, bytes, k);
			if (u->head.len == TAR_BLOCK) {
				int rc = take_head(u, err);
				u->head.len = 0;
				if (rc < 0)
					return -1;
				if (u->left == 0)
					end_member(u);
			}
			bytes += k;
			n -= k;
			continue;
		}
		if (u->left == 0 && u->type)
			end_member(u);
		bytes += k;
		n -= k;
	}
	return 0;
}

int unpacker_end(struct unpacker *u, struct perry_err **err)
{
	if (u->left > 0 || u->head.len || !u->ended)
		return perry_fail(err, PERRY_EUNAVAILABLE, "the copy was cut off");
	return 0;
}

void unpacker_free(struct unpacker *u)
{
	if (!u)
		return;
	if (u->fd >= 0)
		close(u->fd);
	if (u->root >= 0)
		close(u->root);
	free(u->dir);
	free(u->as);
	free(u->top);
	free(u->long_name);
	free(u->long_link);
	buf_free(&u->head);
	buf_free(&u->pax);
	free(u);
}
