/* Building tars, in memory or while they are sent. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/paths.h"
#include "docker/priv.h"

#define TREE_DEPTH_MAX 64

struct tar {
	struct archive *a;
	struct buf out;
};

static la_ssize_t on_write(struct archive *a, void *ctx, const void *bytes, size_t n)
{
	struct tar *t = ctx;
	buf_add(&t->out, bytes, n);
	return (la_ssize_t)n;
}

struct tar *tar_new(void)
{
	struct tar *t = xcalloc(1, sizeof *t);
	t->a = archive_write_new();
	if (!t->a)
		abort();
	archive_write_set_format_pax_restricted(t->a);
	/* Names are bytes to us: without this, others than ASCII fail in the C locale. */
	archive_write_set_options(t->a, "hdrcharset=BINARY");
	archive_write_set_bytes_per_block(t->a, 0);
	archive_write_open(t->a, t, NULL, on_write, NULL);
	return t;
}

void tar_free(struct tar *t)
{
	if (!t)
		return;
	archive_write_free(t->a);
	buf_free(&t->out);
	free(t);
}

static int tar_failed(struct tar *t, const char *path, struct perry_err **err)
{
	const char *text = archive_error_string(t->a);
	return perry_fail(err, PERRY_EINTERNAL, "cannot put %s into an archive: %s", path,
			  text ? text : "unknown reason");
}

struct meta {
	mode_t type, mode;
	uid_t uid;
	gid_t gid;
	time_t mtime;
	int64_t size;
	const char *link;
};

static int put_head(struct tar *t, const char *path, const struct meta *m, struct perry_err **err)
{
	while (*path == '/')
		path++;
	if (!*path || strstr(path, "../") || str_ends(path, "/..") || strcmp(path, "..") == 0)
		return perry_fail(err, PERRY_EINPUT, "\"%s\" is no path inside an archive", path);
	struct archive_entry *e = archive_entry_new();
	if (!e)
		abort();
	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, m->type);
	archive_entry_set_perm(e, m->mode & 07777);
	archive_entry_set_uid(e, m->uid);
	archive_entry_set_gid(e, m->gid);
	archive_entry_set_mtime(e, m->mtime, 0);
	archive_entry_set_size(e, m->size);
	if (m->link)
		archive_entry_set_symlink(e, m->link);
	int rc = archive_write_header(t->a, e);
	archive_entry_free(e);
	return rc < ARCHIVE_WARN ? tar_failed(t, path, err) : 0;
}

int tar_add_file(struct tar *t, const char *path, const void *data, size_t n, mode_t mode, uid_t uid, gid_t gid,
		 struct perry_err **err)
{
	struct meta m = {
		.type = AE_IFREG, .mode = mode, .uid = uid, .gid = gid, .mtime = time(NULL), .size = (int64_t)n
	};
	if (put_head(t, path, &m, err) != 0)
		return -1;
	return n && archive_write_data(t->a, data, n) != (la_ssize_t)n ? tar_failed(t, path, err) : 0;
}

int tar_add_dir(struct tar *t, const char *path, mode_t mode, uid_t uid, gid_t gid, struct perry_err **err)
{
	struct meta m = { .type = AE_IFDIR, .mode = mode, .uid = uid, .gid = gid, .mtime = time(NULL) };
	return put_head(t, path, &m, err);
}

