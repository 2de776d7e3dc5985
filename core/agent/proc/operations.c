/* Procedures on operations and past events. */
#include <string.h>

#include "agent/internal.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "agent/view.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ops/ops.h"
#include "store/store.h"

static bool among(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

static bool has_ended(const cJSON *op)
{
	static const char *const ended[] = { "done", "failed", "cancelled", NULL };
	return among(json_str_or(op, "state", ""), ended);
}

/* What the operation itself gave, while it is remembered; the caller's. */
static cJSON *own_result(struct agent *a, const cJSON *record)
{
	struct op *op = ops_find(a->ops, json_str_or(record, "id", ""));
	cJSON *out = op && op_result(op) ? cJSON_Duplicate(op_result(op), 1) : NULL;
	if (op)
		op_unref(op);
	return out;
}

/* What the call that waited would have got; NULL while it runs or when it failed. */
static cJSON *result_of(struct agent *a, const cJSON *record)
{
	static const char *const views[] = { "create", "start", "stop", "restart", "clone", NULL };
	static const char *const successes[] = { "delete", "sync", NULL };
	const char *kind = json_str_or(record, "kind", ""), *name = json_str_or(record, "workspace", "");
	cJSON *out = NULL;
	if (strcmp(json_str_or(record, "state", ""), "done") != 0)
		return NULL;
	if (among(kind, views)) {
		workspace_get_view(a, name, false, &out, NULL);
	} else if (among(kind, successes)) {
		out = cJSON_CreateObject();
		json_set_bool(out, "success", true);
		cleanup_json cJSON *own = own_result(a, record);
		json_set(out, "tailnet", own ? cJSON_DetachItemFromObjectCaseSensitive(own, "tailnet") : NULL);
	} else {
		out = own_result(a, record);
	}
	return out;
}

static cJSON *operation_view(struct call *c, cJSON *take_record)
{
	/* The request may hold secrets in its environment, and the plan is what `explain` is for. */
	cJSON_DeleteItemFromObjectCaseSensitive(take_record, "plan");
	cJSON *env = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(take_record, "request"), "env"),
	      *v;
	cJSON_ArrayForEach(v, env)
		if (cJSON_IsString(v) && !c->caller.owner)
			cJSON_SetValuestring(v, "********");
	cJSON *result = result_of(c->a, take_record);
	if (result)
		json_set(take_record, "result", result);
	return take_record;
}

int proc_operations_list(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *name = call_str(c, "workspace");
	cleanup_json cJSON *records = NULL;
	cJSON *record;
	if (!name) {
		*out = ops_running(c->a->ops);
		return 0;
	}
	if (store_ops_of(c->a->store, name, (int)json_int_or(c->input, "limit", 50), &records, err) < 0)
		return -1;
	*out = cJSON_CreateArray();
	while ((record = cJSON_DetachItemFromArray(records, 0)))
		json_push(*out, operation_view(c, record));
	return 0;
}

static int get_operation(struct call *c, cJSON **out, struct perry_err **err)
{
	cJSON *record = NULL;
	if (store_op_get(c->a->store, call_str(c, "id"), &record, err) < 0)
		return -1;
	*out = operation_view(c, record);
	return 0;
}

int proc_operations_get(struct call *c, cJSON **out, struct perry_err **err)
{
	return get_operation(c, out, err);
}

static int finish_wait(struct call *c, struct op *op, cJSON **out, struct perry_err **err)
{
	(void)op;
	return get_operation(c, out, err);
}

int proc_operations_wait(struct call *c, cJSON **out, struct perry_err **err)
{
	if (get_operation(c, out, err) < 0)
		return -1;
	if (has_ended(*out))
		return 0;
	c->op = ops_find(c->a->ops, call_str(c, "id"));
	if (!c->op) /* it ended between the two looks */
		return 0;
	cJSON_Delete(take_ptr(*out));
	c->finish = finish_wait;
	c->finish_always = true;
	return 0;
}

int proc_operations_cancel(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_free char *why = xasprintf("cancelled by %s", c->caller.login);
	if (ops_cancel(c->a->ops, call_str(c, "id"), why, err) < 0)
		return -1;
	*out = cJSON_CreateObject();
	json_set_bool(*out, "success", true);
	return 0;
}

int proc_events_list(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *text = call_str(c, "since"), *name = call_str(c, "workspace");
	int64_t since = text ? clock_since(text) : json_int_or(c->input, "since", 0);
	cJSON *events = NULL, *next;
	if (since < 0)
		return perry_fail(err, PERRY_EINPUT, "since: expected a duration (5m, 2h) or a time, got \"%s\"", text);
	if (store_events(c->a->store, json_int_or(c->input, "after", 0), since,
			 (int)json_int_or(c->input, "limit", 1000), &events, err) < 0)
		return -1;
	for (cJSON *e = events->child; e; e = next) {
		next = e->next;
		if (name && strcmp(json_str_or(e, "workspace", ""), name) != 0)
			cJSON_Delete(cJSON_DetachItemViaPointer(events, e));
	}
	*out = events;
	return 0;
}
