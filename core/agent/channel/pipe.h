/* A stream of a channel for an owner on another loop: what comes and goes is copied from one loop to the other, so it
 * is for little. */
#ifndef PERRY_AGENT_CHANNEL_PIPE_H
#define PERRY_AGENT_CHANNEL_PIPE_H
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

struct channel_pipe;
struct channels;
struct loop;

/* Called on the owner's loop. After none or ended the pipe is gone. */
struct pipe_sink {
	void (*output)(void *owner, int fd, const char *bytes, size_t n); /* a window ahead of pipe_took at most */
	void (*none)(void *owner);                                        /* as of a channel_sink */
	void (*ended)(void *owner, const char *why);
};
/* The calls are for the owner's loop. NULL: the channels' loop has ended. open is copied. */
struct channel_pipe *pipe_open(struct channels *all, const char *container, const cJSON *open, struct loop *owners,
			       const struct pipe_sink *sink, void *owner);
void pipe_write(struct channel_pipe *p, const void *bytes, size_t n); /* kept until it can go */
void pipe_took(struct channel_pipe *p, size_t n);
void pipe_close(struct channel_pipe *p); /* nothing is told any more */

#endif
