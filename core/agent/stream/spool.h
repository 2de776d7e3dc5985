/* Where a copy stays until all of it is here: a file without a name, which ends with its descriptor. */
#ifndef PERRY_AGENT_STREAM_SPOOL_H
#define PERRY_AGENT_STREAM_SPOOL_H
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct spool {
	int fd;
	uint64_t room; /* that was there when it was looked at last, less what was written since */
};

int spool_open(struct spool *s, struct perry_err **err);
/* Writes n bytes, of which announced more are to come: -1 before the disk is full for others as well. */
int spool_write(struct spool *s, const char *bytes, size_t n, uint64_t announced, struct perry_err **err);

#endif
