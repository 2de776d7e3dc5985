/* Gives every entry of a tar to one user, as it passes. Any thread. */
#ifndef PERRY_AGENT_STREAM_TAR_H
#define PERRY_AGENT_STREAM_TAR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct stream_tar;
/* read: bytes, 0 at the end, -1 to give up. */
struct stream_tar *stream_tar_new(int64_t uid, int64_t gid, ssize_t (*read)(void *ctx, const void **bytes), void *ctx);
/* Bytes, 0 at the end, -1. */
ssize_t stream_tar_fill(struct stream_tar *t, char *bytes, size_t n, struct perry_err **err);
/* So much of the entry that is under way is still to come. */
uint64_t stream_tar_announced(const struct stream_tar *t);
void stream_tar_free(struct stream_tar *t);
/* Where the first file's content is, when it has any. */
bool stream_tar_find(const char *tar, size_t len, size_t *at, size_t *n);

#endif
