/* One operation: what its runner and its followers see. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "ops/fleet.h"
#include "ops/hub.h"
#include "ops/priv.h"
#include "store/store.h"

/* How many warnings of how many bytes an operation keeps. */
enum { WARNINGS_MAX = 50, WARNING_MAX = 4096 };

struct op *op_new(struct ops *o, const struct op_kind *kind, const char *workspace, const cJSON *input,
		  const cJSON *caller)
{
	struct op *op = xcalloc(1, sizeof *op);
	atomic_init(&op->refs, 1);
	op->ops = o;
	random_hex(op->id, 8);
	op->kind = kind;
	op->workspace = xstrdup(workspace);
	op->input = input ? cJSON_Duplicate(input, 1) : cJSON_CreateObject();
	op->caller = caller ? cJSON_Duplicate(caller, 1) : cJSON_CreateObject();
	if (kind->source)
		op->source = xstrdup(json_str(op->input, "sourceName"));
	op->started = clock_ms();
	op->steps = cJSON_CreateArray();
	op->warnings = cJSON_CreateArray();
	atomic_init(&op->cancel.set, false);
	op->cancel.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&op->lock, NULL);
	clock_cond_init(&op->changed);
	return op;
}

struct op *op_ref(struct op *op)
{
	atomic_fetch_add(&op->refs, 1);
	return op;
}

void op_unref(struct op *op)
{
	if (!op || atomic_fetch_sub(&op->refs, 1) > 1)
		return;
	op_unref(op->after);
	free(op->workspace);
	free(op->source);
	free(op->why);
	free(op->step);
	cJSON_Delete(op->input);
	cJSON_Delete(op->caller);
	cJSON_Delete(op->journal);
	cJSON_Delete(op->steps);
	cJSON_Delete(op->warnings);
	cJSON_Delete(op->result);
	perry_err_free(op->err);
	if (op->cancel.fd >= 0)
		close(op->cancel.fd);
	pthread_cond_destroy(&op->changed);
	pthread_mutex_destroy(&op->lock);
	free(op);
}

const char *op_id(const struct op *op)
{
	return op->id;
}

const struct op_kind *op_kind(const struct op *op)
{
	return op->kind;
}

const char *op_workspace(const struct op *op)
{
	return op->workspace;
}

const cJSON *op_input(const struct op *op)
{
	return op->input;
}

const cJSON *op_caller(const struct op *op)
{
	return op->caller;
}

bool op_recovered(const struct op *op)
{
	return op->recovered;
}

const cJSON *op_journal(const struct op *op)
{
	return op->journal;
}

struct docker_cancel *op_cancel_flag(struct op *op)
{
	return &op->cancel;
}

void op_cancel(struct op *op, const char *why, bool stopping)
{
	pthread_mutex_lock(&op->lock);
	if (!op->why && !op->ended) {
		op->why = xstrdup(why);
		op->stopping = stopping;
		atomic_store(&op->cancel.set, true);
		if (op->cancel.fd >= 0)
			eventfd_write(op->cancel.fd, 1);
	}
	pthread_mutex_unlock(&op->lock);
}

int op_check(struct op *op, struct perry_err **err)
{
	if (!atomic_load(&op->cancel.set))
		return 0;
	pthread_mutex_lock(&op->lock);
	perry_fail(err, PERRY_ECANCELLED, "%s", op->why);
	pthread_mutex_unlock(&op->lock);
	return -1;
}

bool op_stopping(struct op *op)
{
	pthread_mutex_lock(&op->lock);
	bool stopping = op->stopping;
	pthread_mutex_unlock(&op->lock);
	return stopping;
}

static cJSON *new_event(const struct op *op, const char *kind)
{
	cJSON *ev = cJSON_CreateObject();
	json_set_str(ev, "kind", kind);
	json_set_str(ev, "operation", op->id);
	json_set_str(ev, "action", op->kind->name);
	json_set_str(ev, "workspace", op->workspace);
	return ev;
}

static cJSON *error_json(const struct perry_err *e)
{
	const struct perry_code_row *row = perry_code_row(e->code);
	cJSON *j = cJSON_CreateObject();
	json_set_str(j, "code", row->api_code);
	json_set_int(j, "status", row->http_status);
	json_set_str(j, "message", perry_msg(e));
	if (e->data)
		json_set(j, "data", cJSON_Duplicate(e->data, 1));
	return j;
}

void op_publish(struct op *op, const char *state, const char *step)
{
	cJSON *ev = new_event(op, "operation");
	json_set_str(ev, "state", state);
	json_set_str(ev, "step", step);
	json_set(ev, "caller", cJSON_Duplicate(op->caller, 1));
	hub_publish(op->ops->setup.hub, ev, 1);
}

