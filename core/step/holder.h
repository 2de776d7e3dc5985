/* What the files of the holder share (docs/channel.md): one process that holds what goes on over the channels into a
 * workspace. One thread, one event at a time, no call that waits for anybody. */
#ifndef PERRY_STEP_HOLDER_H
#define PERRY_STEP_HOLDER_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/frame.h"
#include "step/json.h"
#include "step/step.h"

#define HOLDER_SOCKET   RUN_DIR "/holder"
#define HOLDER_LOCK     RUN_DIR "/holder.lock"
#define HANDED_FDS      3  /* the channel's input, its output, the program that opened it */
#define LIFE_MAX        64 /* bytes of the agent's life (PERRY_LIFE), which the message is */
#define CHANNELS_MAX    8
#define STREAMS_MAX     256 /* of a channel */
#define SESSIONS_MAX    64
#define SESSION_KEPT    (1u << 20)   /* bytes of its latest output */
#define SESSION_NAME    64           /* bytes at most */
#define ENDING_MS       2000         /* between HUP and KILL */
#define OUTPUT_AHEAD    (256u << 10) /* bytes that wait for the agent to take them, before streams wait */
#define STREAM_FROM_MAX 2

/* --- holder.c: the loop --- */

/* The loop of the holder, with whom connects to listener; never returns. */
void holder_run(int listener) __attribute__((noreturn));

/* A descriptor that is waited for. Starts as { .fd = -1 }. */
struct source {
	int fd;
	unsigned wanted;
	void (*ready)(struct source *s, unsigned events);
	void *owner;
};
void source_open(struct source *s, int fd, void (*ready)(struct source *s, unsigned events), void *owner);
void source_want(struct source *s, unsigned events); /* EPOLL...; 0: none, not even its end */
void source_close(struct source *s);                 /* and the descriptor; may be closed already */

struct timer {
	long long at; /* 0: not set */
	void (*fire)(struct timer *t);
	void *owner;
	struct timer *next;
};
void timer_set(struct timer *t, long long at); /* milliseconds of now_ms() */
void timer_clear(struct timer *t);

/* --- holder_jobs.c: our children --- */

struct job {
	pid_t pid;
	bool ended;
	int code;
	char *record;
	/* Told once each, while there is an owner: its process has ended; nothing of its session is left (after
	 * job_end alone). */
	void (*on_end)(struct job *j), (*on_gone)(struct job *j);
	void *owner;
	int sig;           /* of the next pass, while it is being ended */
	long long kill_at; /* 0: it is not being ended */
	int count;         /* of its processes, in this pass */
	bool gone, watch;
	struct job *next;
};
/* What a child begins with: runs in it, with its standard streams in place, and never returns. */
struct start {
	void (*run)(const struct start *s) __attribute__((noreturn));
	const struct command *command;
	const char *record; /* the path of one, or NULL */
	const char *term;   /* on a terminal */
	const char *life;   /* of a watch */
	int program;
};
/* Forks with these as standard streams, which stay the caller's. tty: in is a terminal, which becomes its own. NULL
 * with errno. */
struct job *job_start(const struct start *s, int in, int out, int err, bool tty);
void job_end(struct job *j);  /* HUP to its whole session, KILL after ENDING_MS */
void job_drop(struct job *j); /* its owner lets go of it: it is ended, unless it has */
void jobs_reap(void);
bool jobs_left(void); /* is there any that runs? */
void jobs_end_watches(void);
/* A terminal of that size; *slave is for the child. -1 with errno. */
int terminal_open(unsigned cols, unsigned rows, int *slave);

/* --- holder_channel.c: channels and their streams --- */

struct kind;
struct session;
struct stream {
	struct channel *ch;
	uint32_t id;
	const struct kind *kind;
	uint32_t may_send;    /* bytes that the agent has room for */
	uint32_t held, taken; /* of its STDIN: not granted again yet; of that, taken */
	struct buf in;        /* not taken yet, from in_at on */
	size_t in_at;
	bool eof; /* of its STDIN */
	struct stream *next;

