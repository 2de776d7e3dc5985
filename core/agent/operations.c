#include "agent/operations.h"

#include <string.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "base/mem.h"
#include "base/paths.h"
#include "lua/lua.h"
#include "ops/ops.h"

enum { SPARE_NETWORKS = 1 };

static struct config *newest_config(void *agent)
{
	return agent_config(agent);
}

/* perry-step lies beside the executable. */
char *agent_step_path(void)
{
	cleanup_free char *dir = path_self_dir();
	const char *given = getenv("PERRY_STEP");
	return given && *given ? xstrdup(given) : path_join(dir, "perry-step");
}

char *agent_tailscale_dir(void)
{
	const char *given = getenv("PERRY_TAILSCALE_DIR");
	return given && *given ? xstrdup(given) : path_self_dir();
}

int agent_open_operations(struct agent *a, struct perry_err **err)
{
	cleanup_free char *step = agent_step_path(), *tailscale_dir = agent_tailscale_dir();
	const struct lua_setup lua = {
		.docker = a->docker,
		.store = a->store,
		.hub = a->hub,
		.fleet = a->fleet,
		.policy = a->policy,
		.config = newest_config,
		.ctx = a,
		.config_dir = a->dir,
		.step = step,
		.tailscale_dir = tailscale_dir,
		.spare_networks = SPARE_NETWORKS,
	};
	if (lua_host_new(&a->lua, &lua, err) < 0)
		return -1;
	const struct ops_setup ops = {
		.store = a->store,
		.hub = a->hub,
		.fleet = a->fleet,
		.max_running = (int)config_int(a->config, "maxOperations"),
		.run = lua_runner,
		.ctx = a->lua,
	};
	return ops_new(&a->ops, &ops, err);
}

void agent_close_operations(struct agent *a)
{
	/* The host's background jobs may submit operations, so it goes first. */
	if (a->lua)
		lua_host_free(a->lua);
	if (a->ops)
		ops_free(a->ops);
	a->lua = NULL;
	a->ops = NULL;
}

int agent_admit(struct agent *a, const char *kind, const char *workspace, const cJSON *caller, struct perry_err **err)
{
	return lua_host_admit(a->lua, kind, workspace, caller, err);
}

int agent_plan(struct agent *a, const char *kind, const char *workspace, const cJSON *request, const cJSON *caller,
	       cJSON **plan, struct perry_err **err)
{
	return lua_host_plan(a->lua, kind, workspace, request, caller, plan, err);
}