/* Shown as "startup" of the workspace only while it is being brought up. */
static bool is_startup(const struct op *op)
{
	return op->workspace && op->kind->brings_up;
}

static void show_startup(struct op *op)
{
	if (!is_startup(op) || !op->ops->setup.fleet)
		return;
	char now[32];
	clock_iso(clock_ms(), now);
	cleanup_json cJSON *startup = cJSON_CreateObject();
	pthread_mutex_lock(&op->lock);
	json_set(startup, "steps", cJSON_Duplicate(op->steps, 1));
	pthread_mutex_unlock(&op->lock);
	json_set_str(startup, "updatedAt", now);
	fleet_put_startup(op->ops->setup.fleet, op->workspace, startup);
}

/* Under op->lock. */
static cJSON *find_step(struct op *op, const char *id)
{
	cJSON *step;
	cJSON_ArrayForEach(step, op->steps)
		if (str_eq(json_str(step, "id"), id))
			return step;
	step = cJSON_CreateObject();
	json_set_str(step, "id", id);
	json_push(op->steps, step);
	return step;
}

static bool is_over(const char *status)
{
	return strcmp(status, "done") == 0 || strcmp(status, "skipped") == 0;
}

/* A step that runs again says again what is wrong with it, if it still is. */
static bool still_holds(const struct op *op, const cJSON *warning)
{
	const cJSON *step;
	cJSON_ArrayForEach(step, op->steps)
		if (str_eq(json_str(step, "id"), json_str(warning, "step")))
			return is_over(json_str_or(step, "status", ""));
	return true;
}

void op_restore_steps(struct op *op)
{
	const cJSON *old;
	cJSON_ArrayForEach(old, json_at(op->journal, "steps")) {
		cJSON *step = cJSON_CreateObject();
		json_set_str(step, "id", json_str(old, "id"));
		json_set_str(step, "label", json_str(old, "label"));
		json_set_str(step, "status", json_str(old, "status"));
		json_push(op->steps, step);
	}
	cJSON_ArrayForEach(old, json_at(op->journal, "warnings"))
		if (still_holds(op, old))
			json_push(op->warnings, cJSON_Duplicate(old, 1));
}

void op_steps(struct op *op, const cJSON *steps)
{
	const cJSON *known;
	cleanup_json cJSON *patch = cJSON_CreateObject();
	pthread_mutex_lock(&op->lock);
	cJSON_ArrayForEach(known, steps) {
		cJSON *step = find_step(op, json_str_or(known, "id", ""));
		json_set_str(step, "label", json_str(known, "label"));
		if (!json_str(step, "status"))
			json_set_str(step, "status", json_str_or(known, "status", "pending"));
	}
	pthread_mutex_unlock(&op->lock);
	json_set(patch, "steps", cJSON_Duplicate(steps, 1));
	store_op_patch_post(op->ops->setup.store, op->id, patch);
	show_startup(op);
}

static char *note_step(struct op *op, const char *id, const char *status, const char *message)
{
	pthread_mutex_lock(&op->lock);
	cJSON *step = find_step(op, id);
	json_set_str(step, "status", status);
	json_set_str(step, "message", message);
	char *label = xstrdup(json_str(step, "label"));
	if (strcmp(status, "running") == 0) {
		free(op->step);
		op->step = xstrdup(id);
	}
	pthread_mutex_unlock(&op->lock);
	return label;
}

static bool ends_well(const char *status)
{
	return is_over(status) || strcmp(status, "pending") == 0;
}

static bool has_warned(const struct op *op, const char *id)
{
	const cJSON *w;
	cJSON_ArrayForEach(w, op->warnings)
		if (str_eq(json_str(w, "step"), id))
			return true;
	return false;
}

int op_step(struct op *op, const char *id, const char *status, const char *message, const cJSON *data,
	    struct perry_err **err)
{
	/* What breaks off because the agent stops has not failed: it stays "running" in the journal and goes on at the
	 * next start. */
	if (op_stopping(op) && !ends_well(status) && strcmp(status, "running") != 0)
		return 0;
	cleanup_free char *label = note_step(op, id, status, message);
	struct store *store = op->ops->setup.store;
	if (ends_well(status) && !data)
		store_op_step_post(store, op->id, id, label, status, message);
	else if (store_op_step(store, op->id, id, label, status, message, data, err))
		return -1;
	log_debug("operations", "%s of %s: %s is %s", op->kind->name, op->workspace ? op->workspace : "everything", id,
		  status);
	show_startup(op);
	cJSON *ev = new_event(op, "step");
	json_set_str(ev, "step", id);
	json_set_str(ev, "label", label);
	json_set_str(ev, "status", status);
	json_set_str(ev, "message", message);
	if (strcmp(status, "done") == 0 && has_warned(op, id))
		json_set_bool(ev, "warned", true);
	hub_publish(op->ops->setup.hub, ev, 1);
	return 0;
}

