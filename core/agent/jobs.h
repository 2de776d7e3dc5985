/* Threads for calls that block: made when needed, kept for some seconds, at most max at once (the rest queue). */
#ifndef PERRY_AGENT_JOBS_H
#define PERRY_AGENT_JOBS_H
#include <stdbool.h>

struct jobs;

/* idle is called (on a thread of ours) when the last thread goes home after a burst; may be NULL. */
struct jobs *jobs_new(int max, void (*idle)(void *ctx), void *ctx);
/* Runs fn(arg) on some thread, soon. After jobs_stop began: false, and fn is never called. */
bool jobs_run(struct jobs *j, void (*fn)(void *arg), void *arg);
/* Waits up to grace_ms for what runs and is queued. Returns how many are still not done (then j must not be freed). */
int jobs_stop(struct jobs *j, int grace_ms);
void jobs_free(struct jobs *j);

#endif
