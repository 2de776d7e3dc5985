/* The tar format for `perry cp` (ustar, with pax records for long names and big files). Nothing leaves the target
 * folder when unpacking. */
#ifndef PERRY_CLI_TAR_H
#define PERRY_CLI_TAR_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

/* Packing: a walk over a file or folder, read piece by piece. */
struct packer;
/* src goes in under the name top. */
int packer_new(struct packer **out, const char *src, const char *top, struct perry_err **err);
ssize_t packer_fill(void *packer, char *bytes, size_t n); /* bytes, 0 at the end, -1 (see packer_error) */
const struct perry_err *packer_error(const struct packer *p);
void packer_free(struct packer *p);

/* Unpacking, on any split of the input. The first member's name becomes `as` (renaming the whole tree). */
struct unpacker;
struct unpacker *unpacker_new(const char *dir, const char *as);
/* 0, or -1: a name with "..", an absolute name, a link that leaves the folder, a device, a broken head. */
int unpacker_feed(struct unpacker *u, const char *bytes, size_t n, struct perry_err **err);
int unpacker_end(struct unpacker *u, struct perry_err **err); /* -1 when the archive was cut */
void unpacker_free(struct unpacker *u);

#endif
