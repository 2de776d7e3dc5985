#include "agent/view.h"

#include <string.h>

#include "agent/internal.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ops/fleet.h"

static void put_iso(cJSON *out, const char *key, int64_t ms)
{
	char text[32];
	if (ms <= 0)
		return;
	clock_iso(ms, text);
	json_set_str(out, key, text);
}

static void put_time(cJSON *out, const char *key, const cJSON *record)
{
	put_iso(out, key, json_int_or(record, key, 0));
}

static cJSON *ports_view(const cJSON *record)
{
	cJSON *ports = cJSON_CreateObject();
	const cJSON *forwards = json_at(record, "ports.forwards");
	/* None serves it: one that was claimed before is no way in. */
	json_set_int(ports, "ssh", json_str(record, "sshMissing") ? 0 : json_int_or(record, "ports.ssh", 0));
	if (cJSON_GetArraySize(forwards) > 0)
		json_set(ports, "forwards", cJSON_Duplicate(forwards, 1));
	return ports;
}

/* A container that vanished behind our back is an error that `start` mends; clients know four states. */
static const char *status_of(const cJSON *record)
{
	static const char *const known[] = { "running", "stopped", "creating", "error" };
	const char *status = json_str_or(record, "status", "error");
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(status, known[i]) == 0)
			return known[i];
	/* The engine has not said anything yet: as it should be; copy_error says so. */
	if (strcmp(status, "unknown") == 0)
		return str_eq(json_str(record, "desired"), "running") ? "running" : "stopped";
	return "error";
}

static void copy(cJSON *out, const cJSON *record, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(record, key);
	if (v && !cJSON_IsNull(v) && !cJSON_IsFalse(v) && !((cJSON_IsObject(v) || cJSON_IsArray(v)) && !v->child))
		json_set(out, key, cJSON_Duplicate(v, 1));
}

static void copy_error(cJSON *out, const cJSON *record)
{
	const cJSON *e = cJSON_GetObjectItemCaseSensitive(record, "error");
	const char *text = cJSON_IsString(e) ? e->valuestring : json_str(e, "message");
	if (text)
		json_set_str(out, "error", text);
	else if (strcmp(json_str_or(record, "status", ""), "missing") == 0)
		json_set_str(out, "error", "its container is gone; start makes a new one, with the home as it was");
	else if (strcmp(json_str_or(record, "status", ""), "unknown") == 0)
		json_set_str(out, "error", "the container engine has not answered yet");
}

/* How it stands on the tailnet, as of its last start: one that is stopped is not there. */
static void put_tailscale(cJSON *out, const cJSON *record)
{
	static const char *const words[][2] = { { "connected", "connected" },
						{ "failed", "failed" },
						{ "pending", "connecting" } };
	const cJSON *t = cJSON_GetObjectItemCaseSensitive(record, "tailnet");
	const char *state = json_str_or(t, "state", "none"), *status = "none";
	if (!t)
		return;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i][0], state) == 0 && strcmp(status_of(record), "stopped") != 0)
			status = words[i][1];
	cJSON *view = cJSON_CreateObject();
	json_set_str(view, "status", status);
	if (strcmp(status, "connected") == 0) {
		copy(view, t, "hostname");
		copy(view, t, "dnsName");
		copy(view, t, "ip");
		put_time(view, "keyExpiry", t);
	} else if (strcmp(status, "failed") == 0) {
		copy(view, t, "error");
		copy(view, t, "mend");
	}
	json_set(out, "tailscale", view);
}

cJSON *workspace_view(const cJSON *record, bool details)
{
	cJSON *out = cJSON_CreateObject();
	json_set_str(out, "name", json_str_or(record, "name", ""));
	json_set_str(out, "status", status_of(record));
	json_set_str(out, "containerId", json_str_or(record, "containerId", ""));
	put_time(out, "created", record);
	const cJSON *repo = cJSON_GetObjectItemCaseSensitive(record, "repo");
	const char *url = cJSON_IsString(repo) ? repo->valuestring : json_str(repo, "url");
	if (url)
		json_set_str(out, "repo", url);
	json_set(out, "ports", ports_view(record));
	put_time(out, "lastUsed", record);
	put_tailscale(out, record);
	if (!details)
		return out;
	copy(out, record, "startup");
	copy(out, record, "branch");
	copy(out, record, "labels");
	copy(out, record, "outdated");
	copy(out, record, "sshMissing");
	copy(out, record, "ttl");
	if (json_int_or(record, "ttlFrom", 0) && str_eq(status_of(record), "running"))
		put_iso(out, "ttlEnds", json_int_or(record, "ttlFrom", 0) + json_int_or(record, "ttl", 0) * 1000);
	if (!str_eq(status_of(record), "running"))
		copy(out, record, "stopReason");
	copy_error(out, record);
	return out;
}

void workspace_put_limits(cJSON *out, const cJSON *record)
{
	static const char *const names[] = { "cpus", "memory", "pids" };
	const cJSON *plan = json_at(record, "plan.container");
	if (!plan)
		return; /* not made yet */
	cJSON *limits = json_obj(out, "limits");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		copy(limits, plan, names[i]);
}

int workspace_get_view(struct agent *a, const char *name, bool details, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	if (fleet_get(a->fleet, name, &record, err) < 0)
		return -1;
	*out = workspace_view(record, details);
	return 0;
}

char *workspace_view_text(const cJSON *record)
{
	cleanup_json cJSON *view = workspace_view(record, true);
	return json_print(view);
}

bool workspace_is_running(const cJSON *record)
{
	return strcmp(json_str_or(record, "status", ""), "running") == 0;
}