/* A file whose size may change while it is read: exactly the promised bytes are written, zeros if it shrank. */
static int copy_file(struct tar *t, int fd, const char *name, const char *path, const struct meta *m,
		     struct perry_err **err)
{
	char bytes[65536];
	if (put_head(t, path, m, err) != 0)
		return -1;
	for (int64_t left = m->size; left > 0;) {
		size_t want = left < (int64_t)sizeof bytes ? (size_t)left : sizeof bytes;
		ssize_t n = read(fd, bytes, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return perry_fail_errno(err, errno, "cannot read %s", name);
		if (n == 0) {
			memset(bytes, 0, want);
			n = (ssize_t)want;
		}
		if (archive_write_data(t->a, bytes, (size_t)n) != n)
			return tar_failed(t, path, err);
		left -= n;
	}
	return 0;
}

static int add_folder(struct tar *t, int dir_fd, const char *host_dir, const char *prefix, int depth,
		      struct perry_err **err);

static int add_entry(struct tar *t, int dir_fd, const char *name, const char *host_dir, const char *prefix, int depth,
		     struct perry_err **err)
{
	struct stat st;
	cleanup_free char *path = *prefix ? path_join(prefix, name) : xstrdup(name), *shown = path_join(host_dir, name);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0
				       : perry_fail_errno(err, errno, "cannot look at %s", shown); /* gone meanwhile */
	struct meta m = { .mode = st.st_mode, .mtime = st.st_mtime };
	if (S_ISLNK(st.st_mode)) {
		char target[4096];
		ssize_t n = readlinkat(dir_fd, name, target, sizeof target - 1);
		if (n < 0)
			return perry_fail_errno(err, errno, "cannot read the link %s", shown);
		target[n] = '\0';
		m.type = AE_IFLNK;
		m.mode = 0777;
		m.link = target;
		return put_head(t, path, &m, err);
	}
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return 0; /* sockets, devices and pipes mean nothing elsewhere */
	cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return perry_fail_errno(err, errno, "cannot open %s", shown);
	if (S_ISDIR(st.st_mode)) {
		m.type = AE_IFDIR;
		return put_head(t, path, &m, err) != 0 ? -1 : add_folder(t, fd, shown, path, depth + 1, err);
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	m.type = AE_IFREG;
	m.size = st.st_size;
	return copy_file(t, fd, shown, path, &m, err);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* In the order of the names, so that the same folder gives the same archive. */
static int add_folder(struct tar *t, int dir_fd, const char *host_dir, const char *prefix, int depth,
		      struct perry_err **err)
{
	struct dirent **names = NULL;
	if (depth > TREE_DEPTH_MAX)
		return perry_fail(err, PERRY_EINPUT, "%s: more than %d folders deep", host_dir, TREE_DEPTH_MAX);
	int n = scandirat(dir_fd, ".", &names, NULL, by_name), rc = 0;
	if (n < 0)
		return perry_fail_errno(err, errno, "cannot list %s", host_dir);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		if (rc == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
			rc = add_entry(t, dir_fd, name, host_dir, prefix, depth, err);
		free(names[i]);
	}
	free(names);
	return rc;
}

int tar_add_tree(struct tar *t, const char *host_dir, const char *prefix, struct perry_err **err)
{
	cleanup_fd int fd = open(host_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return perry_fail_errno(err, errno, "cannot open the folder %s", host_dir);
	return add_folder(t, fd, host_dir, prefix ? prefix : "", 0, err);
}

int tar_finish(struct tar *t, struct buf *out, struct perry_err **err)
{
	int rc = archive_write_close(t->a) == ARCHIVE_OK ? 0 : tar_failed(t, "the end", err);
	if (rc == 0) {
		*out = t->out;
		memset(&t->out, 0, sizeof t->out);
	}
	tar_free(t);
	return rc;
}

/* --- an archive of files of this machine, made while it is read --- */

struct tar_files {
	struct tar *tar;
	const struct docker_file *files;
	size_t n, at;
	int fd;
	int64_t left; /* of the file at fd */
	bool ended;
	struct perry_err *err;
};

struct tar_files *tar_files_new(const struct docker_file *files, size_t n)
{
	struct tar_files *f = xcalloc(1, sizeof *f);
	f->tar = tar_new();
	f->files = files;
	f->n = n;
	f->fd = -1;
	return f;
}

struct perry_err *tar_files_free(struct tar_files *f)
{
	struct perry_err *err = f->err;
	if (f->fd >= 0)
		close(f->fd);
	tar_free(f->tar);
	free(f);
	return err;
}

static int next_file(struct tar_files *f)
{
	const struct docker_file *file = &f->files[f->at++];
	struct stat st;
	struct meta m = { .type = AE_IFREG, .mode = file->mode, .mtime = time(NULL) };
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	if (!file->host) {
		m.type = str_ends(file->path, "/") ? AE_IFDIR : AE_IFREG;
		return put_head(f->tar, file->path, &m, &f->err);
	}
	f->fd = open(file->host, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) != 0)
		return perry_fail_errno(&f->err, errno, "%s", file->host);
	m.size = f->left = st.st_size;
	return put_head(f->tar, file->path, &m, &f->err);
}

static int next_bytes(struct tar_files *f)
{
	char bytes[65536];
	const char *name = f->files[f->at - 1].host;
	ssize_t n = read(f->fd, bytes, f->left < (int64_t)sizeof bytes ? (size_t)f->left : sizeof bytes);
	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0)
		return n ? perry_fail_errno(&f->err, errno, "%s", name)
			 : perry_fail(&f->err, PERRY_EINTERNAL, "%s became shorter while it was read", name);
	f->left -= n;
	return archive_write_data(f->tar->a, bytes, (size_t)n) == n ? 0 : tar_failed(f->tar, name, &f->err);
}

ssize_t tar_files_fill(void *ctx, char *bytes, size_t n)
{
	struct tar_files *f = ctx;
	struct buf *out = &f->tar->out;
	while (!out->len && !f->ended) {
		int rc = 0;
		if (f->left > 0)
			rc = next_bytes(f);
		else if (f->at < f->n)
			rc = next_file(f);
		else if ((f->ended = true) && archive_write_close(f->tar->a) != ARCHIVE_OK)
			rc = tar_failed(f->tar, "the end", &f->err);
		if (rc < 0)
			return -1;
	}
	n = n < out->len ? n : out->len;
	if (n)
		memcpy(bytes, out->data, n);
	buf_consume(out, n);
	return (ssize_t)n;
}
