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

enum { MAX_PAX = 1 << 20, MAX_NAME = 4095 };

/* A link that waits until all else stands. */
struct link {
	char *name, *target;
	struct link *next;
};
/* A folder that gets its mode when all that is in it stands. */
struct folder {
	char *name;
	mode_t mode;
	struct folder *next;
};

struct unpacker {
	char *dir, *as, *top; /* top: what the archive calls what we call as */
	int root;             /* dir */
	int base;             /* the folder that the members stand in; -1: not there (yet) */
	struct buf head;      /* of the next member, while it is incomplete */
	struct buf pax;
	char *long_name, *long_link;
	int64_t long_size;
	int64_t left, pad;
	char type; /* of the member under way */
	int fd; /* of the file under way, which is called tmp in the folder at until it is whole, then last; -1: none */
	int at;
	char *tmp, *last;
	unsigned count;
	bool begun, ended;
	char *link; /* of an archive that is a link */
	struct link *links;
	struct folder *folders;
	int left_out;
};

struct unpacker *unpacker_new(const char *dir, const char *as)
{
	struct unpacker *u = xcalloc(1, sizeof *u);
	u->dir = xstrdup(dir);
	u->as = xstrdup(as);
	u->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	u->base = u->fd = u->at = -1;
	u->long_size = -1;
	return u;
}

/* The name without empty and "." steps, from its second step on; *first is the first. NULL: it leaves the folder. */
static char *below_top(const char *name, char **first)
{
	struct buf out = { 0 };
	*first = NULL;
	if (*name == '/' || !*name || strlen(name) > MAX_NAME)
		return NULL;
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			buf_free(&out);
			free(take_ptr(*first));
			return NULL;
		}
		if (!*first)
			*first = xstrndup(p, n);
		else if (n && !(n == 1 && *p == '.'))
			buf_addf(&out, "%s%.*s", out.len ? "/" : "", (int)n, p);
		p += n;
		p += strspn(p, "/");
	}
	return out.len ? buf_take(&out) : xstrdup("");
}

/* A link that can never lead out, whatever the others do: it climbs real folders, at most to the base, and then only
 * goes down. */
static bool climbs_first(const char *name, const char *target)
{
	int depth = 0;
	bool down = false;
	if (*target == '/' || !*target)
		return false;
	for (const char *p = name; (p = strchr(p, '/')); p++)
		depth++;
	for (const char *p = target; *p;) {
		size_t n = strcspn(p, "/");
		if (n == 2 && p[0] == '.' && p[1] == '.') {
			if (down || --depth < 0)
				return false;
		} else if (n && !(n == 1 && *p == '.')) {
			down = true;
		}
		p += n;
		p += strspn(p, "/");
	}
	return true;
}

/* Opens below the base. Links are not followed; a user's own are there from before. */
static int open_below(const struct unpacker *u, const char *name, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve };
	int fd;
	do
		fd = (int)syscall(SYS_openat2, u->base, name, &how, sizeof how);
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd;
}