	/* Commands and connections. */
	struct source to, from[STREAM_FROM_MAX];
	struct job *job;
	struct timer patience; /* with those that keep the output of a command that has ended */
	int left[STREAM_FROM_MAX];
	bool tty, expired, closing;
	struct dialing *dialing;

	/* Sessions. */
	struct session *session;
	struct stream *viewer; /* the next one of the session */
	unsigned long long at; /* of its output, sent */
	bool stale;            /* a list is to be sent */
};
/* What a stream does; NULL: nothing. Each may end it as its last act. */
struct kind {
	const char *name;
	void (*open)(struct stream *st, struct span request);
	void (*input)(struct stream *st); /* there is more in st->in, or eof */
	void (*room)(struct stream *st);  /* more may be sent */
	void (*resize)(struct stream *st, unsigned cols, unsigned rows);
	void (*signal)(struct stream *st, int sig);
	void (*close)(struct stream *st); /* NULL: EXIT 0 */
	void (*free)(struct stream *st);  /* it is over: lets go of all that it has */
};
extern const struct kind kind_exec, kind_watch, kind_connect, kind_session, kind_attach, kind_end, kind_rename,
	kind_sessions;

void channel_open(int conn); /* somebody has connected */
void channels_turn(void);    /* after each event: sends, goes on with who waited, buries */
void channels_trim(void);    /* nothing happens just now: gives memory back */
bool channels_fat(void);     /* is there any to give back? */
void channels_stop(void);    /* as much of what waits as can be sent at once */
void streams_each(const struct kind *kind, void (*fn)(struct stream *st));
const char *channel_life(const struct channel *ch);
int channel_program(const struct channel *ch);
extern bool holder_stopping; /* nothing new is begun */

void stream_opened(struct stream *st, const char *json);
/* How many bytes may be sent now. When none, kind->room comes later. */
size_t stream_room(struct stream *st);
void stream_send(struct stream *st, enum frame_type type, const void *bytes, size_t n); /* n within stream_room */
/* Reads once from fd and sends that. Bytes, 0 at the end, -1 with errno; EBUSY: there is no room. */
ssize_t stream_pass(struct stream *st, int fd, enum frame_type type);
void stream_taken(struct stream *st, size_t n); /* of st->in */
/* Writes st->in to st->to, as much as it takes, and waits for the rest. What nobody reads is dropped. */
void stream_write(struct stream *st);
/* Both are the end of st: it is freed. */
void stream_exit(struct stream *st, int code);
void stream_error(struct stream *st, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* --- holder_exec.c --- */

/* The members that exec and session share; what is wrong is said by ERROR, and ends st. */
struct request {
	struct command command;
	char *id, *term;
	long long idle; /* seconds, of a session; 0: it stays */
	bool tty;
	unsigned cols, rows;
};
bool request_take(struct request *r, struct stream *st, struct span from);
void request_free(struct request *r);
void start_command(const struct start *s) __attribute__((noreturn)); /* a struct start's run */
bool size_take(struct span from, unsigned *cols, unsigned *rows);

/* --- holder_session.c --- */

struct session {
	char id[8], name[SESSION_NAME + 1];
	char *command; /* as shown; "" for a login shell */
	struct source master, typing;
	struct job *job;
	char *kept;             /* a ring of SESSION_KEPT bytes */
	unsigned long long end; /* of all that it printed */
	long long created, input, output, bell;
	unsigned cols, rows;
	int bell_state;
	bool over, seen; /* its program has ended; somebody has attached */
	int ender;       /* how many wait for its end */
	struct timer linger, again, idling;
	long long idle, quiet; /* milliseconds; quiet: nothing was typed, printed or looked at since then (now_ms) */
	struct stream *viewers;
	struct session *next;
};
extern struct session *sessions;

/* --- holder_list.c --- */

void list_changed(void); /* something of what it says */
void list_active(void);  /* something was typed or printed: what is in the foreground may change */

#endif
