#include "agent/stream/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define RESERVE (UINT64_C(64) << 20) /* of the disk, which stays free */
#define LOOK    (UINT64_C(16) << 20) /* others write as well: looked at again so often */

static int open_file(struct perry_err **err)
{
	const char *env = getenv("TMPDIR"), *dirs[] = { env && *env ? env : "/var/tmp", "/var/tmp", "/tmp" };
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		int fd = open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (fd >= 0)
			return fd;
		cleanup_free char *name = xasprintf("%s/perry-XXXXXX", dirs[i]);
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0) {
			unlink(name);
			return fd;
		}
	}
	return perry_fail_errno(err, errno, "cannot make a temporary file for the copy");
}

int spool_open(struct spool *s, struct perry_err **err)
{
	s->room = 0;
	s->fd = open_file(err);
	return s->fd < 0 ? -1 : 0;
}

static uint64_t free_on_disk(int fd)
{
	struct statvfs v;
	if (fstatvfs(fd, &v) < 0)
		return UINT64_MAX; /* the write will say */
	uint64_t all = (uint64_t)v.f_bavail * v.f_frsize;
	return all > RESERVE ? all - RESERVE : 0;
}

int spool_write(struct spool *s, const char *bytes, size_t n, uint64_t announced, struct perry_err **err)
{
	if (s->room < n || s->room - n < announced) {
		uint64_t room = free_on_disk(s->fd);
		if (room < n || room - n < announced)
			return perry_fail(err, PERRY_ETOOLARGE,
					  "no room for the copy: %llu MiB more are to come, and of the disk for "
					  "temporary files %llu MiB may be used\n  let the agent have another one "
					  "(TMPDIR), or copy less at once",
					  (unsigned long long)((n + announced) >> 20),
					  (unsigned long long)(room >> 20));
		s->room = room < announced + LOOK ? room : announced + LOOK;
	}
	if (fd_write_all(s->fd, bytes, n) < 0)
		return perry_fail_errno(err, errno, "cannot keep the copy in a temporary file");
	s->room -= n;
	return 0;
}
