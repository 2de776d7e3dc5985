/* What the files of the streams share. Unless it says otherwise everything belongs to the I/O thread. */
#ifndef PERRY_AGENT_STREAM_PRIV_H
#define PERRY_AGENT_STREAM_PRIV_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/stream/stream.h"
#include "base/str.h"
#include "net/ws.h"

#define STREAM_WINDOW  (256 << 10) /* bytes a side may send ahead */
#define STREAM_PIECE   (64 << 10)  /* bytes of one message's payload */
#define STREAM_BACKLOG (1 << 20)   /* of one WebSocket; nothing is read for it beyond */

/* --- stream.c: the loop --- */

/* A descriptor in the loop. Dropped ones are freed after the round, so that a late event finds them. */
struct stream_watch {
	struct stream_watch *next; /* the dropped ones */
	int fd;
	uint32_t events;
	bool added;
	void (*fn)(void *owner, uint32_t events); /* NULL: dropped */
	void *owner;
};
struct stream_watch *stream_watch_new(struct streams *s, int fd, void (*fn)(void *owner, uint32_t events), void *owner);
/* EPOLLIN | EPOLLOUT, or 0: not looked at, not even for a hang-up (which would be reported for ever). */
void stream_watch_set(struct streams *s, struct stream_watch *w, uint32_t events);
void stream_watch_drop(struct streams *s, struct stream_watch **w); /* before the descriptor is closed */

/* Any thread: calls fn(arg) on the I/O thread, soon. */
void stream_post(struct streams *s, void (*fn)(void *arg), void *arg);
/* Runs work(arg) on a thread of its own, then done(arg) on the I/O thread. */
void stream_work(struct streams *s, void (*work)(void *arg), void (*done)(void *arg), void *arg);

/* Called about five times a second while at least one is listed. */
struct stream_timer {
	struct streams *s;
	struct stream_timer *next, **prev;
	void (*fn)(void *owner, int64_t now_ms);
	void *owner;
};
void stream_timer_add(struct streams *s, struct stream_timer *t);
void stream_timer_remove(struct stream_timer *t); /* one that is not listed too */

struct stream_conn;

struct streams {
	struct streams_setup setup;
	int epoll_fd, wake_fd;
	pthread_t thread;
	atomic_int terminals;
	struct docker_cancel cancel; /* set when the goodbye takes too long: engine calls of ours end */

	pthread_mutex_t lock; /* of the next lines */
	struct stream_task *tasks, **tasks_tail;
	int workers;
	bool closed; /* streams_stop was called: nothing is taken any more */

	struct stream_conn *conns;
	int nconns;
	struct stream_source *sources; /* all that run, owned or orphaned */
	struct stream_timer *timers, *timer_next;
	struct stream_watch *dropped;
	bool quit;
};

/* --- sources: what a channel or a terminal is connected to --- */

/* The owner's side. ended is the last call; the source is gone after it. */
struct stream_sink {
	void (*opened)(void *owner);
	size_t (*room)(void *owner);                                       /* bytes of output that may be given now */
	void (*output)(void *owner, int fd, const char *bytes, size_t n);  /* n <= room */
	void (*consumed)(void *owner, size_t n);                           /* bytes of input passed on */
	void (*ended)(void *owner, int code, const struct perry_err *err); /* err NULL: it ended with code */
};
struct stream_source {
	struct streams *s;
	struct stream_source *next, **prev;
	char workspace[80];
	enum stream_use use; /* set before it is listed */
	const struct stream_sink *sink;
	void *owner; /* NULL: orphaned; it ends itself and nobody is told */
	/* Any of these but kick and end may be NULL: not possible with it. */
	void (*input)(struct stream_source *src, const char *bytes, size_t n);
	void (*eof)(struct stream_source *src);
	void (*resize)(struct stream_source *src, int cols, int rows);
	void (*signal)(struct stream_source *src, const char *name);
	void (*kick)(struct stream_source *src); /* there is room again */
	void (*end)(struct stream_source *src);  /* stop it; ended still comes */
};
void stream_source_list(struct stream_source *src, struct streams *s, const char *workspace,
			const struct stream_sink *sink, void *owner);
void stream_source_unlist(struct stream_source *src);
/* The owner leaves without waiting for the end. */
void stream_source_orphan(struct stream_source *src);

/* exec.c: a command through docker exec, under perry-step. */
struct stream_exec {
	const char *workspace;
	char **command; /* NULL-terminated, or NULL: the login shell */
	bool tty;
	int cols, rows;
	const char *user, *cwd, *term; /* user and cwd may be NULL */
	const char *kind;              /* for admit: "exec", "terminal" or "forward" */
};
struct stream_source *stream_exec_new(struct streams *s, const struct stream_exec *spec, const cJSON *caller,
				      const struct stream_sink *sink, void *owner);
/* host.c: a login shell of this machine on a pseudo-terminal. */
struct stream_source *stream_host_new(struct streams *s, int cols, int rows, const cJSON *caller,
				      const struct stream_sink *sink, void *owner);
/* feed.c: logs, copy_in, copy_out: blocking engine calls on a thread of their own, with bounded queues. open is
 * what OPEN said, checked. */
struct stream_source *stream_feed_new(struct streams *s, const cJSON *open, const cJSON *caller,
				      const struct stream_sink *sink, void *owner);

/* tar.c: gives every entry of a tar to one user, as it passes. */
struct stream_tar;
/* read: bytes, 0 at the end, -1 to give up. */
struct stream_tar *stream_tar_new(int64_t uid, int64_t gid, ssize_t (*read)(void *ctx, const void **bytes), void *ctx);
/* Bytes, 0 at the end, -1. */
ssize_t stream_tar_fill(struct stream_tar *t, char *bytes, size_t n, struct perry_err **err);
void stream_tar_free(struct stream_tar *t);
/* Where the first file's content is, when it has any. */
bool stream_tar_find(const char *tar, size_t len, size_t *at, size_t *n);

/* --- connections --- */

struct stream_conn {
	struct streams *s;
	struct stream_conn *next, **prev;
	struct ws *ws;
	struct stream_watch *watch;
	struct stream_timer timer; /* while closing */
	int64_t close_by;          /* mono ms */
	cJSON *caller;
	bool closing; /* a close frame is queued; messages are ignored */
	bool paused;  /* its owner takes no more messages for now */
	/* The kind of connection. */
	ws_message_fn message;
	void (*drained)(struct stream_conn *c); /* the backlog shrank */
	void (*workspace_closed)(struct stream_conn *c, const char *workspace, uint16_t code, const char *reason);
	void (*gone)(struct stream_conn *c); /* let go of the sources and free what is behind data */
	void *data;
};
void stream_conn_send(struct stream_conn *c, const void *bytes, size_t n);        /* a binary message */
void stream_conn_close(struct stream_conn *c, uint16_t code, const char *reason); /* and frees it a little later */
void stream_conn_update(struct stream_conn *c);                       /* what is watched follows from what is queued */
void stream_proto_attach(struct stream_conn *c);                      /* proto.c: perry.v1 */
void stream_terminal_attach(struct stream_conn *c, const char *name); /* terminal.c */

#endif
