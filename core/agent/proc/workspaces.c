/* Procedures on workspaces: looks are answered from the fleet, changes are operations. */
#include <string.h>

#include "agent/answer.h"
#include "agent/internal.h"
#include "agent/operations.h"
#include "agent/ports.h"
#include "agent/proc/hide.h"
#include "agent/proc/policy.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "agent/stream/stream.h"
#include "agent/view.h"
#include "agent/who/auth.h"
#include "base/clock.h"
#include "base/mem.h"
#include "docker/docker.h"
#include "ops/fleet.h"
#include "ops/ops.h"
#include "store/store.h"

int proc_workspaces_list(struct call *c, cJSON **out, struct perry_err **err)
{
	char *text = fleet_list_text(c->a->fleet);
	buf_adds(&c->raw, text);
	free(text);
	return 0;
}

/* The engine walks through every volume for this. Homes whose size it does not know are left out. */
int proc_workspaces_sizes(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *usage = NULL, *records = fleet_list(c->a->fleet), *sizes = cJSON_CreateObject();
	const cJSON *volume, *record;
	if (docker_call(c->a->docker, "GET", "/system/df?type=volume", NULL, 120000, &usage, err) < 0)
		return -1;
	cJSON_ArrayForEach(volume, cJSON_GetObjectItemCaseSensitive(usage, "Volumes")) {
		const char *name = json_str_or(volume, "Name", "");
		int64_t bytes = json_int_or(volume, "UsageData.Size", -1);
		if (!str_starts(name, "workspace-") || bytes < 0)
			continue;
		name += strlen("workspace-");
		cJSON_ArrayForEach(record, records)
			if (str_eq(json_str(record, "name"), name))
				json_set_int(sizes, name, bytes);
	}
	*out = take_ptr(sizes);
	return 0;
}

int proc_workspaces_get(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	if (call_workspace(c, "name", &record, err) < 0)
		return -1;
	*out = workspace_view(record, true);
	if (json_str(record, "sshNobody"))
		json_set_str(*out, "sshNobody", json_str(record, "sshNobody"));
	/* The helper inside, which is of our own version; null while nothing runs. */
	cJSON_AddItemToObject(*out, "workerVersion",
			      workspace_is_running(record) ? cJSON_CreateString(PERRY_VERSION) : cJSON_CreateNull());
	workspace_put_limits(*out, record);
	agent_put_listeners(c->a, record, *out);
	return 0;
}

int proc_workspaces_inspect(struct call *c, cJSON **out, struct perry_err **err)
{
	if (call_workspace(c, "name", out, err) < 0)
		return -1;
	call_hide_values(c, cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(*out, "request"), "env"));
	call_hide_values(c, cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(*out, "plan"), "env"));
	return 0;
}

/* --- operations --- */

static int need_engine(struct call *c, struct perry_err **err)
{
	cleanup_free char *why = NULL;
	if (fleet_engine_up(c->a->fleet, &why))
		return 0;
	/* Just started: its first answer is on its way. */
	if (!why && fleet_wait_ready(c->a->fleet, 5000))
		return 0;
	return perry_fail(err, PERRY_EUNAVAILABLE, "Docker is unreachable: %s", why ? why : "it has not answered yet");
}

/* The input without what names the workspace. */
static cJSON *request_of(const struct call *c)
{
	cJSON *request = c->input ? cJSON_Duplicate(c->input, 1) : cJSON_CreateObject();
	cJSON_DeleteItemFromObjectCaseSensitive(request, "name");
	cJSON_DeleteItemFromObjectCaseSensitive(request, "dryRun");
	return request;
}

static int submit(struct call *c, const char *kind, const char *name, struct perry_err **err)
{
	cleanup_json cJSON *request = request_of(c), *caller = caller_json(&c->caller);
	if (need_engine(c, err) < 0)
		return -1;
	return ops_submit(c->a->ops, kind, name, request, caller, &c->op, err);
}

static int exists(struct call *c, const char *name)
{
	cleanup_json cJSON *record = NULL;
	return fleet_get(c->a->fleet, name, &record, NULL) == 0;
}

static int dry_run(struct call *c, const char *kind, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *request = request_of(c), *caller = caller_json(&c->caller);
	if (agent_plan(c->a, kind, call_str(c, "name"), request, caller, out, err) < 0)
		return -1;
	call_hide_values(c, cJSON_GetObjectItemCaseSensitive(*out, "env"));
	call_explain(c, *out, *out);
	return 0;
}

int proc_workspaces_create(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *name = call_str(c, "name");
	if (exists(c, name))
		return perry_fail(err, PERRY_ECONFLICT, "Workspace '%s' already exists", name);
	if (json_bool_or(c->input, "dryRun", false))
		return dry_run(c, "create", out, err);
	return submit(c, "create", name, err);
}

int proc_workspaces_start(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *name = call_str(c, "name"), *kind = exists(c, name) ? "start" : "create";
	if (json_bool_or(c->input, "dryRun", false))
		return dry_run(c, kind, out, err);
	return submit(c, "start", name, err);
}

int proc_workspaces_restart(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	if (call_workspace(c, "name", &record, err) < 0)
		return -1;
	if (json_bool_or(c->input, "dryRun", false))
		return dry_run(c, "restart", out, err);
	return submit(c, "restart", call_str(c, "name"), err);
}

