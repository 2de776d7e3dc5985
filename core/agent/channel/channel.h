/* The agent's end of the channels into workspaces (docs/channel.md): one long-lived exec of `perry-step channel` in
 * each container that is asked for, and streams within it. What it says is the workspace's word: bounded here, believed
 * by nobody. Everything belongs to the loop's thread, but for call.h. */
#ifndef PERRY_AGENT_CHANNEL_H
#define PERRY_AGENT_CHANNEL_H
#include <stddef.h>

#include "agent/loop.h"
#include "base/err.h"
#include "base/json.h"
#include "docker/docker.h"

struct channels;
struct channel_stream;

/* A stream's owner is told, never from within a call of his own. After none or ended the stream is gone. */
struct channel_sink {
	void (*opened)(void *owner, const cJSON *details); /* it runs */
	/* fd 1 or 2; at most a window ahead of channel_took. */
	void (*output)(void *owner, int fd, const char *bytes, size_t n);
	void (*room)(void *owner); /* more input is taken than before */
	/* No channel can be had in this container, and nothing was begun: an exec of the engine is the other way. */
	void (*none)(void *owner);
	void (*ended)(void *owner, int code, const struct perry_err *err); /* err NULL: with this code */
};

struct channels *channels_new(struct loop *l, struct docker *d); /* both are borrowed */
/* Closes every channel: what runs on them ends there, and its owners are told. Nothing new is opened. */
void channels_end(struct channels *all);
void channels_free(struct channels *all); /* after channels_end, and the loop has ended; NULL too */

/* Opens a stream, and the channel when there is none. open is the OPEN of docs/channel.md, copied. */
struct channel_stream *channel_open(struct channels *all, const char *container, const cJSON *open,
				    const struct channel_sink *sink, void *owner);
size_t channel_room(const struct channel_stream *st);                       /* bytes of input that may be written now */
void channel_write(struct channel_stream *st, const void *bytes, size_t n); /* n <= room */
void channel_eof(struct channel_stream *st);
void channel_resize(struct channel_stream *st, int cols, int rows);
void channel_signal(struct channel_stream *st, const char *name);
void channel_took(struct channel_stream *st, size_t n); /* of the output: as much more may come */
void channel_close(struct channel_stream *st);          /* is to end; its end is still told */
void channel_leave(struct channel_stream *st);          /* the same, and nothing is told any more */

#endif
