/* The agent's side of one session. */
#ifndef PERRY_POLICY_SESSION_H
#define PERRY_POLICY_SESSION_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "policy/contract/points.h"
#include "policy/setup.h"

struct policy;

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
	int (*call)(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out,
		    struct perry_err **err);
	void *ctx;
	struct hook_limits limits; /* when limited: instead of the points' own */
	bool limited;
	const struct point *point; /* being asked, for the checks; NULL in a plan */
	char *workspace;
};

/* Sends one request and serves the hooks' own until the reply is in; PERRY_EPOLICY with a record when the process ended
 * instead. wall_ms excludes the time that our own answers took. */
int session_exchange(struct policy_session *s, const cJSON *msg, int wall_ms, cJSON **reply, struct perry_err **err);
/* How long an exchange about this point may take. */
int session_wall_ms(const struct policy_session *s, const struct point *point);
/* Gives the error that a record says, PERRY_EPOLICY, err->data = record. */
int record_fail(const struct policy_session *s, cJSON *take_record, struct perry_err **err);
/* How a process ended: {"message", "limit"?} in words. */
const char *session_death(int status, bool known, char out[160]);
/* Starts a process for it and sends the opening message; nothing has been asked yet. */
int session_begin(struct policy *p, cJSON *take_opening, struct policy_session **out, struct perry_err **err);
void session_end(struct policy_session *s); /* NULL is fine */
/* From here on the layer of this name gets what it needs only; nothing when it has no needs. */
void session_restrict(struct policy_session *s, const struct policy_layer *layer);

#endif
