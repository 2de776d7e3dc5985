/* What the files of the streams share. Unless it says otherwise everything belongs to the loop's thread, like what
 * their other headers declare. */
#ifndef PERRY_AGENT_STREAM_STATE_H
#define PERRY_AGENT_STREAM_STATE_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "agent/loop.h"
#include "agent/stream/setup.h"
#include "agent/stream/strangers.h"

#define STREAM_WINDOW  (256 << 10) /* bytes a side may send ahead */
#define STREAM_PIECE   (64 << 10)  /* bytes of one message's payload */
#define STREAM_OPEN    (4 << 20)   /* of an OPEN's: as much of a command as a kernel takes, and its escapes */
#define STREAM_BACKLOG (1 << 20)   /* of one WebSocket; nothing is read for it beyond */

struct channels;
struct stream_conn;
struct followed;
struct stream_source;
struct watched;

struct streams {
	struct streams_setup setup; /* any thread */
	struct loop *loop;
	struct channels *channels; /* into the workspaces */
	struct watched *watched;   /* sessions that somebody looks at */
	struct followed *followed; /* workspaces whose sessions are known; others look under sessions_lock */
	pthread_mutex_t sessions_lock;
	atomic_int terminals;
	struct strangers strangers;  /* any thread */
	atomic_bool closed;          /* streams_stop was called: nothing is taken any more */
	struct docker_cancel cancel; /* set when the goodbye takes too long: engine calls of ours end */
	struct loop_timer stop;      /* until then */
	bool quit;                   /* the goodbye was begun */

	struct stream_conn *conns;
	int nconns;
	struct stream_source *sources; /* all that run, owned or orphaned */
};

void sessions_forget_all(struct streams *s); /* sessions.c, at the end */

#endif
