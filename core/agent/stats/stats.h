/* What running workspaces take of the machine, while somebody watches: every two seconds an event
 * {"kind":"stats","workspace","cpu" (cores; absent in a workspace's first),"memory" (bytes)} for each, which is not
 * kept. Read from the kernel's control groups; of a container that is not on this machine the engine is asked. With
 * nobody who watches there is no thread. */
#ifndef PERRY_AGENT_STATS_H
#define PERRY_AGENT_STATS_H

struct docker;
struct fleet;
struct hub;
struct stats;

/* All are borrowed. */
struct stats *stats_new(struct fleet *fleet, struct docker *docker, struct hub *hub);
/* One more who watches, one fewer. Any thread; they wait for nothing. */
void stats_watch(struct stats *s);
void stats_unwatch(struct stats *s);
void stats_free(struct stats *s); /* nobody watches any more; waits for the thread. NULL: nothing */

#endif
