/* When the idle hook is asked, and what its answer does. A scheduler without a clock, a thread or an engine of its own:
 * they are given to it (idle_agent.c), and the tests give it a clock that they turn. Times are monotonic milliseconds.
 */
#ifndef PERRY_AGENT_IDLE_H
#define PERRY_AGENT_IDLE_H
#include <stdbool.h>
#include <stdint.h>

#include "agent/idle/facts.h"
#include "base/err.h"
#include "base/json.h"

#define IDLE_EVERY_MS      (10 * 60000) /* a hook that does not say when */
#define IDLE_NEXT_MIN_MS   1000
#define IDLE_SETTLE_MS     500   /* what changes brings more changes with it */
#define IDLE_CHANGE_GAP_MS 10000 /* between two questions that changes are the reason of */
#define IDLE_CONFIRM_MS \
	10000 /* from the answer "stop" to the question that has to confirm it: the rates of this very moment */
#define IDLE_WARN_MS (10 * 60000) /* before the end of a ttl; at most half of it */

struct idle;

/* A workspace as it is now. */
struct idle_subject {
	char life[96];       /* another one after each start of its container */
	int64_t ttl;         /* seconds, 0: none */
	int64_t ttl_from;    /* which count of it this is: changes when it begins anew */
	int64_t ttl_left_ms; /* by the wall clock; looked at once for each count */
};

struct idle_answer {
	bool stop;
	char *reason; /* or NULL */
	double next;  /* seconds to the next question; < 0: it does not say */
};

/* Called without a lock, by idle_run, but wake: from any thread. */
struct idle_ops {
	int64_t (*now)(void *ctx);
	int64_t (*wall_s)(void *ctx);
	bool (*look)(void *ctx, const char *ws, struct idle_subject *out); /* false: it does not run */
	bool (*hooked)(void *ctx);                   /* has any layer but the built-in an idle hook? */
	cJSON *(*sample)(void *ctx, const char *ws); /* NULL: nobody could look */
	cJSON *(*own)(void *ctx, const char *ws);    /* see idle_track_take */
	int (*ask)(void *ctx, const char *ws, const cJSON *activity, struct idle_answer *out, struct perry_err **err);
	int (*stop)(void *ctx, const char *ws, const char *reason, struct perry_err **err);
	void (*warn)(void *ctx, const char *ws, int64_t ttl, int64_t left_ms); /* of the end of the ttl */
	void (*wake)(void *ctx);                                               /* idle_run is to be called again */
};
struct idle *idle_new(const struct idle_ops *ops, void *ctx);
void idle_free(struct idle *i);
/* It runs, or may run: it is looked at soon. Any thread. */
void idle_started(struct idle *i, const char *ws);
/* It was active in this way just now (IDLE_N_KINDS: in none, but something may have changed). Any thread; costs nothing
 * while nobody wants to know. */
void idle_note(struct idle *i, const char *ws, enum idle_kind kind);
/* Hooks or the configuration changed: all are looked at anew. Any thread. */
void idle_changed(struct idle *i);
/* Does what is due, on one thread. Gives when the next thing is, INT64_MAX: never, unless one of the calls above comes.
 */
int64_t idle_run(struct idle *i);

#endif
