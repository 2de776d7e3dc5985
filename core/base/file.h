/* Files: whole reads with a limit, atomic writes. */
#ifndef PERRY_BASE_FILE_H
#define PERRY_BASE_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/buf.h"

/* Reads a whole regular file of at most max bytes (PERRY_ETOOLARGE beyond). */
int file_read(const char *path, size_t max, struct buf *out, struct perry_err **err);
/* Writes PATH.tmp-XXXX, fsyncs, renames over PATH and fsyncs the folder: the old or the new content, never half. */
int file_write_atomic(const char *path, const void *data, size_t n, mode_t mode, struct perry_err **err);
/* mkdir -p; new folders get this mode. */
int dir_make(const char *path, mode_t mode, struct perry_err **err);
/* A new folder PREFIX-XXXXXX of our own in TMPDIR, else /tmp; the caller removes it and frees *path. */
int dir_temp(const char *prefix, char **path, struct perry_err **err);
/* rm -r: what is below goes, links themselves and not what they lead to. What cannot be removed stays. */
void dir_remove(const char *path);
/* Has the file at path become another one? Take its stamp before reading it, and compare with one of later. A file that
 * is not there has the stamp of zeros. */
void file_stamp(const char *path, struct stat *st);
bool file_stamp_same(const struct stat *a, const struct stat *b);
/* Does somebody hold a lock (flock) on the file? Looks only, so that it stands in nobody's way. 1, 0 (also: there is no
 * such file), or -1 where that cannot be known. */
int file_locked(const char *path);

#endif
