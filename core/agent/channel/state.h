/* What the files of the channels share. */
#ifndef PERRY_AGENT_CHANNEL_STATE_H
#define PERRY_AGENT_CHANNEL_STATE_H
#include <stdbool.h>
#include <stdint.h>

#include "agent/channel/channel.h"
#include "base/buf.h"
#include "base/frame.h"

enum channel_state {
	CHANNEL_OPENING, /* a thread asks the engine */
	CHANNEL_QUIET,   /* nothing was heard yet */
	CHANNEL_OPEN,
	CHANNEL_NONE, /* cannot be had; remembered for a while */
};

struct channel_stream {
	struct channel_stream *next;
	struct channel *ch;
	uint32_t id;
	const struct channel_sink *sink;
	void *owner;    /* NULL: it has left */
	char *open;     /* until it is sent */
	int64_t credit; /* input that may be sent */
	int64_t ahead;  /* output that may come */
	size_t taken;   /* of it, not granted yet */
	bool opened, closing;
};

struct channel {
	struct channel *next;
	struct channels *all;
	char container[65];
	enum channel_state state;
	struct docker_stream *exec;
	struct loop_watch *watch;
	struct loop_timer timer; /* until something is heard; until it is tried again */
	struct loop_timer later; /* those who wait are told that there is none */
	struct frame_reader in;
	struct buf out;
	struct buf said;    /* the beginning of standard error */
	const char *broken; /* why it ends once the read under way is over, or NULL */
	bool full;          /* somebody was told that there is no room while out is long */
	size_t left;        /* streams without an owner that it has not ended yet */
	uint32_t last_id;
	struct channel_stream *streams;
};

struct channels {
	struct loop *loop;
	struct docker *docker;
	struct channel *list;
	bool ended;
};

/* connection.c. The channel of this container, opened when there is none. */
struct channel *channel_find(struct channels *all, const char *container);
void channel_flush(struct channel *ch);   /* writes what is in out, as far as it goes */
void channel_give_up(struct channel *ch); /* it is lost, but not now: from within an owner's call */

/* streams.c, for connection.c. */
void channel_send_opens(struct channel *ch); /* what waited for the channel */
void channel_tell_room(struct channel *ch);  /* to all, once out is short again */
/* Takes a frame of a stream. NULL, or what is wrong with it. */
const char *channel_take(struct channel *ch, const struct frame *f);
/* All of its streams end with err; NULL: there is no channel, none of them was begun. */
void channel_end_streams(struct channel *ch, const struct perry_err *err);

#endif
