/* The engine's multiplexed stream: 8-byte head (stream, 0, 0, 0, length big-endian), then bytes. Works on any split of
 * the input. */
#ifndef PERRY_DOCKER_DEMUX_H
#define PERRY_DOCKER_DEMUX_H
#include <stddef.h>
#include <stdint.h>

#include "docker/docker.h"

struct demux {
	unsigned char head[8];
	unsigned have; /* bytes of the head so far */
	uint32_t left; /* bytes of the frame still to come */
};
/* 0, or -1 for a malformed head (PERRY_EINTERNAL), or what fn returned. */
int demux_feed(struct demux *m, const char *bytes, size_t n, docker_output_fn fn, void *ctx, struct perry_err **err);
#endif