static int end_streams(struct call *c, const char *name, int rc)
{
	if (rc == 0 && c->a->streams)
		streams_close_workspace(c->a->streams, name, 1001, "Workspace stopped");
	return rc;
}

int proc_workspaces_stop(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *name = call_str(c, "name");
	cleanup_json cJSON *record = NULL;
	if (call_workspace(c, "name", &record, err) < 0)
		return -1;
	return end_streams(c, name, submit(c, "stop", name, err));
}

/* Is an operation under way on it? A start has no record before its first step. */
static bool is_busy(struct call *c, const char *name)
{
	cleanup_json cJSON *running = ops_running(c->a->ops);
	const cJSON *op;
	cJSON_ArrayForEach(op, running)
		if (str_eq(json_str(op, "workspace"), name))
			return true;
	return false;
}

int proc_workspaces_delete(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *name = call_str(c, "name");
	cleanup_json cJSON *record = NULL;
	if (!is_busy(c, name) && call_workspace(c, "name", &record, err) < 0)
		return -1;
	return end_streams(c, name, submit(c, "delete", name, err));
}

int proc_workspaces_clone(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *name = call_str(c, "cloneName");
	cleanup_json cJSON *record = NULL;
	if (call_workspace(c, "sourceName", &record, err) < 0)
		return -1;
	if (exists(c, name))
		return perry_fail(err, PERRY_ECONFLICT, "Workspace '%s' already exists", name);
	return submit(c, "clone", name, err);
}

static int need_running(const cJSON *record, struct perry_err **err)
{
	if (workspace_is_running(record))
		return 0;
	return perry_fail(err, PERRY_ESTATE, "Workspace '%s' is not running", json_str_or(record, "name", "?"));
}

int proc_workspaces_sync(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	if (call_workspace(c, "name", &record, err) < 0 || need_running(record, err) < 0)
		return -1;
	return submit(c, "sync", call_str(c, "name"), err);
}

static cJSON *sync_result(const char *name, const struct perry_err *e)
{
	cJSON *r = cJSON_CreateObject();
	json_set_str(r, "name", name);
	json_set_bool(r, "success", !e);
	if (e)
		json_set_str(r, "error", perry_msg(e));
	return r;
}

int proc_workspaces_sync_all(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *records = fleet_list(c->a->fleet), *caller = caller_json(&c->caller),
			   *nothing = cJSON_CreateObject();
	cJSON *results = cJSON_CreateArray();
	const cJSON *record;
	int synced = 0, failed = 0;
	cJSON_ArrayForEach(record, records) {
		const char *name = json_str_or(record, "name", "");
		cleanup_err struct perry_err *e = NULL;
		struct op *op = NULL;
		if (!workspace_is_running(record))
			continue;
		bool ok = ops_submit(c->a->ops, "sync", name, nothing, caller, &op, &e) == 0 && op_wait(op, -1) == 0 &&
			  !op_error(op);
		cJSON *result = sync_result(name, ok ? NULL : op ? op_error(op) : e);
		if (op)
			answer_add_warnings(result, op_warnings(op));
		json_push(results, result);
		*(ok ? &synced : &failed) += 1;
		if (op)
			op_unref(op);
	}
	*out = cJSON_CreateObject();
	json_set_int(*out, "synced", synced);
	json_set_int(*out, "failed", failed);
	json_set(*out, "results", results);
	return 0;
}

int proc_workspaces_prune(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *request = c->input ? cJSON_Duplicate(c->input, 1) : cJSON_CreateObject(),
			   *caller = caller_json(&c->caller);
	if (need_engine(c, err) < 0)
		return -1;
	return ops_submit(c->a->ops, "prune", NULL, request, caller, &c->op, err);
}

int proc_workspaces_adopt(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *request = c->input ? cJSON_Duplicate(c->input, 1) : cJSON_CreateObject(),
			   *caller = caller_json(&c->caller);
	if (need_engine(c, err) < 0)
		return -1;
	return ops_submit(c->a->ops, "adopt", NULL, request, caller, &c->op, err);
}

/* --- small changes of the record --- */

static int patch(struct call *c, const cJSON *change, cJSON **out, struct perry_err **err)
{
	const char *name = call_str(c, "name");
	cleanup_json cJSON *record = NULL;
	if (store_ws_patch(c->a->store, name, change, &record, err) < 0)
		return -1;
	fleet_put(c->a->fleet, name, record);
	return workspace_get_view(c->a, name, false, out, err);
}

int proc_workspaces_touch(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *change = cJSON_CreateObject();
	json_set_int(change, "lastUsed", clock_ms());
	return patch(c, change, out, err);
}

int proc_workspaces_get_forwards(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	if (call_workspace(c, "name", &record, err) < 0)
		return -1;
	const cJSON *forwards = json_at(record, "ports.forwards");
	*out = cJSON_CreateObject();
	json_set(*out, "forwards", cJSON_IsArray(forwards) ? cJSON_Duplicate(forwards, 1) : cJSON_CreateArray());
	return 0;
}

int proc_workspaces_set_forwards(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *change = cJSON_CreateObject();
	json_set(json_obj(change, "ports"), "forwards",
		 cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(c->input, "forwards"), 1));
	return patch(c, change, out, err);
}

int proc_workspaces_update_worker(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	if (call_workspace(c, "name", &record, err) < 0 || need_running(record, err) < 0)
		return -1;
	*out = cJSON_CreateObject();
	json_set_bool(*out, "success", true);
	return 0;
}
