/* Unpacking for `perry cp`. The archive is a stranger's, in any order and with any names: nothing is written but the
 * one file or folder that it is unpacked as, and no link in there leads out of it. */
#ifndef PERRY_CLI_TAR_READ_H
#define PERRY_CLI_TAR_READ_H
#include <stddef.h>

#include "base/err.h"

/* The archive's one file or folder becomes dir/as, whatever it is called there; as NULL: what is in its folder goes
 * into dir. A file stands under its name once it is whole, links are made when all else stands. */
struct unpacker;
struct unpacker *unpacker_new(const char *dir, const char *as);
/* On any split of the input. 0, or -1: a name that leaves the folder, a folder where a file is to go or the reverse, a
 * broken head. Links that lead out and devices are left out, with a line on standard error. */
int unpacker_feed(struct unpacker *u, const char *bytes, size_t n, struct perry_err **err);
/* Makes the links; -1 when the archive was cut. */
int unpacker_end(struct unpacker *u, struct perry_err **err);
int unpacker_left_out(const struct unpacker *u); /* how many were */
/* Where it leads, when the archive is a link and nothing else: it was not made. NULL: it is none. */
const char *unpacker_link(const struct unpacker *u);
void unpacker_free(struct unpacker *u);

#endif
