#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

int file_read(const char *path, size_t max, struct buf *out, struct perry_err **err)
{
	/* O_NONBLOCK: a FIFO in the place of a file must not hang us before fstat can tell. */
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return perry_fail_errno(err, errno, "%s", path);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return perry_fail_errno(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return perry_fail(err, PERRY_EINPUT, "%s: not a regular file", path);
	size_t start = out->len;
	for (;;) {
		size_t have = out->len - start, room = max - have;
		if (room > 65536)
			room = 65536;
		/* One more than allowed tells a file of max bytes from a longer one. */
		char *at = buf_reserve(out, room + 1);
		ssize_t n = read(fd, at, room + 1);
		if (n < 0 && errno == EINTR)
			continue;
		int errnum = errno;
		if (n > 0)
			out->len += (size_t)n;
		if (n > 0 && out->len - start <= max)
			continue;
		if (n != 0)
			out->len = start;
		out->data[out->len] = '\0';
		if (n < 0)
			return perry_fail_errno(err, errnum, "%s", path);
		if (n > 0)
			return perry_fail(err, PERRY_ETOOLARGE, "%s: larger than %zu bytes", path, max);
		return 0;
	}
}

static int sync_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *dir = !slash ? xstrdup(".") : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
	cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	return fsync(fd) < 0 && errno != EINVAL ? -1 : 0; /* EINVAL: this file system has no fsync of folders */
}

/* 0, or errno. Takes fd. */
static int fill(int fd, const void *data, size_t n, mode_t mode)
{
	int errnum = 0;
	if (fchmod(fd, mode) < 0 || fd_write_all(fd, data, n) < 0 || fsync(fd) < 0)
		errnum = errno;
	if (close(fd) < 0 && errnum == 0)
		errnum = errno;
	return errnum;
}

int file_write_atomic(const char *path, const void *data, size_t n, mode_t mode, struct perry_err **err)
{
	cleanup_free char *tmp = xasprintf("%s.tmp-XXXXXX", path);
	int fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return perry_fail_errno(err, errno, "cannot write %s", path);
	int errnum = fill(fd, data, n, mode);
	if (errnum == 0 && rename(tmp, path) < 0)
		errnum = errno;
	if (errnum) {
		unlink(tmp);
		return perry_fail_errno(err, errnum, "cannot write %s", path);
	}
	if (sync_folder_of(path) < 0)
		return perry_fail_errno(err, errno, "cannot sync the folder of %s", path);
	return 0;
}

static int make_one(const char *path, mode_t mode, struct perry_err **err)
{
	struct stat st;
	if (mkdir(path, mode) == 0) {
		if (chmod(path, mode) < 0) /* the umask took part */
			return perry_fail_errno(err, errno, "cannot make %s", path);
		return 0;
	}
	int errnum = errno;
	if (stat(path, &st) == 0) /* also where mkdir says EROFS or EACCES of a folder that is there */
		return S_ISDIR(st.st_mode) ? 0 : perry_fail(err, PERRY_ECONFLICT, "%s: exists and is no folder", path);
	return perry_fail_errno(err, errnum, "cannot make %s", path);
}

int dir_make(const char *path, mode_t mode, struct perry_err **err)
{
	cleanup_free char *p = xstrdup(path);
	if (!*p)
		return perry_fail(err, PERRY_EINPUT, "cannot make a folder without a name");
	for (char *slash = strchr(p + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (make_one(p, mode, err) < 0)
			return -1;
		*slash = '/';
	}
	return make_one(p, mode, err);
}

int dir_temp(const char *prefix, char **path, struct perry_err **err)
{
	const char *tmp = getenv("TMPDIR");
	cleanup_free char *dir = xasprintf("%s/%s-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp", prefix);
	if (!mkdtemp(dir))
		return perry_fail_errno(err, errno, "a folder like %s", dir);
	*path = take_ptr(dir);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

void dir_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void file_stamp(const char *path, struct stat *st)
{
	if (stat(path, st) < 0)
		memset(st, 0, sizeof *st);
}

bool file_stamp_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_uid == b->st_uid && a->st_mode == b->st_mode;
}

int file_locked(const char *path)
{
	struct stat st;
	char line[256];
	int found = 0;
	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	FILE *f = fopen("/proc/locks", "re");
	if (!f)
		return -1;
	while (!found && fgets(line, sizeof line, f)) {
		unsigned a, b;
		unsigned long long inode;
		/* "1: FLOCK  ADVISORY  WRITE 1234 fe:01:131073 0 EOF" */
		found = sscanf(line, "%*d: FLOCK %*s %*s %*d %x:%x:%llu", &a, &b, &inode) == 3 &&
			a == major(st.st_dev) && b == minor(st.st_dev) && inode == st.st_ino;
	}
	fclose(f);
	return found;
}