/* Texts come from programs inside: keys are masked, as they are kept, and they are cut, at a whole character. */
static void set_text(cJSON *to, const char *key, const char *text)
{
	cleanup_buf struct buf b = { 0 };
	buf_adds(&b, text ? text : "");
	redact(&b);
	size_t n = b.len;
	if (n > WARNING_MAX)
		for (n = WARNING_MAX; n && ((unsigned char)b.data[n] & 0xc0) == 0x80;)
			n--;
	if (n)
		json_set_strn(to, key, b.data, n);
}

static bool is_known(const struct op *op, const cJSON *warning)
{
	const cJSON *w;
	cJSON_ArrayForEach(w, op->warnings)
		if (str_eq(json_str(w, "step"), json_str(warning, "step")) &&
		    str_eq(json_str(w, "message"), json_str(warning, "message")))
			return true;
	return false;
}

void op_warn(struct op *op, const char *step, const char *message, const char *mend)
{
	cleanup_json cJSON *w = cJSON_CreateObject(), *patch = cJSON_CreateObject();
	int count = cJSON_GetArraySize(op->warnings);
	json_set_str(w, "step", step);
	set_text(w, "message", message);
	set_text(w, "mend", mend);
	if (is_known(op, w))
		return;
	log_warn(op->workspace ? op->workspace : "operations", "%s%s%s", message, mend ? "; " : "", mend ? mend : "");
	if (count > WARNINGS_MAX)
		return;
	if (count == WARNINGS_MAX) {
		json_set_str(w, "message", "there are more warnings; the agent's log has all of them");
		json_set(w, "mend", NULL);
	}
	json_push(op->warnings, take_ptr(w));
	/* The step's own end comes after it in the journal. */
	json_set(patch, "warnings", cJSON_Duplicate(op->warnings, 1));
	store_op_patch_post(op->ops->setup.store, op->id, patch);
}

const cJSON *op_warnings(const struct op *op)
{
	return op->warnings->child ? op->warnings : NULL;
}

void op_progress(struct op *op, const char *step, const char *line)
{
	cJSON *ev = new_event(op, "progress");
	json_set_str(ev, "step", step);
	json_set_strn(ev, "line", line, strlen(line));
	hub_publish(op->ops->setup.hub, ev, 0);
}

int op_save_plan(struct op *op, const cJSON *plan, struct perry_err **err)
{
	cleanup_json cJSON *patch = cJSON_CreateObject();
	json_set(patch, "plan", cJSON_Duplicate(plan, 1));
	return store_op_patch(op->ops->setup.store, op->id, patch, err);
}

void op_on_end(struct op *op, void (*fn)(void *ctx, struct op *op), void *ctx)
{
	pthread_mutex_lock(&op->lock);
	bool ended = op->ended;
	if (!ended) {
		struct op_end *e = xcalloc(1, sizeof *e);
		e->fn = fn;
		e->ctx = ctx;
		e->next = op->on_end;
		op->on_end = e;
	}
	pthread_mutex_unlock(&op->lock);
	if (ended)
		fn(ctx, op);
}

int op_wait(struct op *op, int timeout_ms)
{
	struct timespec until = clock_deadline(timeout_ms);
	int rc = 0;
	pthread_mutex_lock(&op->lock);
	while (!op->ended && rc != ETIMEDOUT)
		rc = timeout_ms < 0 ? pthread_cond_wait(&op->changed, &op->lock)
				    : pthread_cond_timedwait(&op->changed, &op->lock, &until);
	bool ended = op->ended;
	pthread_mutex_unlock(&op->lock);
	return ended ? 0 : -1;
}

static bool has_ended(const struct op *op)
{
	struct op *o = (struct op *)op;
	pthread_mutex_lock(&o->lock);
	bool ended = o->ended;
	pthread_mutex_unlock(&o->lock);
	return ended;
}

const cJSON *op_result(const struct op *op)
{
	return has_ended(op) ? op->result : NULL;
}

const struct perry_err *op_error(const struct op *op)
{
	return has_ended(op) ? op->err : NULL;
}

