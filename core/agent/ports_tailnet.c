#include "agent/ports_tailnet.h"

#include <string.h>

#include "agent/internal.h"
#include "base/log.h"
#include "base/mem.h"
#include "ops/fleet.h"
#include "ops/hub.h"
#include "ops/ops.h"
#include "store/store.h"

/* An operation that joins, leaves or stops writes the record itself, and what it does to the node is no news. */
static bool is_in_hand(struct agent *a, const char *workspace)
{
	cleanup_json cJSON *running = ops_running(a->ops);
	const cJSON *op;
	cJSON_ArrayForEach(op, running) {
		const struct op_kind *kind = op_kind_find(json_str(op, "kind"));
		if (str_eq(json_str(op, "workspace"), workspace) && (kind->brings_up || kind->cancels))
			return true;
	}
	return false;
}

static const char *trouble_of(const char *state)
{
	if (strcmp(state, "NeedsLogin") == 0)
		return "the node is logged out or its key has expired";
	if (strcmp(state, "NeedsMachineAuth") == 0)
		return "the node waits for the approval of the tailnet's administrator";
	if (strcmp(state, "Stopped") == 0)
		return "it was taken off the tailnet from inside (tailscale down or logout)";
	return NULL; /* on its way */
}

/* tailscaled's own word on it, where that says more than that it does not run. */
static const char *reason_of(const cJSON *state, const char *otherwise)
{
	static const char lead[] = "You are logged out. The last login error was: ";
	const cJSON *line;
	cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(state, "health"))
		if (str_starts(line->valuestring, lead))
			return line->valuestring + sizeof lead - 1;
	return otherwise;
}

static void set_texts(cJSON *t, const cJSON *state)
{
	static const char *const keys[] = { "dnsName", "ip", "nodeId" };
	const char *dns = json_str(state, "dnsName");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (json_str(state, keys[i]))
			json_set_str(t, keys[i], json_str(state, keys[i]));
	if (dns) {
		cleanup_free char *host = xstrndup(dns, strcspn(dns, "."));
		json_set_str(t, "hostname", host);
	}
	const cJSON *expiry = cJSON_GetObjectItemCaseSensitive(state, "keyExpiry");
	json_set(t, "keyExpiry", expiry ? cJSON_Duplicate(expiry, 1) : NULL);
}

/* The record's new "tailnet", or NULL when there is nothing to change. */
static cJSON *changed(const cJSON *record, const cJSON *state, const char *workspace)
{
	const cJSON *have = cJSON_GetObjectItemCaseSensitive(record, "tailnet");
	const char *now = json_str_or(state, "state", ""), *was = json_str_or(have, "state", "none"),
		   *why = trouble_of(now);
	cleanup_json cJSON *t = have ? cJSON_Duplicate(have, 1) : NULL;
	if (!t || strcmp(was, "none") == 0 || strcmp(was, "pending") == 0)
		return NULL;
	if (strcmp(now, "Running") == 0) {
		set_texts(t, state);
		json_set_str(t, "state", "connected");
		json_set_str(t, "error", NULL);
		json_set_str(t, "mend", NULL);
	} else if (why && strcmp(was, "connected") == 0) {
		cleanup_free char *mend = xasprintf("perry restart %s", workspace);
		json_set_str(t, "state", "failed");
		json_set_str(t, "error", reason_of(state, why));
		json_set_str(t, "mend", mend);
	}
	return json_equal(t, have) ? NULL : take_ptr(t);
}

static void publish(struct agent *a, const char *workspace, const cJSON *t)
{
	static const char *const keys[] = { "state", "hostname", "dnsName", "ip", "error", "mend" };
	cJSON *ev = cJSON_CreateObject();
	json_set_str(ev, "kind", "tailnet");
	json_set_str(ev, "workspace", workspace);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		json_set_str(ev, keys[i], json_str(t, keys[i]));
	if (json_int_or(t, "keyExpiry", 0))
		json_set_int(ev, "keyExpiry", json_int_or(t, "keyExpiry", 0));
	hub_publish(a->hub, ev, 1);
}

void agent_tailnet_state(void *agent, const char *workspace, const cJSON *state)
{
	struct agent *a = agent;
	cleanup_json cJSON *record = NULL, *fresh = NULL;
	cleanup_err struct perry_err *err = NULL;
	if (fleet_get(a->fleet, workspace, &record, NULL) < 0 || is_in_hand(a, workspace))
		return;
	cJSON *t = changed(record, state, workspace);
	if (!t)
		return;
	cleanup_json cJSON *change = cJSON_CreateObject();
	json_set(change, "tailnet", t);
	/* What is not there any more has to be taken away by name: a change is merged. */
	static const char *const may_go[] = { "error", "mend", "keyExpiry" };
	for (size_t i = 0; i < ARRAY_LEN(may_go); i++)
		if (!cJSON_GetObjectItemCaseSensitive(t, may_go[i]))
			cJSON_AddItemToObject(t, may_go[i], cJSON_CreateNull());
	if (store_ws_patch(a->store, workspace, change, &fresh, &err) < 0) {
		log_warn("ports", "%s: its tailnet state is not noted: %s", workspace, perry_msg(err));
		return;
	}
	fleet_put(a->fleet, workspace, fresh);
	publish(a, workspace, json_at(fresh, "tailnet"));
}
