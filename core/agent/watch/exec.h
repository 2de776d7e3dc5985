/* The long-lived execs: opened by jobs, read and written without blocking, opened again when they break. What they say
 * goes to take_line; what is in an entry's out goes to them. */
#ifndef PERRY_AGENT_WATCH_EXEC_H
#define PERRY_AGENT_WATCH_EXEC_H
#include <stdint.h>

#include "agent/watch/state.h"

/* It is to be opened at that moment (mono ms), anew and whatever came of it before. */
void watcher_open_at(struct entry *e, int64_t due);
bool watcher_is_open(const struct entry *e);
void watcher_close(struct entry *e); /* and it is not to be opened */
/* The end of a round: opens it when that is due and there are not too many under way, and writes what is in out. */
void watcher_settle(struct entry *e);

#endif