/* How it ended, for the journal and the event. */
static const char *end_state(const struct op *op, const struct perry_err *e)
{
	if (!e)
		return "done";
	return op->why || e->code == PERRY_ECANCELLED ? "cancelled" : "failed";
}

/* The error that everybody sees: of a cancelled operation the reason, whatever the interrupted call said. */
static struct perry_err *end_error(const struct op *op, struct perry_err *take_err)
{
	if (!take_err || !op->why)
		return take_err;
	struct perry_err *e = NULL;
	if (op->stopping)
		perry_fail(&e, PERRY_EUNAVAILABLE, "the agent is stopping; %s of %s goes on when it is back",
			   op->kind->name, op->workspace ? op->workspace : "everything");
	else
		perry_fail(&e, PERRY_ECANCELLED, "%s", op->why);
	perry_err_free(take_err);
	return e;
}

/* What came of it, as the journal and the last event have it. */
static void put_outcome(const struct op *op, cJSON *to, const char *state, const struct perry_err *e)
{
	json_set_str(to, "state", state);
	if (e)
		json_set(to, "error", error_json(e));
	if (op_warnings(op))
		json_set(to, "warnings", cJSON_Duplicate(op->warnings, 1));
}

/* Under no lock, before the claim goes: the journal must say how it ended before another operation on the workspace
 * begins. */
static void record_end(struct op *op, const char *state, const struct perry_err *e, const cJSON *result)
{
	cleanup_json cJSON *patch = cJSON_CreateObject();
	cleanup_err struct perry_err *err = NULL;
	json_set(patch, "warnings", cJSON_CreateNull()); /* of steps that an earlier life had not done */
	put_outcome(op, patch, state, e);
	json_set_int(patch, "ended", clock_ms());
	if (!e && result)
		json_set(patch, "result", cJSON_Duplicate(result, 1));
	if (store_op_patch(op->ops->setup.store, op->id, patch, &err)) {
		log_error("operations", "%s of %s ended but that could not be recorded: %s", op->kind->name,
			  op->workspace ? op->workspace : "everything", perry_msg(err));
		ops_lost_add(op->ops, op, take_ptr(patch));
	}
}

static void put_request(const struct op *op, cJSON *record)
{
	json_set_str(record, "id", op->id);
	json_set_str(record, "kind", op->kind->name);
	json_set_str(record, "workspace", op->workspace);
	json_set(record, "request", cJSON_Duplicate(op->input, 1));
	json_set(record, "caller", cJSON_Duplicate(op->caller, 1));
	json_set_int(record, "started", op->started);
}

bool op_amend(const struct op *op, cJSON **record)
{
	if (!has_ended(op) || op->left_open)
		return false;
	if (!*record) {
		*record = cJSON_CreateObject();
		put_request(op, *record);
	}
	put_outcome(op, *record, end_state(op, op->err), op->err);
	if (op->result)
		json_set(*record, "result", cJSON_Duplicate(op->result, 1));
	return true;
}

void op_end(struct op *op, cJSON *take_result, struct perry_err *take_err)
{
	struct ops *o = op->ops;
	pthread_mutex_lock(&op->lock);
	struct perry_err *e = end_error(op, take_err);
	const char *state = end_state(op, e);
	op->left_open = e && op->stopping;
	bool left_open = op->left_open || !op->journalled;
	pthread_mutex_unlock(&op->lock);
	if (!left_open)
		record_end(op, state, e, take_result);
	if (is_startup(op) && o->setup.fleet)
		fleet_put_startup(o->setup.fleet, op->workspace, NULL);
	cJSON *ev = left_open ? NULL : new_event(op, "operation");
	if (ev) {
		put_outcome(op, ev, state, e);
		json_set(ev, "caller", cJSON_Duplicate(op->caller, 1));
	}
	ops_release(o, op);
	if (ev)
		hub_publish(o->setup.hub, ev, 1);
	pthread_mutex_lock(&op->lock);
	/* Nobody waits on it any more, and ended operations are kept for a while. */
	if (op->cancel.fd >= 0)
		close(op->cancel.fd);
	op->cancel.fd = -1;
	op->result = e ? NULL : take_result;
	op->err = e;
	op->ended = true;
	struct op_end *list = take_ptr(op->on_end);
	pthread_cond_broadcast(&op->changed);
	pthread_mutex_unlock(&op->lock);
	if (e)
		cJSON_Delete(take_result);
	while (list) {
		struct op_end *next = list->next;
		list->fn(list->ctx, op);
		free(list);
		list = next;
	}
}
