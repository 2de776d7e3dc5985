/* Inside of the operations. Locks: ops->lock (lists, claims, phases), then op->lock (cancellation, steps, end); neither
 * is held over a journal write. */
#ifndef PERRY_OPS_PRIV_H
#define PERRY_OPS_PRIV_H
#include <pthread.h>

#include "ops/kinds.h"
#include "ops/ops.h"

enum op_phase {
	OP_SUBMITTED, /* claimed, its journal row is being written */
	OP_QUEUED,    /* waits for a slot or for the operation before it */
	OP_RUNNING,
	OP_ENDED, /* its claim is gone */
};

struct op_end {
	void (*fn)(void *ctx, struct op *op);
	void *ctx;
	struct op_end *next;
};

struct op {
	atomic_int refs;
	/* Immutable once submitted. */
	struct ops *ops;
	char id[17];
	const struct op_kind *kind;
	char *workspace, *source; /* source: claimed together with others, or NULL */
	cJSON *input, *caller, *journal;
	bool recovered, was_queued, journalled;
	int64_t started;
	/* Under ops->lock. */
	enum op_phase phase;
	bool slot;        /* counts as running */
	struct op *after; /* runs when that one has ended (a reference), or NULL */
	struct op *next;
	/* Under lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char *why;     /* cancelled, because */
	bool stopping; /* ... because the agent stops */
	cJSON *steps;
	cJSON *warnings; /* [{"step","message","mend"}]; only its worker adds */
	char *step;      /* the last one that began */
	bool ended;
	struct op_end *on_end;
	struct docker_cancel cancel;
	/* Immutable once ended. */
	cJSON *result;
	struct perry_err *err;
	bool left_open; /* the journal has it as under way, and so it goes on at the next start */
};

/* An end that the journal could not take. */
struct lost_end {
	struct lost_end *next;
	char id[17];
	char *workspace;
	cJSON *patch;
};

/* Ended operations that ops_find still knows. */
#define OPS_RECENT 64

struct ops {
	struct ops_setup setup;
	pthread_mutex_t lock;
	pthread_cond_t empty;
	struct op *active; /* claimed, in the order of submission; each a reference */
	int running, threads;
	bool stopping;
	struct op *recent[OPS_RECENT];
	unsigned nrecent;
	pthread_mutex_t lost_lock; /* of lost; the only lock that is held over journal writes */
	struct lost_end *lost;
};

struct op *op_new(struct ops *o, const struct op_kind *kind, const char *workspace, const cJSON *input,
		  const cJSON *caller);
/* Sets the flag; the first reason stays. */
void op_cancel(struct op *op, const char *why, bool stopping);
/* An event of kind "operation" with this state. */
void op_publish(struct op *op, const char *state, const char *step);
/* Makes the steps that the journal has those of the operation, and the warnings of what is not done again. */
void op_restore_steps(struct op *op);
/* The last of an operation: wakes the waiters and calls the on_end functions. Takes both. */
void op_end(struct op *op, cJSON *take_result, struct perry_err *take_err);

/* Ends that could not be recorded (ops_lost.c): kept, and tried again before the next operation is begun, so that one
 * that has ended does not run again at the next start, over what was made since. Takes the patch. */
void ops_lost_add(struct ops *o, const struct op *op, cJSON *take_patch);
/* -1 while the end of one of this workspace (NULL: of those without one) cannot be recorded. */
int ops_lost_record(struct ops *o, const char *workspace, struct perry_err **err);
void ops_lost_free(struct ops *o);

/* Takes the claim away; called by op_end once the end is in the journal. */
void ops_release(struct ops *o, struct op *op);

/* Puts the operation into the active list behind what it waits for (may be NULL). Under o->lock. */
void ops_claim(struct ops *o, struct op *op, struct op *after);
/* Once its journal row stands: runs it as soon as it may. */
void ops_enter(struct ops *o, struct op *op);

#endif
