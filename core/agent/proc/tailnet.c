/* Procedures about workspaces' devices on the tailnet. What they tell and do is lua/perry/devices.lua. */
#include <string.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "base/mem.h"
#include "lua/lua.h"

int proc_tailnet_status(struct call *c, cJSON **out, struct perry_err **err)
{
	return lua_host_tailnet(c->a->lua, "status", NULL, out, err);
}

int proc_tailnet_devices(struct call *c, cJSON **out, struct perry_err **err)
{
	return lua_host_tailnet(c->a->lua, "devices", NULL, out, err);
}

int proc_tailnet_prune(struct call *c, cJSON **out, struct perry_err **err)
{
	return lua_host_tailnet(c->a->lua, "prune", c->input, out, err);
}

/* --- setup --- */

static int put_key(cJSON *root, void *ctx, struct perry_err **err)
{
	const cJSON *input = ctx;
	static const char *const fields[] = { "authKey", "hostnamePrefix", "loginServer" };
	cJSON *at = json_obj(root, "tailscale");
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (json_str(input, fields[i]))
			json_set_str(at, fields[i], *json_str(input, fields[i]) ? json_str(input, fields[i]) : NULL);
	json_set(at, "enabled", NULL); /* a key alone switches it on */
	return 0;
}

int proc_tailnet_setup(struct call *c, cJSON **out, struct perry_err **err)
{
	struct config *config = agent_config(c->a);
	const char *key = call_str(c, "authKey"), *server = call_str(c, "loginServer");
	int rc = config_check_setup_key(key, server ? server : config_str(config, "tailscale.loginServer"), err);
	bool overlaid = str_starts(config_origin(config, "tailscale.authKey"), "env");
	config_unref(config);
	if (rc < 0 || agent_config_edit(c->a, put_key, c->input, err) < 0 ||
	    lua_host_tailnet(c->a->lua, "status", NULL, out, err) < 0)
		return -1;
	if (overlaid)
		json_push_str(
			cJSON_GetObjectItemCaseSensitive(*out, "warnings"),
			"PERRY_TAILSCALE_AUTH_KEY in the agent's environment stands above the key that was saved");
	return 0;
}
