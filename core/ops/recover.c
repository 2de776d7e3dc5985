/* After a crash or a stop: what the journal holds as open goes on, in its old order and with its old id. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ops/priv.h"
#include "store/store.h"

/* One that took the agent down with it this often is given up. */
#define ATTEMPTS_MAX 10

/* The next open operation on the same workspace, or NULL. */
static const cJSON *later_on(const cJSON *record)
{
	const char *workspace = json_str(record, "workspace");
	for (const cJSON *r = record->next; r && workspace; r = r->next)
		if (str_eq(json_str(r, "workspace"), workspace))
			return r;
	return NULL;
}

static const char *step_of(const cJSON *record)
{
	const cJSON *step;
	cJSON_ArrayForEach(step, json_at(record, "steps")) {
		const char *status = json_str_or(step, "status", "");
		if (strcmp(status, "done") != 0 && strcmp(status, "skipped") != 0)
			return json_str(step, "id");
	}
	return NULL;
}

static void give_up(struct ops *o, const char *id, const char *state, enum perry_code code, const char *text)
{
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *patch = cJSON_CreateObject();
	json_set_str(patch, "state", state);
	json_set_int(patch, "ended", clock_ms());
	cJSON *error = json_obj(patch, "error");
	json_set_str(error, "code", perry_code_row(code)->api_code);
	json_set_int(error, "status", perry_code_row(code)->http_status);
	json_set_str(error, "message", text);
	if (store_op_patch(o->setup.store, id, patch, &err))
		log_warn("operations", "%s: %s", id, perry_msg(err));
}

/* False when it is not to be taken up again. */
static bool worth_it(struct ops *o, const cJSON *record)
{
	const char *id = json_str(record, "id"), *kind = json_str_or(record, "kind", "");
	if (!op_kind_find(kind)) {
		/* A newer version's. */
		cleanup_free char *text = xasprintf("there is no operation \"%s\" in this version", kind);
		log_error("operations", "%s: %s", json_str_or(record, "workspace", "everything"), text);
		give_up(o, id, "failed", PERRY_EINTERNAL, text);
		return false;
	}
	if (json_int_or(record, "attempts", 0) >= ATTEMPTS_MAX) {
		cleanup_free char *text = xasprintf("%s was taken up %d times and never ended", kind, ATTEMPTS_MAX);
		log_error("operations", "%s: %s", json_str_or(record, "workspace", "everything"), text);
		give_up(o, id, "failed", PERRY_EINTERNAL, text);
		return false;
	}
	cleanup_json cJSON *patch = cJSON_CreateObject();
	json_set_int(patch, "attempts", json_int_or(record, "attempts", 0) + 1);
	store_op_patch_post(o->setup.store, id, patch);
	return true;
}

/* Under o->lock: the last one that was taken up for a workspace, or NULL. */
static struct op *last_on(struct ops *o, const char *workspace)
{
	struct op *last = NULL;
	for (struct op *op = o->active; op; op = op->next)
		if (workspace && str_eq(op->workspace, workspace))
			last = op;
	return last;
}

/* One that was being cancelled for a later one is cancelled again: it undoes what it had begun, as it would have, and
 * the later one comes after it. */
static void take_up(struct ops *o, const cJSON *record)
{
	const cJSON *later = later_on(record);
	struct op *op = op_new(o, op_kind_find(json_str(record, "kind")), json_str(record, "workspace"),
			       json_at(record, "request"), json_at(record, "caller"));
	snprintf(op->id, sizeof op->id, "%s", json_str(record, "id"));
	op->started = json_int_or(record, "started", op->started);
	op->journal = cJSON_Duplicate(record, 1);
	op->recovered = strcmp(json_str_or(record, "state", ""), "running") == 0;
	op->journalled = true;
	op_restore_steps(op);
	const char *step = step_of(record);
	log_info("operations", "%s of %s goes on%s%s", op->kind->name, op->workspace ? op->workspace : "everything",
		 step ? " at " : "", step ? step : "");
	op_publish(op, "recover", step);
	if (later) {
		cleanup_free char *why =
			xasprintf("cancelled by %s of the same workspace", json_str_or(later, "kind", "?"));
		op_cancel(op, why, false);
	}
	pthread_mutex_lock(&o->lock);
	ops_claim(o, op, last_on(o, op->workspace));
	pthread_mutex_unlock(&o->lock);
	ops_enter(o, op);
	op_unref(op);
}

int ops_recover(struct ops *o, struct perry_err **err)
{
	cleanup_json cJSON *records = NULL;
	const cJSON *record;
	int count = 0;
	if (store_ops_open(o->setup.store, &records, err))
		return -1;
	cJSON_ArrayForEach(record, records) {
		if (!worth_it(o, record))
			continue;
		take_up(o, record);
		count++;
	}
	return count;
}
