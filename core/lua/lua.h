/* The trusted Lua state: runs the lifecycle (lua/perry/) over the modules below. The only door to core/lua. */
#ifndef PERRY_LUA_LUA_H
#define PERRY_LUA_LUA_H

#include "base/err.h"
#include "base/json.h"

struct config;
struct docker;
struct fleet;
struct hub;
struct lua_host;
struct op;
struct ops;
struct policy;
struct policy_session;
struct policy_setup;
struct store;

/* All borrowed until lua_host_free; texts are copied. */
struct lua_setup {
	struct docker *docker;
	struct store *store;
	struct hub *hub;
	struct fleet *fleet;
	struct policy *policy;
	struct config *(*config)(
		void *ctx); /* a reference to the newest configuration, which we release; called from any thread */
	void *ctx;
	const char *config_dir;    /* its hooks/ is the user's layer */
	const char *step;          /* perry-step on this machine, for the tools volume */
	const char *tailscale_dir; /* of tailscale and tailscaled on this machine, for the tools volume */
	const char *machine_hooks; /* NULL: /etc/perry/hooks */
	int spare_networks;        /* how many networks are kept ready */
};
int lua_host_new(struct lua_host **out, const struct lua_setup *setup, struct perry_err **err);
/* Ends the background work (spare networks, on_* actions): what is queued is dropped, what runs is waited for. After
 * ops_stop, before ops_free. */
void lua_host_free(struct lua_host *h);

/* The op_runner of core/ops, with ctx the struct lua_host: one operation in a fresh Lua state. *result is the caller's.
 */
int lua_runner(void *host, struct op *op, cJSON **result, struct perry_err **err);

/* Once, after ops_recover: runs on_agent_start, starts what should be running and is not (by operations "start"), makes
 * the spare networks. Waits for nothing of it. */
int lua_host_boot(struct lua_host *h, struct ops *ops, struct perry_err **err);
/* Runs on_agent_stop and waits for it. */
void lua_host_goodbye(struct lua_host *h);
/* Removes what an agent that has ended needs no more; waits for the engine. */
void lua_host_tidy_up(struct lua_host *h);

/* The plan that an operation of this kind would make, and what it would do with an existing container ("changes");
 * nothing is touched. name may be one that does not exist (kind "create"). request and caller may be NULL. *out is the
 * caller's. */
int lua_host_plan(struct lua_host *h, const char *kind, const char *name, const cJSON *request, const cJSON *caller,
		  cJSON **out, struct perry_err **err);
/* May this caller do this ("exec", "shell", "delete", "clone") to this workspace? The admit hooks; PERRY_EPOLICY when
 * not. */
int lua_host_admit(struct lua_host *h, const char *action, const char *name, const cJSON *caller,
		   struct perry_err **err);

/* What the ports hook says about listeners of a workspace, [{number, address, loopback, process}]: a list of as many
 * {announce, label, expose}, the caller's. */
int lua_host_ports(struct lua_host *h, const char *name, const cJSON *ports, cJSON **answers, struct perry_err **err);

/* perry.devices.status, devices or prune, with arg (or NULL). *out is the caller's. */
int lua_host_tailnet(struct lua_host *h, const char *what, const cJSON *arg, cJSON **out, struct perry_err **err);
/* What doctor finds of workspaces on the tailnet: [{check, ok, message, mend}], the caller's. */
int lua_host_doctor(struct lua_host *h, cJSON **out, struct perry_err **err);

/* The idle hook's answer about a workspace, {"action","reason","next"}, the caller's. */
int lua_host_idle(struct lua_host *h, const char *name, const cJSON *activity, cJSON **answer, struct perry_err **err);

/* The facts that hooks would get about a workspace that exists ({"ws": {...}}), as of now. *out is the caller's. */
int lua_host_facts(struct lua_host *h, const char *name, const cJSON *caller, cJSON **out, struct perry_err **err);

/* A policy session with the layers of today's configuration, for hooks list and run. */
struct lua_hooks;
struct lua_hooks *lua_hooks_open(struct lua_host *h);
struct policy_session *
lua_hooks_session(struct lua_hooks *s); /* made at the first call; NULL when that fails: see lua_hooks_error */
const struct perry_err *lua_hooks_error(const struct lua_hooks *s);
const struct policy_setup *lua_hooks_setup(const struct lua_hooks *s); /* borrowed from s; for policy_run */
/* Before the session is made: packed (policy_pack_up; borrowed) takes the place of the layer of its name, "user" when
 * it has none; a pack that is not installed goes right below the user. */
int lua_hooks_replace(struct lua_hooks *s, cJSON *packed, struct perry_err **err);
/* All workspaces as policy_preview takes them. *out is the caller's. */
int lua_host_subjects(struct lua_host *h, const cJSON *caller, cJSON **out, struct perry_err **err);
cJSON *lua_hooks_inventory(struct lua_hooks *s); /* policy_inventory; the caller's */
void lua_hooks_close(struct lua_hooks *s);

#endif
