/* Procedures on operations and past events. */
#include <string.h>

#include "agent/answer.h"
#include "agent/internal.h"
#include "agent/proc/hide.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ops/ops.h"
#include "store/store.h"

static bool has_ended(const cJSON *op)
{
	static const char *const ended[] = { "done", "failed", "cancelled" };
	for (size_t i = 0; i < ARRAY_LEN(ended); i++)
		if (str_eq(json_str(op, "state"), ended[i]))
			return true;
	return false;
}

static cJSON *operation_view(struct call *c, cJSON *take_record)
{
	/* The request may hold secrets in its environment, and the plan is what `explain` is for. */
	cJSON_DeleteItemFromObjectCaseSensitive(take_record, "plan");
	call_hide_values(
		c, cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(take_record, "request"), "env"));
	answer_into(c->a, take_record);
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
	cleanup_err struct perry_err *why = NULL;
	/* What could not be recorded has ended all the same. */
	if (store_op_get(c->a->store, call_str(c, "id"), &record, &why) < 0 || !has_ended(record)) {
		struct op *op = ops_find(c->a->ops, call_str(c, "id"));
		if (op && op_amend(op, &record))
			perry_err_free(take_ptr(why));
		op_unref(op);
	}
	if (why)
		return perry_move(err, take_ptr(why));
	*out = operation_view(c, record);
	return 0;
}

int proc_operations_get(struct call *c, cJSON **out, struct perry_err **err)
{
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
	c->finish = get_operation;
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
