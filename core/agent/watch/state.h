/* What the files of the watchers share. Unless it says otherwise everything belongs to the loop's thread, like what
 * their other headers declare. */
#ifndef PERRY_AGENT_WATCH_STATE_H
#define PERRY_AGENT_WATCH_STATE_H
#include <pthread.h>

#include "agent/loop.h"
#include "agent/watch/setup.h"
#include "agent/watch/table.h"

struct hub_sub;

struct watchers {
	struct watchers_setup setup; /* any thread */
	struct loop *loop;
	struct hub_sub *sub;
	int openings; /* under way */
	/* Takes a line that a workspace wrote, of at most WATCH_LINE_MAX bytes. */
	void (*take_line)(struct entry *e, const char *text, size_t n);
	struct watch_table table;
	pthread_cond_t sampled; /* a sample came, or will not; with the table's lock */
};

#endif
