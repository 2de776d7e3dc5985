#include "agent/streams_agent.h"

#include <stdio.h>
#include <string.h>

#include "agent/config.h"
#include "agent/idle_agent.h"
#include "agent/internal.h"
#include "agent/jobs.h"
#include "agent/names.h"
#include "agent/operations.h"
#include "agent/stream/sessions.h"
#include "agent/stream/stream.h"
#include "agent/view.h"
#include "agent/who/auth.h"
#include "agent/who/decisions.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ops/fleet.h"
#include "ops/hub.h"
#include "store/store.h"

/* What is no name is not looked for: it is said what is wrong with it, as everywhere in the API. */
static int check_name(const char *workspace, struct perry_err **err)
{
	const char *problem = name_problem(workspace, true);
	if (!problem)
		return 0;
	perry_fail(err, PERRY_EINPUT, "Input validation failed");
	if (err) {
		cJSON *issue = cJSON_CreateObject(), *path = cJSON_CreateArray(), *issues = cJSON_CreateArray();
		json_push_str(path, "name");
		json_set_str(issue, "code", "custom");
		json_set(issue, "path", path);
		json_set_str(issue, "message", problem);
		cJSON_AddItemToArray(issues, issue);
		(*err)->data = cJSON_CreateObject();
		json_set((*err)->data, "issues", issues);
	}
	return -1;
}

static int resolve(void *ctx, const char *workspace, bool must_run, char container[65], struct perry_err **err)
{
	struct agent *a = ctx;
	cleanup_json cJSON *record = NULL;
	if (check_name(workspace, err) < 0 || fleet_get(a->fleet, workspace, &record, err) < 0)
		return -1;
	const char *id = json_str_or(record, "containerId", "");
	if (!*id || (must_run && !workspace_is_running(record)))
		return perry_fail(err, PERRY_ESTATE, "Workspace is not running");
	snprintf(container, 65, "%s", id);
	return 0;
}

static int admit(void *ctx, const cJSON *caller, const char *kind, const char *workspace, struct perry_err **err)
{
	struct agent *a = ctx;
	bool host = strcmp(workspace, STREAM_HOST) == 0;
	if (check_name(workspace, err) < 0)
		return -1;
	enum right needed = host ? RIGHT_ADMIN : RIGHT_USE;
	if (!caller_json_may(caller, needed))
		return perry_fail(err, PERRY_EFORBIDDEN, "This needs the right %s", right_name(needed));
	if (host || strcmp(kind, "logs") == 0)
		return 0;
	return agent_admit(a, strcmp(kind, "terminal") == 0 ? "shell" : "exec", workspace, caller, err);
}

static int authenticate(void *ctx, const char *token, cJSON **caller, struct perry_err **err)
{
	struct agent *a = ctx;
	struct caller c;
	if (!auth_check_token(a->auth, token, &c))
		return perry_fail(err, PERRY_EUNAUTH, "Authentication failed");
	if (!decisions_limit_known(a->decisions, &c))
		decisions_limit_find(a->decisions, &c);
	if (!c.rights)
		return perry_fail(err, PERRY_EFORBIDDEN, "%s", *c.why ? c.why : "Forbidden");
	*caller = caller_json(&c);
	return 0;
}

static char *shell(void *ctx, const char *workspace)
{
	struct config *c = agent_config(ctx);
	char *s = xstrdup(config_str(c, "terminal.preferredShell"));
	config_unref(c);
	return s;
}

static int64_t session_idle(void *ctx)
{
	struct config *c = agent_config(ctx);
	int64_t s = config_int(c, "terminal.idleTimeout");
	config_unref(c);
	return s;
}

static bool host_access(void *ctx)
{
	return agent_host_access(ctx);
}

static void used(void *ctx, const char *workspace)
{
	struct agent *a = ctx;
	cleanup_json cJSON *change = cJSON_CreateObject(), *record = NULL;
	json_set_int(change, "lastUsed", clock_ms());
	if (store_ws_patch(a->store, workspace, change, &record, NULL) == 0)
		fleet_put(a->fleet, workspace, record);
}

static void open_in(void *ctx, const char *workspace, enum stream_use use, int change)
{
	struct agent *a = ctx;
	idle_agent_open_in(a->idle, workspace, use, change);
}

/* --- sessions --- */

static bool running(void *ctx, const char *workspace, char container[65])
{
	struct agent *a = ctx;
	cleanup_json cJSON *record = NULL;
	if (fleet_get(a->fleet, workspace, &record, NULL) < 0 || !workspace_is_running(record))
		return false;
	snprintf(container, 65, "%s", json_str_or(record, "containerId", ""));
	return *container;
}

static void sessions(void *ctx, const char *workspace)
{
	struct agent *a = ctx;
	cJSON *ev = cJSON_CreateObject();
	json_set_str(ev, "kind", "sessions");
	json_set_str(ev, "workspace", workspace);
	json_set(ev, "sessions", sessions_look(a->streams, workspace));
	hub_publish(a->hub, ev, 0);
}

static void follow_all(void *arg)
{
	struct agent *a = arg;
	cleanup_json cJSON *records = fleet_list(a->fleet);
	const cJSON *record;
	cJSON_ArrayForEach(record, records)
		sessions_follow(a->streams, json_str_or(record, "name", ""));
}

/* Under the hub's lock. */
static void on_event(void *ctx, const cJSON *ev)
{
	struct agent *a = ctx;
	const char *ws = json_str(ev, "workspace"), *kind = json_str_or(ev, "kind", "");
	if (ws && strcmp(kind, "state") == 0)
		sessions_follow(a->streams, ws);
	else if (strcmp(kind, "engine") == 0)
		jobs_run(a->jobs, follow_all, a);
}

/* --- life --- */

void streams_agent_close(struct agent *a)
{
	if (a->session_states)
		hub_unsubscribe(take_ptr(a->session_states));
	if (a->streams)
		streams_stop(a->streams);
}

int streams_agent_open(struct agent *a, struct perry_err **err)
{
	const struct streams_setup setup = {
		.docker = a->docker,
		.resolve = resolve,
		.admit = admit,
		.authenticate = authenticate,
		.shell = shell,
		.session_idle = session_idle,
		.host_access = host_access,
		.used = used,
		.open = open_in,
		.running = running,
		.sessions = sessions,
		.ctx = a,
	};
	if (streams_open(&a->streams, &setup, err) < 0)
		return -1;
	a->session_states = hub_subscribe(a->hub, NULL, on_event, a);
	follow_all(a);
	return 0;
}
