/* The table of the workspaces that are watched. The loop alone changes it, under the lock where others look: find and
 * read under the lock elsewhere. */
#ifndef PERRY_AGENT_WATCH_TABLE_H
#define PERRY_AGENT_WATCH_TABLE_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/loop.h"
#include "agent/watch/line.h"
#include "base/buf.h"
#include "base/json.h"

struct channel_pipe;
struct docker_stream;
struct watchers;

/* Something that listens, and what was decided about it. */
struct seen {
	struct watch_port port;
	bool decided, announce, expose;
	char *label;
};
void seen_free(struct seen *list, size_t n);

struct entry {
	struct entry *next;
	struct watchers *w;
	char *name;
	char container[65];              /* "": it does not run; what is under way is waited for, then it goes */
	bool opening, deciding, telling; /* a job is to come back to it */

	/* exec.c */
	struct channel_pipe *pipe;    /* over the workspace's channel, or */
	struct docker_stream *stream; /* an exec of the engine; both NULL: not open */
	struct loop_watch *watch;     /* of the stream */
	struct loop_timer open, rest; /* to be opened; read again */
	struct buf line, said;        /* an unfinished line; the beginning of standard error */
	struct buf out;               /* commands that are not written yet; anybody here adds to it */
	bool open_due, skipping, given_up;
	bool no_channel; /* in this container */
	size_t unread;   /* bytes of the pipe that are granted after the rest */
	int tries;
	int64_t opened; /* mono ms */

	/* ports.c */
	struct loop_timer decide;
	char *sent; /* the serve command it has */
	int64_t minute;
	int events; /* published in this minute */

	/* watchers.c */
	bool tell_again;

	/* Under the lock: */
	bool heard;
	char *problem;
	struct seen *seen;
	size_t nseen;
	int more;
	cJSON *tailnet, *serve; /* as last told, or NULL */
	cJSON *sample;          /* nobody has taken it yet */
	bool mute;              /* it let us wait in vain: it may be too old to know what a sample is */
};

struct watch_table {
	pthread_mutex_t lock;
	struct entry *entries;
};
void watch_table_init(struct watch_table *t);
void watch_table_destroy(struct watch_table *t); /* after the loop; the streams are closed */
struct entry *watch_table_find(const struct watch_table *t, const char *name); /* NULL: it is not there */
struct entry *watch_table_add(struct watch_table *t, struct watchers *w, const char *name);
void watch_table_remove(struct watch_table *t, struct entry *e); /* and frees it; its stream is closed */
/* What was known of the life of its container that ended. */
void watch_table_forget(struct watch_table *t, struct entry *e);
/* Why nothing is heard from now on. */
void watch_table_problem(struct watch_table *t, struct entry *e, const char *text);

#endif
