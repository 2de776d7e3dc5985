/* Who may run when: claims, the queue, the worker threads. */
#include "ops/ops.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ops/priv.h"
#include "store/store.h"

/* More than this many waiting is a mistake or an attack. */
#define QUEUE_MAX 1000

int ops_new(struct ops **out, const struct ops_setup *setup, struct perry_err **err)
{
	if (!setup->store || !setup->hub || !setup->run || setup->max_running < 1)
		return perry_fail(err, PERRY_EINTERNAL, "operations: incomplete setup");
	struct ops *o = xcalloc(1, sizeof *o);
	o->setup = *setup;
	pthread_mutex_init(&o->lock, NULL);
	pthread_mutex_init(&o->lost_lock, NULL);
	clock_cond_init(&o->empty);
	*out = o;
	return 0;
}

void ops_free(struct ops *o)
{
	if (!o)
		return;
	for (unsigned i = 0; i < OPS_RECENT; i++)
		op_unref(o->recent[i]);
	ops_lost_free(o);
	pthread_cond_destroy(&o->empty);
	pthread_mutex_destroy(&o->lost_lock);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

void ops_claim(struct ops *o, struct op *op, struct op *after)
{
	struct op **at = &o->active;
	while (*at)
		at = &(*at)->next;
	*at = op_ref(op);
	op->after = after ? op_ref(after) : NULL;
}

void ops_release(struct ops *o, struct op *op)
{
	pthread_mutex_lock(&o->lock);
	struct op **at = &o->active;
	while (*at && *at != op)
		at = &(*at)->next;
	if (*at) {
		*at = op->next;
		op->next = NULL;
		struct op **place = &o->recent[o->nrecent++ % OPS_RECENT];
		op_unref(*place);
		*place = op; /* the list's reference */
	}
	op->phase = OP_ENDED;
	op_unref(take_ptr(op->after));
	o->running -= op->slot;
	op->slot = false;
	pthread_mutex_unlock(&o->lock);
}

static void pump(struct ops *o);

static void finish(struct ops *o, struct op *op, cJSON *take_result, struct perry_err *take_err)
{
	op_end(op, take_result, take_err);
	pump(o);
	/* Nothing waits for threads or the list but ops_stop. */
	pthread_mutex_lock(&o->lock);
	pthread_cond_broadcast(&o->empty);
	pthread_mutex_unlock(&o->lock);
}

static void *worker(void *arg)
{
	struct op *op = arg;
	struct ops *o = op->ops;
	cJSON *result = NULL;
	struct perry_err *err = NULL;
	if (op->was_queued) {
		cleanup_json cJSON *patch = cJSON_CreateObject();
		json_set_str(patch, "state", "running");
		store_op_patch_post(o->setup.store, op->id, patch);
	}
	op_publish(op, "running", NULL);
	/* One that was cancelled before it began has nothing to undo, unless an earlier agent began it. */
	if (op->recovered || op_check(op, &err) == 0) {
		if (o->setup.run(o->setup.ctx, op, &result, &err) && !err)
			perry_fail(&err, PERRY_EINTERNAL, "%s failed without saying why", op->kind->name);
	}
	finish(o, op, result, err);
	op_unref(op);
	pthread_mutex_lock(&o->lock);
	o->threads--;
	pthread_cond_broadcast(&o->empty);
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

/* The operation has a slot and is marked as running. */
static void spawn(struct ops *o, struct op *op)
{
	pthread_t t;
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	op_ref(op);
	int rc = pthread_create(&t, &attr, worker, op);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		return;
	struct perry_err *err = NULL;
	perry_fail_errno(&err, rc, "cannot start a thread for %s", op->kind->name);
	finish(o, op, NULL, err);
	op_unref(op);
	pthread_mutex_lock(&o->lock);
	o->threads--;
	pthread_cond_broadcast(&o->empty);
	pthread_mutex_unlock(&o->lock);
}

/* Under o->lock: the next that may run, marked as running, or NULL. */
static struct op *next_runnable(struct ops *o)
{
	for (struct op *op = o->active; op && !o->stopping; op = op->next) {
		if (op->phase != OP_QUEUED || (op->after && op->after->phase != OP_ENDED))
			continue;
		if (!op->slot && o->running >= o->setup.max_running)
			continue;
		o->running += !op->slot;
		op->slot = true;
		op->phase = OP_RUNNING;
		o->threads++;
		return op_ref(op);
	}
	return NULL;
}

static void pump(struct ops *o)
{
	struct op *op;
	do {
		pthread_mutex_lock(&o->lock);
		op = next_runnable(o);
		pthread_mutex_unlock(&o->lock);
		if (op)
			spawn(o, op);
		op_unref(op);
	} while (op);
}

/* Under o->lock: takes it out of the queue, so that only the caller ends it. Recovered ones run in any case: they have
 * something to undo. */
static bool unqueue(struct op *op)
{
	if (op->phase != OP_QUEUED || op->recovered)
		return false;
	op->phase = OP_SUBMITTED;
	return true;
}

static void end_cancelled(struct ops *o, struct op *op)
{
	struct perry_err *err = NULL;
	op_check(op, &err);
	finish(o, op, NULL, err);
}

void ops_enter(struct ops *o, struct op *op)
{
	op->was_queued = !op->slot;
	if (op->was_queued)
		op_publish(op, "queued", NULL);
	pthread_mutex_lock(&o->lock);
	op->phase = OP_QUEUED;
	if (o->stopping)
		op_cancel(op, "agent stopping", true);
	bool dead = atomic_load(&op->cancel.set) && (unqueue(op) || o->stopping);
	if (dead)
		op->phase = OP_SUBMITTED;
	pthread_mutex_unlock(&o->lock);
	if (dead)
		end_cancelled(o, op);
	else
		pump(o);
}

static void cancel_one(struct ops *o, struct op *op, const char *why, bool stopping)
{
	pthread_mutex_lock(&o->lock);
	op_cancel(op, why, stopping);
	bool dead = unqueue(op);
	pthread_mutex_unlock(&o->lock);
	if (dead)
		end_cancelled(o, op);
}

static bool asks_nothing(const cJSON *value)
{
	return cJSON_IsNull(value) || ((cJSON_IsObject(value) || cJSON_IsArray(value)) && !value->child);
}

/* Does the other one do all that this one is asked for? Why it is asked is no part of that. */
static bool covers(const struct op *other, const struct op *new)
{
	const cJSON *member;
	cJSON_ArrayForEach(member, new->input)
		if (strcmp(member->string, "reason") != 0 && !asks_nothing(member) &&
		    !json_equal(member, cJSON_GetObjectItemCaseSensitive(other->input, member->string)))
			return false;
	return true;
}

static bool joins(const struct op *new, const struct op *other)
{
	return new->kind->joins & 1u << other->kind->id && !atomic_load(&other->cancel.set) && covers(other, new);
}

static bool is_called_by(const struct op *op, const char *kind)
{
	return strcmp(json_str_or(op->caller, "kind", ""), kind) == 0;
}

/* What the agent does by itself makes way for what somebody asks for. */
static bool makes_way(const struct op *other, const struct op *new)
{
	return is_called_by(other, "agent") && other->kind->cancellable && !is_called_by(new, "agent") &&
	       !is_called_by(new, "policy");
}

static int busy(const struct op *op, const char *workspace, struct perry_err **err)
{
	char since[32];
	clock_iso(op->started, since);
	perry_fail(err, PERRY_ECONFLICT, "Workspace '%s' is busy: %s since %s", workspace, op->kind->name, since);
	if (err) {
		(*err)->data = cJSON_CreateObject();
		json_set_str((*err)->data, "operation", op->id);
	}
	return -1;
}

/* Under o->lock: the rules of claims. 0 and *join, or *after, or neither; -1 for a conflict. */
static int judge(struct ops *o, const struct op *new, struct op **join, struct op **after, struct perry_err **err)
{
	struct op *last = NULL;
	int queued = 0;
	for (struct op *op = o->active; op; op = op->next) {
		queued += !op->slot;
		if (!new->workspace) {
			if (!op->workspace && joins(new, op))
				*join = op;
			continue;
		}
		if (new->source && str_eq(op->workspace, new->source) && makes_way(op, new)) {
			*after = op;
			continue;
		}
		if (str_eq(op->source, new->workspace) || (new->source &&str_eq(op->workspace, new->source)))
			return busy(op, op->source && str_eq(op->source, new->workspace) ? op->source : new->source,
				    err);
		if (str_eq(op->workspace, new->workspace))
			last = op;
	}
	if (queued >= QUEUE_MAX && !*join)
		return perry_fail(err, PERRY_EUNAVAILABLE, "%d operations are waiting already", queued);
	if (!last)
		return 0;
	/* Whoever works on it is never cancelled by policy. */
	bool dying = atomic_load(&last->cancel.set), polite = is_called_by(new, "policy");
	if (joins(new, last))
		*join = last;
	else if ((!polite && new->kind->cancels && last->kind->cancellable) || makes_way(last, new))
		*after = last;
	else if (new->kind->makes == MAKES_ALWAYS && last->kind->makes != MAKES_NONE && !dying)
		return perry_fail(err, PERRY_ECONFLICT, "Workspace '%s' already exists", new->workspace);
	else
		return busy(last, new->workspace, err);
	return 0;
}

static int journal_begin(struct ops *o, const struct op *op, struct perry_err **err)
{
	cleanup_json cJSON *row = cJSON_CreateObject();
	json_set_str(row, "id", op->id);
	json_set_str(row, "kind", op->kind->name);
	json_set_str(row, "workspace", op->workspace);
	json_set_str(row, "state", op->slot ? "running" : "queued");
	json_set(row, "request", cJSON_Duplicate(op->input, 1));
	json_set(row, "caller", cJSON_Duplicate(op->caller, 1));
	json_set_int(row, "started", op->started);
	if (ops_lost_record(o, op->workspace, err))
		return -1;
	return store_op_begin(o->setup.store, row, err);
}

int ops_submit(struct ops *o, const char *name, const char *workspace, const cJSON *input, const cJSON *caller,
	       struct op **out, struct perry_err **err)
{
	const struct op_kind *kind = op_kind_find(name);
	if (!kind)
		return perry_fail(err, PERRY_EINPUT, "there is no operation \"%s\"", name);
	if (kind->claims != !!workspace)
		return perry_fail(err, PERRY_EINPUT, "%s %s", name,
				  workspace ? "is no operation on a workspace" : "needs a workspace");
	struct op *op = op_new(o, kind, workspace, input, caller), *join = NULL, *after = NULL;
	pthread_mutex_lock(&o->lock);
	int rc = o->stopping ? perry_fail(err, PERRY_EUNAVAILABLE, "the agent is stopping")
			     : judge(o, op, &join, &after, err);
	if (rc == 0 && join) {
		*out = op_ref(join);
	} else if (rc == 0) {
		op->slot = !after && o->running < o->setup.max_running;
		o->running += op->slot;
		ops_claim(o, op, after);
	}
	pthread_mutex_unlock(&o->lock);
	if (rc || join) {
		op_unref(op);
		return rc;
	}
	/* The claim holds already; those who join meanwhile share the fate of this write. */
	cleanup_err struct perry_err *failed = NULL;
	if (journal_begin(o, op, &failed)) {
		perry_move(err, perry_err_copy(failed));
		finish(o, op, NULL, take_ptr(failed));
		op_unref(op);
		return -1;
	}
	op->journalled = true;
	if (after) {
		cleanup_free char *why = xasprintf("cancelled by %s of the same workspace", name);
		cancel_one(o, after, why, false);
	}
	ops_enter(o, op);
	*out = op;
	return 0;
}

struct op *ops_find(struct ops *o, const char *id)
{
	struct op *found = NULL;
	pthread_mutex_lock(&o->lock);
	for (struct op *op = o->active; op && !found; op = op->next)
		if (strcmp(op->id, id) == 0)
			found = op_ref(op);
	for (unsigned i = 0; i < OPS_RECENT && !found; i++)
		if (o->recent[i] && strcmp(o->recent[i]->id, id) == 0)
			found = op_ref(o->recent[i]);
	pthread_mutex_unlock(&o->lock);
	return found;
}

cJSON *ops_running(struct ops *o)
{
	cJSON *all = cJSON_CreateArray();
	pthread_mutex_lock(&o->lock);
	for (struct op *op = o->active; op; op = op->next) {
		cJSON *row = cJSON_CreateObject();
		json_set_str(row, "id", op->id);
		json_set_str(row, "kind", op->kind->name);
		json_set_str(row, "workspace", op->workspace);
		json_set_str(row, "state", op->phase == OP_RUNNING ? "running" : "queued");
		json_set_int(row, "started", op->started);
		pthread_mutex_lock(&op->lock);
		json_set_str(row, "step", op->step);
		pthread_mutex_unlock(&op->lock);
		json_push(all, row);
	}
	pthread_mutex_unlock(&o->lock);
	return all;
}

int ops_cancel(struct ops *o, const char *id, const char *why, struct perry_err **err)
{
	struct op *op = ops_find(o, id);
	if (!op)
		return perry_fail(err, PERRY_ENOTFOUND, "Operation not found");
	pthread_mutex_lock(&o->lock);
	bool ended = op->phase == OP_ENDED;
	pthread_mutex_unlock(&o->lock);
	if (!ended)
		cancel_one(o, op, why, false);
	op_unref(op);
	return ended ? perry_fail(err, PERRY_ESTATE, "operation %s has ended", id) : 0;
}

/* The first that still waits for a slot, taken out of the queue; a reference. */
static struct op *drop_queued(struct ops *o)
{
	struct op *found = NULL;
	pthread_mutex_lock(&o->lock);
	for (struct op *op = o->active; op; op = op->next) {
		if (op->phase == OP_RUNNING)
			op_cancel(op, "agent stopping", true);
		if (op->phase == OP_QUEUED && !found) {
			op_cancel(op, "agent stopping", true);
			op->phase = OP_SUBMITTED;
			found = op_ref(op);
		}
	}
	pthread_mutex_unlock(&o->lock);
	return found;
}

int ops_stop(struct ops *o, int grace_ms)
{
	struct op *op;
	pthread_mutex_lock(&o->lock);
	o->stopping = true;
	pthread_mutex_unlock(&o->lock);
	while ((op = drop_queued(o))) {
		end_cancelled(o, op);
		op_unref(op);
	}
	struct timespec until = clock_deadline(grace_ms);
	pthread_mutex_lock(&o->lock);
	while ((o->threads || o->active) && pthread_cond_timedwait(&o->empty, &o->lock, &until) != ETIMEDOUT)
		;
	int left = o->threads;
	for (op = o->active; op; op = op->next)
		left += op->phase != OP_RUNNING;
	pthread_mutex_unlock(&o->lock);
	ops_lost_record(o, NULL, NULL);
	return left;
}
