/* One call of a procedure. */
#ifndef PERRY_AGENT_CALL_H
#define PERRY_AGENT_CALL_H
#include <stdbool.h>

#include "agent/who/auth.h"
#include "base/err.h"
#include "base/json.h"
#include "base/buf.h"
#include "docker/docker.h"

struct agent;
struct op;
struct procedure;
struct server_req;

struct call {
	struct agent *a;
	const struct procedure *proc;
	struct server_req *req; /* NULL once it was answered; under the lock of calls */
	cJSON *input;           /* checked */
	struct caller caller;
	bool async;                  /* Prefer: respond-async */
	struct docker_cancel cancel; /* set when the client is gone or the agent stops */
	struct op *op;
	/* The answer once op has ended, well or not. NULL: the operation's (agent/answer.h), or its error. */
	int (*finish)(struct call *c, cJSON **out, struct perry_err **err);
	bool not_implemented; /* the error is 501 */
	struct buf raw;       /* the answer as JSON text, instead of *out: where texts hold NUL */
	struct call *next, **prev;
};

/* Owner of a suspended request from here on. */
struct call *call_begin(struct agent *a, const struct procedure *p, struct server_req *r, const struct caller *who,
			cJSON *take_input, bool async);
/* Answers (out may be NULL with take_err set) and frees the call. */
void call_end(struct call *c, cJSON *take_out, struct perry_err *take_err);
/* The request, to be answered by the caller of this; NULL when it was answered already. */
struct server_req *call_take_request(struct call *c);

/* Borrowed looks at a checked input. */
static inline const char *call_str(const struct call *c, const char *key)
{
	return json_str(c->input, key);
}
/* The fleet's record of the workspace that the input names ("name"). */
int call_workspace(struct call *c, const char *key, cJSON **record, struct perry_err **err);
int call_running_workspace(struct call *c, const char *key, cJSON **record, struct perry_err **err);
int call_not_implemented(struct call *c, struct perry_err **err, const char *what);

/* All calls that wait for an answer. Whoever has it, whoever hangs up and the shutdown meet under one lock. */
struct calls;
struct calls *calls_new(void);
void calls_free(struct calls *c);
int calls_pending(struct calls *c);
void calls_shutdown(struct agent *a); /* answers all of them with 503 and sets their cancel flags */

#endif
