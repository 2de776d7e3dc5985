/* The block that stands before each member of a tar: ustar, and sizes as GNU writes big ones. */
#ifndef PERRY_CLI_TAR_HEAD_H
#define PERRY_CLI_TAR_HEAD_H
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum { TAR_BLOCK = 512, TAR_NAME = 100 /* bytes of a name or link that a head has room for */ };
#define TAR_SIZE_MAX (INT64_C(1) << 33) /* a size that a head has no room for any more */

struct tar_head {
	char name[257], link[TAR_NAME + 1];
	char type; /* '0' or NUL: a file, '1': a hard link, '2': a link, '5': a folder, 'x', 'g', 'L', 'K': of the next
		      member */
	mode_t mode;
	int64_t size;
};

/* Names and sizes that are too long are cut: a pax record before it has the whole. */
void tar_head_add(struct buf *out, const char *name, const char *link, char type, mode_t mode, int64_t size,
		  int64_t mtime);
/* 1: a head; 0: the block of zeros that ends an archive; -1: neither. */
int tar_head_read(const char block[TAR_BLOCK], struct tar_head *out, struct perry_err **err);
/* The bytes between the end of a member of this size and the next head. */
int64_t tar_padding(int64_t size);

#endif
