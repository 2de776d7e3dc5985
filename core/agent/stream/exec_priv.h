/* What the two ways of running a command share: exec.c decides, and keeps what waits; exec_channel.c and exec_engine.c
 * carry it. */
#ifndef PERRY_AGENT_STREAM_EXEC_PRIV_H
#define PERRY_AGENT_STREAM_EXEC_PRIV_H
#include <stdatomic.h>
#include <sys/types.h>

#include "agent/stream/source.h"
#include "base/buf.h"
#include "docker/docker.h"

struct channel_stream;
struct exec;

struct exec_way {
	ssize_t (*write)(struct exec *e, const char *bytes, size_t n); /* bytes taken, 0: none now, -1: never more */
	void (*close_input)(struct exec *e);
	void (*resize)(struct exec *e); /* to want_cols and want_rows */
	void (*signal)(struct exec *e, const char *name);
	void (*kill)(struct exec *e);           /* HUP, and KILL later; called once */
	void (*took)(struct exec *e, size_t n); /* of the output, gone to its owner */
	void (*update)(struct exec *e);         /* there is more or less to read or write */
	void (*leave)(struct exec *e);          /* nothing of it is told any more */
};

struct exec {
	struct stream_source base;
	const struct exec_way *way; /* NULL: it is not decided yet */
	int refs;                   /* threads under way, and one until finish */
	char id[40], container[65], kind[16];
	char **command; /* what the client asked for, or NULL */
	char *user, *cwd, *term, *shell;
	cJSON *caller;
	bool tty;
	int port;                 /* of a forward, else 0 */
	int cols, rows;           /* of the opening and of the resize under way */
	int want_cols, want_rows; /* the newest */

	struct buf in; /* not taken yet; at most a window */
	bool eof, input_closed;
	struct buf pending; /* came, and no room for it yet */
	int pending_fd;
	struct buf pending2; /* the same of the other descriptor, after it */
	bool opened, ending, killed, finished;
	bool exit_known; /* code is */
	int code;
	struct perry_err *err; /* how it ended instead */
	bool ended;            /* nothing more comes */
	int64_t used_at;
	struct loop_timer timer; /* after a kill */

	/* exec_channel.c */
	struct channel_stream *stream;

	/* exec_engine.c */
	struct docker_stream *st;    /* the I/O thread's; resize and exit code borrow it */
	struct docker_stream *fresh; /* the open thread's */
	struct loop_watch *watch;
	atomic_bool over; /* the command ended: no use in signalling */
	bool stream_ended, resizing, resize_again;
};

/* Both begin to run it, and tell by the calls below. When there is no channel, exec_channel_start goes on with the
 * engine. */
void exec_channel_start(struct exec *e);
void exec_channel_abandon(struct exec *e); /* one that does not run yet is to end: it is not waited for long */
void exec_engine_start(struct exec *e);

void exec_work(struct exec *e, void (*fn)(void *arg), void (*done)(void *arg)); /* holds it; done calls exec_unref */
void exec_unref(struct exec *e);
void exec_runs(struct exec *e, const struct exec_way *way);
void exec_output(struct exec *e, int fd, const char *bytes, size_t n);
bool exec_wants(const struct exec *e); /* more output */
void exec_flush_input(struct exec *e); /* more may be taken than before */
void exec_over(struct exec *e);        /* ended: err is set, or else the code */
void exec_finish(struct exec *e);      /* tells the owner, whatever is known, and lets go */

#endif
