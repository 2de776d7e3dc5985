/* The agent's side of one session. */
#ifndef PERRY_POLICY_SESSION_H
#define PERRY_POLICY_SESSION_H
#include <pthread.h>

#include "policy/points.h"
#include "policy/policy.h"
#include "policy/zygote.h"

struct policy {
	pthread_mutex_t lock; /* of the zygote's replacement */
	struct zygote zygote;
	char hashes[64][65]; /* of the built-in hooks, by position in the table of points; "" when there is none */
};

struct policy_session {
	struct policy *policy;
	int fd, status_fd;
	bool heard; /* the process has said something: a lost one is not replaced silently any more */
	bool dead;
	int calls, logs; /* of the current exchange */
	cJSON *opening;  /* kept for one more try, until heard */
	cJSON *later;    /* point -> the hooks of an action, which go along with the first question for it: a plan asks
			    none */
	cJSON *hashes;   /* file as shown -> hash */
	cJSON *needs;    /* layer -> its needs; no member: everything */
	cJSON *settings; /* layer -> the values of its settings; packs only */
	cJSON *allowed_mounts;
	int (*call)(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out,
		    struct perry_err **err);
	void *ctx;
	struct hook_limits limits; /* instead of the points' own, when the clock's is not 0 */
	const struct point *point; /* being asked, for the checks; NULL in a plan */
	char *workspace;
};

/* A child of the zygote, which is replaced first when it is gone. */
int policy_child(struct policy *p, int *fd, int *status_fd, struct perry_err **err);
/* Sends one request and serves the hooks' own until the reply is in; PERRY_EPOLICY with a record when the process ended
 * instead. wall_ms excludes the time that our own answers took. */
int session_exchange(struct policy_session *s, const cJSON *msg, int wall_ms, cJSON **reply, struct perry_err **err);
/* Gives the error that a record says, PERRY_EPOLICY, err->data = record. */
int record_fail(const struct policy_session *s, cJSON *take_record, struct perry_err **err);
/* How a process ended: {"message", "limit"?} in words. */
const char *session_death(int status, bool known, char out[160]);
/* For tool.c: asks with more than policy_ask shows. */
int session_ask(struct policy_session *s, const struct point *point, const cJSON *facts, const cJSON *extra, bool each,
		cJSON **reply, struct perry_err **err);
int session_load(struct policy_session *s, const char *layer, const struct point *point, struct perry_err **err);
/* One text as the only hook of a layer named "test", whatever files there are; for tests of hooks. */
int session_begin(struct policy *p, cJSON *take_opening, struct policy_session **out, struct perry_err **err);
/* From here on the layer of this name gets what it needs only; nothing when it has no needs. */
void session_restrict(struct policy_session *s, const struct policy_layer *layer);

#endif
