/* Procedures about the agent itself. */
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "agent/stream/stream.h"
#include "agent/tailnet/tailnet.h"
#include "agent/who/auth.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/paths.h"
#include "docker/docker.h"
#include "ops/fleet.h"
#include "store/store.h"

enum { ENGINE_WAIT_MS = 4000 };
#define SETUP_KEY "setup.finished"

/* Those of config.json; what a workspace has where they are silent, its own info shows. */
static void put_limits(cJSON *out, const struct config *config)
{
	cleanup_json cJSON *public = config_public(config);
	const cJSON *limits = json_at(public, "limits");
	if (cJSON_GetArraySize(limits) > 0)
		json_set(out, "limits", cJSON_Duplicate(limits, 1));
}

static bool setup_finished(struct agent *a)
{
	cleanup_json cJSON *when = NULL;
	return store_kv_get(a->store, "perry", SETUP_KEY, &when, NULL) == 0 && when;
}

int proc_setup_finish(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *now = cJSON_CreateNumber((double)clock_ms());
	if (!setup_finished(c->a) && store_kv_set(c->a->store, "perry", SETUP_KEY, now, err) < 0)
		return -1;
	*out = cJSON_CreateObject();
	json_set_bool(*out, "success", true);
	return 0;
}

int proc_agent_info(struct call *c, cJSON **out, struct perry_err **err)
{
	struct agent *a = c->a;
	cleanup_json cJSON *version = NULL;
	cleanup_json cJSON *all = fleet_list(a->fleet);
	cJSON *j = cJSON_CreateObject();
	bool up =
		docker_answers(a->docker, ENGINE_WAIT_MS, NULL) == 0 && docker_version(a->docker, &version, NULL) == 0;
	json_set_str(j, "hostname", a->hostname);
	json_set_int(j, "uptime", (clock_ms() - a->started_ms) / 1000);
	json_set_int(j, "workspacesCount", cJSON_GetArraySize(all));
	json_set_str(j, "dockerVersion", up ? json_str_or(version, "Version", "unknown") : "unavailable");
	json_set_int(j, "terminalConnections", a->streams ? streams_count(a->streams) : 0);
	json_set_str(j, "version", PERRY_VERSION);
	json_set(j, "tailscale", tailnet_info(a->tailnet));
	struct config *config = agent_config(a);
	if (config_bool(config, "allowHostEquivalentDocker"))
		json_set_bool(j, "hostEquivalentDocker", true);
	put_limits(j, config);
	if (setup_finished(a))
		json_set_bool(j, "setupFinished", true);
	config_unref(config);
	*out = j;
	return 0;
}

int proc_host_info(struct call *c, cJSON **out, struct perry_err **err)
{
	struct passwd pw, *found = NULL;
	char text[1024];
	cleanup_free char *home = path_home();
	cJSON *j = cJSON_CreateObject();
	if (getpwuid_r(geteuid(), &pw, text, sizeof text, &found) != 0)
		found = NULL;
	json_set_bool(j, "enabled", agent_host_access(c->a));
	json_set_str(j, "hostname", c->a->hostname);
	json_set_str(j, "username", found ? found->pw_name : "unknown");
	json_set_str(j, "homeDir", home);
	*out = j;
	return 0;
}

int proc_auth_link(struct call *c, cJSON **out, struct perry_err **err)
{
	char link[65];
	auth_new_link(c->a->auth, link);
	cleanup_free char *path = xasprintf("/login?link=%s", link);
	*out = cJSON_CreateObject();
	json_set_str(*out, "path", path);
	json_set_int(*out, "port", c->a->port);
	return 0;
}

int proc_terminal_ticket(struct call *c, cJSON **out, struct perry_err **err)
{
	char ticket[65];
	bool stream = json_bool_or(c->input, "stream", false);
	auth_new_ticket(c->a->auth, &c->caller, stream ? AUTH_TICKET_STREAM : json_str(c->input, "name"), ticket);
	*out = cJSON_CreateObject();
	json_set_str(*out, "ticket", ticket);
	return 0;
}
