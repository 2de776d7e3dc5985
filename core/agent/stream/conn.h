/* Connections: the WebSockets that were handed over, whatever is spoken on them. */
#ifndef PERRY_AGENT_STREAM_CONN_H
#define PERRY_AGENT_STREAM_CONN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/stream/state.h"
#include "net/ws.h"

#define STREAM_MESSAGE (STREAM_OPEN + 4 * STREAM_PIECE) /* bytes of a message */

struct stream_conn {
	struct streams *s;
	struct stream_conn *next, **prev;
	struct ws *ws;
	struct loop_watch *watch;
	struct loop_timer timer; /* while closing; the kind's before */
	cJSON *caller;
	bool closing; /* a close frame is queued; messages are ignored */
	bool slow;    /* the time for the goodbye is over, and what was queued before is not out yet */
	bool paused;  /* its owner takes no more messages for now */
	/* The kind of connection, set by its attach function. */
	ws_message_fn message;
	void (*drained)(struct stream_conn *c); /* the backlog shrank */
	void (*workspace_closed)(struct stream_conn *c, const char *workspace, uint16_t code, const char *reason);
	void (*gone)(struct stream_conn *c); /* let go of the sources and free what is behind data */
	void *data;
};

/* Any thread: takes a socket (-1 is ignored) with the bytes that came too early; caller and name are copied. attach
 * makes a kind of connection of it, on the loop. */
void stream_conn_take(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller,
		      void (*attach)(struct stream_conn *c, const char *name), const char *name);
void stream_conn_send(struct stream_conn *c, const void *bytes, size_t n);        /* a binary message */
void stream_conn_close(struct stream_conn *c, uint16_t code, const char *reason); /* and frees it a little later */

/* All of them: */
void stream_conns_flush(struct streams *s); /* sends at once what this round queued, instead of asking epoll first */
void stream_conns_close(struct streams *s, uint16_t code, const char *reason);
void stream_conns_close_workspace(struct streams *s, const char *name, uint16_t code, const char *reason);
void stream_conns_close_caller(struct streams *s, const char *name, uint16_t code, const char *reason);
void stream_conns_drop(struct streams *s); /* without a goodbye */

#endif
