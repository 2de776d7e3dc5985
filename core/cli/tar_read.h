/* Unpacking for `perry cp`. Nothing leaves the target folder. */
#ifndef PERRY_CLI_TAR_READ_H
#define PERRY_CLI_TAR_READ_H
#include <stddef.h>

#include "base/err.h"

/* On any split of the input. The first member's name becomes `as` (renaming the whole tree); NULL: as it is. */
struct unpacker;
struct unpacker *unpacker_new(const char *dir, const char *as);
/* 0, or -1: a name with "..", an absolute name, a link that leaves the folder, a device, a broken head. */
int unpacker_feed(struct unpacker *u, const char *bytes, size_t n, struct perry_err **err);
int unpacker_end(struct unpacker *u, struct perry_err **err); /* -1 when the archive was cut */
void unpacker_free(struct unpacker *u);

#endif
