/* An event loop: one thread that waits for descriptors, moments and calls from other threads, and then acts.
 *
 * Everything an owner gives it to call runs on that one thread, one after the other, but for the work of loop_work:
 * what only the loop's callbacks touch needs no lock. They must be quick and never block. A round is: the descriptors
 * that have something, the calls that were posted, the timers that are due, the owner's settle. Nothing is polled:
 * without an event, a call or a due timer there is no round.
 *
 * Unless it says otherwise, a function here is for the loop's own thread (or any, once loop_stop returned). */
#ifndef PERRY_AGENT_LOOP_H
#define PERRY_AGENT_LOOP_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"

struct loop;

/* The end of every round, before the loop waits: what a round has queued goes out together here. stopping: loop_stop
 * was called. What it returns counts only then: true, nothing of the owner's is left and the loop may end. */
typedef bool (*loop_settle_fn)(void *ctx, bool stopping);

/* Starts the thread. settle may be NULL; ctx is borrowed until loop_stop returned. */
int loop_open(struct loop **out, loop_settle_fn settle, void *ctx, struct perry_err **err);
/* Another thread, once: ends the loop and waits for that, which is when settle has said true, no work is under way and
 * no call is posted. Descriptors and timers go on until then. */
void loop_stop(struct loop *l);
void loop_free(struct loop *l); /* stopped, or NULL; nobody posts any more */

/* --- calls and work --- */

/* Any thread: fn(arg) is called on the loop's, in the order of posting. False: the loop has ended, fn is never called
 * and arg is still the caller's. */
bool loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
/* Runs work(arg), which may block, on a thread of its own, then done(arg) on the loop's. The loop does not end before
 * done was called, and work may post without asking what loop_post returns. */
void loop_work(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);

/* --- descriptors --- */

struct loop_watch;
/* fd and owner are borrowed; nothing is looked at before loop_watch_set. fn may drop any watch, also its own. */
struct loop_watch *loop_watch_new(struct loop *l, int fd, void (*fn)(void *owner, uint32_t events), void *owner);
/* EPOLLIN, EPOLLOUT, EPOLLRDHUP; an error or a hang-up (EPOLLERR, EPOLLHUP) is told with any of them. 0: not looked at,
 * not even for a hang-up (which would be told for ever). Level-triggered. */
void loop_watch_set(struct loop_watch *w, uint32_t events);
uint32_t loop_watch_events(const struct loop_watch *w); /* as set */
/* Before the descriptor is closed. fn is not called any more, not for what this round has already seen either; *w
 * becomes NULL. Nothing happens when it is. */
void loop_watch_drop(struct loop_watch **w);

/* --- timers --- */

/* Belongs to its owner, who must stop it before freeing it; zeroed, it is not set. The members are the loop's. */
struct loop_timer {
	struct loop_timer *next, *prev; /* NULL: not set */
	int64_t due;
	void (*fn)(void *owner);
	void *owner;
};
/* Calls fn(owner) once, when clock_mono_ms() has reached due; one that is set already is moved. One that is due at once
 * is called in the next round, not in this. fn may set and stop any timer, also its own. */
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due, void (*fn)(void *owner), void *owner);
void loop_timer_stop(struct loop_timer *t); /* one that is not set, too */
static inline bool loop_timer_is_set(const struct loop_timer *t)
{
	return t->next;
}

#endif
