/* Operations: one operation is one worker thread; it claims its workspace, is journalled step by step, can be cancelled
 * and is followed through the hub. Rules of claims: kinds.h. One whose caller is of kind "policy" (the idle hook's)
 * cancels nothing; one of kind "agent" makes way for others. To make what is being made is PERRY_ECONFLICT "Workspace
 * 'x' already exists"; every other overlap on one workspace is PERRY_ECONFLICT "Workspace 'x' is busy: <kind> since
 * TIME". At most maxOperations run, the rest queue. Events:
 * {"kind":"operation","operation":ID,"action":KIND,"workspace","state":"queued"|"running"|"recover"|"done"|"failed"|"cancelled",
 * "caller","error","warnings"},
 * {"kind":"step","operation","action","workspace","step","label","status","message","warned"},
 * {"kind":"progress","operation","workspace","step","line"}. */
#ifndef PERRY_OPS_OPS_H
#define PERRY_OPS_OPS_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "docker/docker.h"
#include "ops/kinds.h"

struct ops;
struct op;
struct store;
struct hub;
struct fleet;

/* Runs one operation on its worker thread: fills *result (caller's; what only the operation knows, or NULL) or err.
 * Registered by core/lua. */
typedef int (*op_runner)(void *ctx, struct op *op, cJSON **result, struct perry_err **err);

struct ops_setup {
	struct store *store;
	struct hub *hub;
	struct fleet *fleet;
	int max_running;
	op_runner run;
	void *ctx;
};
int ops_new(struct ops **out, const struct ops_setup *setup, struct perry_err **err);
/* Re-submits every operation the journal holds as not ended (state "recover" in events: which workspace, which step).
 * Returns how many. */
int ops_recover(struct ops *o, struct perry_err **err);
/* No new operations (PERRY_EUNAVAILABLE); running ones are cancelled with "agent stopping" and stay open in the journal
 * for the next start, as those that were queued. Waits at most grace_ms; returns how many still run (then o and what it
 * works on must not be freed). */
int ops_stop(struct ops *o, int grace_ms);
void ops_free(struct ops *o); /* after an ops_stop that returned 0 */

/* name: of a kind; an unknown one is PERRY_EINPUT. workspace: the claimed name. input and caller are copied. Gives a
 * reference to the operation, new or joined. */
int ops_submit(struct ops *o, const char *name, const char *workspace, const cJSON *input, const cJSON *caller,
	       struct op **out, struct perry_err **err);
struct op *ops_find(struct ops *o, const char *id); /* a reference or NULL; the newest that ended are still found */
cJSON *ops_running(struct ops *o); /* [{id, kind, workspace, state: "queued"|"running", started, step}] */
/* Asks it to end; one that still queues ends at once. PERRY_ENOTFOUND, PERRY_ESTATE when it has ended. */
int ops_cancel(struct ops *o, const char *id, const char *why, struct perry_err **err);

struct op *op_ref(struct op *op);
void op_unref(struct op *op);
const char *op_id(const struct op *op);
const struct op_kind *op_kind(const struct op *op);
const char *op_workspace(const struct op *op);
const cJSON *op_input(const struct op *op);
const cJSON *op_caller(const struct op *op);
bool op_recovered(const struct op *op);       /* begun by an agent that was killed */
const cJSON *op_journal(const struct op *op); /* the journal record as found at recovery (steps done before), or NULL */
struct docker_cancel *op_cancel_flag(struct op *op); /* passed to engine calls; set by ops_cancel */
int op_check(struct op *op, struct perry_err **err); /* PERRY_ECANCELLED with the reason when cancelled */
bool op_stopping(struct op *op); /* cancelled because the agent stops: leave everything as it is, it goes on later */
/* Steps: journal, fleet startup and event in one. "running", "error", "cancelled" and data are durable on return,
 * "done" and "skipped" by the next one that is (a step is idempotent: a lost "done" runs it again). The list of steps
 * known in advance is announced first (id, label pairs as [{"id","label"}]). */
void op_steps(struct op *op, const cJSON *steps);
int op_step(struct op *op, const char *step, const char *status, const char *message, const cJSON *data,
	    struct perry_err **err);
/* What went wrong in a step and did not end the operation; mend (or NULL) says what to do about it. Part of what came
 * of the operation: journalled, in its last event and in its answer. The same one twice is one. On the worker's thread.
 */
void op_warn(struct op *op, const char *step, const char *message, const char *mend);
/* [{"step","message","mend"}], borrowed, or NULL when there are none: after the end, or on the worker's thread. */
const cJSON *op_warnings(const struct op *op);
void op_progress(struct op *op, const char *step, const char *line); /* a progress line, an event that is not kept */
int op_save_plan(struct op *op, const cJSON *plan, struct perry_err **err);
/* Calls fn once when the operation has ended (at once when it has already). */
void op_on_end(struct op *op, void (*fn)(void *ctx, struct op *op), void *ctx);
int op_wait(struct op *op, int timeout_ms); /* 0 when ended, -1 on timeout (timeout_ms < 0: for ever) */
/* After the end: the result (borrowed; the journal has it, too) or the error (borrowed). */
const cJSON *op_result(const struct op *op);
const struct perry_err *op_error(const struct op *op);
/* Puts how it ended into its record, which the journal may not have been able to take (*record NULL: all of it). False:
 * it has not ended, or goes on when the agent is back. */
bool op_amend(const struct op *op, cJSON **record);

#endif