static int open_folder(const struct unpacker *u, const char *name)
{
	return open_below(u, *name ? name : ".", O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
}

static int fail_at(const struct unpacker *u, const char *name, struct perry_err **err)
{
	int why = errno;
	return perry_fail_errno(err, why, "%s/%s%s%s", u->dir, u->as ? u->as : ".", *name ? "/" : "", name);
}

/* The folder that a member stands in, opened, made where it is missing; *last is the member's own name. */
static int parent_of(const struct unpacker *u, const char *name, bool make, char **last, struct perry_err **err)
{
	cleanup_free char *path = xstrdup(name);
	char *slash = strrchr(path, '/');
	*last = xstrdup(slash ? slash + 1 : path);
	if (slash)
		*slash = '\0';
	else
		*path = '\0';
	int fd = open_folder(u, path);
	if (fd >= 0 || errno != ENOENT || !make)
		return fd < 0 ? fail_at(u, path, err) : fd;
	cleanup_free char *mine = NULL;
	cleanup_fd int above = parent_of(u, path, true, &mine, err);
	if (above < 0)
		return -1;
	if (mkdirat(above, mine, 0755) < 0 && errno != EEXIST)
		return fail_at(u, path, err);
	fd = open_folder(u, path);
	return fd < 0 ? fail_at(u, path, err) : fd;
}

static int say_left_out(struct unpacker *u, const char *name, const char *target, const char *why)
{
	cleanup_free char *shown = printable(name), *to = printable(target);
	fprintf(stderr, "perry: cp: left out %s%s%s (%s)\n",
		*shown  ? shown
		: u->as ? u->as
			: ".",
		target ? " -> " : "", to, why);
	u->left_out++;
	return 0;
}

static int refuse_name(const char *raw, struct perry_err **err)
{
	cleanup_free char *shown = printable(raw);
	return perry_fail(err, PERRY_EINPUT, "the archive holds \"%.200s\", which leaves the folder", shown);
}

/* The member's name below the base ("": the base itself, or the one file). */
static char *inner_name(struct unpacker *u, const char *raw, struct perry_err **err)
{
	cleanup_free char *first = NULL;
	cleanup_free char *name = below_top(raw, &first);
	if (name && !u->top)
		u->top = xstrdup(first);
	if (name && strcmp(u->top, first) == 0)
		return take_ptr(name);
	refuse_name(raw, err);
	return NULL;
}

/* A folder stands at the place of something else. */
static bool is_folder(int at, const char *last)
{
	struct stat st;
	return fstatat(at, last, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int need_base(struct unpacker *u, struct perry_err **err)
{
	if (u->base >= 0)
		return 0;
	if (!u->as)
		u->base = dup(u->root);
	else if (u->begun)
		return perry_fail(err, PERRY_EINPUT, "the archive holds something below what is no folder");
	else if (mkdirat(u->root, u->as, 0755) == 0 || errno == EEXIST)
		u->base = openat(u->root, u->as, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (u->base >= 0)
		return 0;
	if (errno == ENOTDIR || errno == ELOOP)
		return perry_fail(err, PERRY_ECONFLICT, "%s/%s is no folder, and a folder is to be put there", u->dir,
				  u->as ? u->as : ".");
	return fail_at(u, "", err);
}

static int begin_folder(struct unpacker *u, const char *name, mode_t mode, struct perry_err **err)
{
	cleanup_free char *last = NULL;
	if (!*name)
		return need_base(u, err);
	cleanup_fd int at = parent_of(u, name, true, &last, err);
	if (at < 0)
		return -1;
	if (mkdirat(at, last, (mode & 0777) | 0700) < 0) {
		if (errno == EEXIST && is_folder(at, last))
			return 0;
		return fail_at(u, name, err);
	}
	if ((mode & 0700) != 0700) { /* what is in it comes after it */
		struct folder *f = xcalloc(1, sizeof *f);
		f->name = xstrdup(name);
		f->mode = mode & 0777;
		f->next = u->folders;
		u->folders = f;
	}
	return 0;
}

/* It is made at the end, so that no member goes through it. What a later member puts in its place stays. */
static int begin_link(struct unpacker *u, const char *name, const char *target, struct perry_err **err)
{
	cleanup_free char *last = NULL;
	if (!*target)
		return say_left_out(u, name, target, "it leads nowhere");
	cleanup_fd int at = parent_of(u, name, true, &last, err);
	if (at < 0 || (unlinkat(at, last, 0) < 0 && errno != ENOENT))
		return at < 0 ? -1 : fail_at(u, name, err);
	struct link *l = xcalloc(1, sizeof *l);
	l->name = xstrdup(name);
	l->target = xstrdup(target);
	l->next = u->links;
	u->links = l;
	return 0;
}

static int begin_hard_link(struct unpacker *u, const char *name, const char *raw, struct perry_err **err)
{
	struct stat st;
	cleanup_free char *target = inner_name(u, raw, err);
	cleanup_free char *last = NULL, *target_last = NULL;
	if (!target)
		return -1;
	for (const struct link *l = u->links; l; l = l->next)
		if (strcmp(l->name, target) == 0)
			return begin_link(u, name, l->target, err);
	if (strcmp(target, name) == 0)
		return 0;
	cleanup_fd int from = *target ? parent_of(u, target, false, &target_last, NULL) : -1;
	if (from < 0 || fstatat(from, target_last, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return say_left_out(u, name, target, "a second name of what was not copied");
	cleanup_fd int at = parent_of(u, name, true, &last, err);
	if (at < 0 || (unlinkat(at, last, 0) < 0 && errno != ENOENT) || linkat(from, target_last, at, last, 0) < 0)
		return at < 0 ? -1 : fail_at(u, name, err);
	return 0;
}

static int begin_file(struct unpacker *u, const char *name, mode_t mode, struct perry_err **err)
{
	if (*name) {
		u->at = parent_of(u, name, true, &u->last, err);
	} else if (!u->as) {
		return perry_fail(err, PERRY_EINPUT, "what was copied is no folder");
	} else {
		u->at = dup(u->root);
		u->last = xstrdup(u->as);
	}
	if (u->at < 0)
		return -1;
	if (is_folder(u->at, u->last))
		return perry_fail(err, PERRY_ECONFLICT, "%s/%s%s%s is a folder, and a file is to be put there", u->dir,
				  u->as ? u->as : ".", *name ? "/" : "", name);
	u->tmp = xasprintf(".perry-cp-%d-%u", (int)getpid(), u->count++);
	u->fd = openat(u->at, u->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0777);
	return u->fd < 0 ? fail_at(u, name, err) : 0;
}

static int begin_member(struct unpacker *u, const char *raw, const char *link, char type, mode_t mode,
			struct perry_err **err)
{
	cleanup_free char *name = inner_name(u, raw, err);
	if (!name)
		return -1;
	bool first = !u->begun;
	if ((*name || type == '5') && need_base(u, err) < 0)
		return -1;
	u->begun = true;
	if (type == '5')
		return begin_folder(u, name, mode, err);
	if (!*name && !first)
		return perry_fail(err, PERRY_EINPUT, "the archive holds \"%.200s\" twice", raw);
	if (type == '2' && !*name) {
		u->link = xstrdup(link);
		return 0;
	}
	if (type == '2')
		return begin_link(u, name, link, err);
	if (type == '1')
		return begin_hard_link(u, name, link, err);
	if (type != '0' && type != '\0' && type != '7')
		return say_left_out(u, name, NULL, "no file, folder or link");
	return begin_file(u, name, mode, err);
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

/* The file under way is whole (keep), or given up. */
static int end_file(struct unpacker *u, bool keep)
{
	int rc = 0;
	if (u->fd >= 0) {
		rc = close(u->fd);
		if (rc < 0 || !keep || (rc = renameat(u->at, u->tmp, u->at, u->last)) < 0) {
			int why = errno;
			unlinkat(u->at, u->tmp, 0);
			errno = why;
		}
	}
	if (u->at >= 0)
		close(u->at);
	u->fd = u->at = -1;
	free(take_ptr(u->tmp));
	free(take_ptr(u->last));
	return rc;
}

static int end_member(struct unpacker *u, struct perry_err **err)
{
	if (end_file(u, true) < 0)
		return perry_fail_errno(err, errno, "cannot write to %s", u->dir);
	if (u->type == 'x')
		take_pax(u);
	else if (u->type == 'L')
		free(u->long_name), u->long_name = xstrdup(buf_str(&u->pax));
	else if (u->type == 'K')
		free(u->long_link), u->long_link = xstrdup(buf_str(&u->pax));
	u->type = 0;
	return 0;
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
				if (u->left == 0 && end_member(u, err) < 0)
					return -1;
			}
			bytes += k;
			n -= k;
			continue;
		}
		if (u->left == 0 && u->type && end_member(u, err) < 0)
			return -1;
		bytes += k;
		n -= k;
	}
	return 0;
}

/* The links of the archive, newest first: of two of one name the later stands. */
static int make_links(struct unpacker *u, struct perry_err **err)
{
	for (struct link *l = u->links; l; l = l->next) {
		cleanup_free char *last = NULL;
		cleanup_fd int at = parent_of(u, l->name, false, &last, NULL);
		if (at >= 0 && symlinkat(l->target, at, last) == 0)
			continue;
		if (at >= 0 && errno != EEXIST)
			return fail_at(u, l->name, err);
		free(take_ptr(l->target)); /* a later member stands there */
	}
	/* Now that all are there the kernel says where each leads. */
	for (struct link *l = u->links; l; l = l->next) {
		if (!l->target)
			continue;
		cleanup_fd int there = open_below(u, l->name, O_PATH, 0);
		bool out = there < 0 && (errno == EXDEV || !climbs_first(l->name, l->target));
		cleanup_free char *last = NULL;
		cleanup_fd int at = out ? parent_of(u, l->name, false, &last, err) : -1;
		if (!out)
			continue;
		if (at < 0 || unlinkat(at, last, 0) < 0)
			return at < 0 ? -1 : fail_at(u, l->name, err);
		say_left_out(u, l->name, l->target, "it leaves the folder");
	}
	return 0;
}

int unpacker_end(struct unpacker *u, struct perry_err **err)
{
	if (u->left > 0 || u->head.len || !u->ended)
		return perry_fail(err, PERRY_EUNAVAILABLE, "the copy was cut off");
	if (!u->begun)
		return perry_fail(err, PERRY_EINPUT, "the archive is empty");
	if (make_links(u, err) < 0)
		return -1;
	for (const struct folder *f = u->folders; f; f = f->next) {
		cleanup_fd int fd = open_folder(u, f->name);
		if (fd >= 0)
			fchmod(fd, f->mode);
	}
	return 0;
}

int unpacker_left_out(const struct unpacker *u)
{
	return u->left_out;
}

const char *unpacker_link(const struct unpacker *u)
{
	return u->link;
}

void unpacker_free(struct unpacker *u)
{
	if (!u)
		return;
	end_file(u, false);
	if (u->root >= 0)
		close(u->root);
	if (u->base >= 0)
		close(u->base);
	for (struct link *l; (l = u->links);) {
		u->links = l->next;
		free(l->name);
		free(l->target);
		free(l);
	}
	for (struct folder *f; (f = u->folders);) {
		u->folders = f->next;
		free(f->name);
		free(f);
	}
	free(u->dir);
	free(u->as);
	free(u->top);
	free(u->link);
	free(u->long_name);
	free(u->long_link);
	buf_free(&u->head);
	buf_free(&u->pax);
	free(u);
}
