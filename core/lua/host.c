/* The host: one fresh Lua state per run, entered through one protected call. */
#include <unistd.h>

#include "base/embed.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "lua/internal.h"
#include "lua/tools.h"
#include "ops/hub.h"
#include "store/store.h"

int lua_host_new(struct lua_host **out, const struct lua_setup *setup, struct perry_err **err)
{
	struct lua_host *h = xcalloc(1, sizeof *h);
	h->setup = *setup;
	h->config_dir = xstrdup(setup->config_dir);
	h->step = xstrdup(setup->step);
	h->machine_hooks = xstrdup(setup->machine_hooks ? setup->machine_hooks : "/etc/perry/hooks");
	h->tailscale_dir = xstrdup(setup->tailscale_dir);
	h->setup.config_dir = h->config_dir;
	h->setup.step = h->step;
	h->setup.tailscale_dir = h->tailscale_dir;
	h->setup.machine_hooks = h->machine_hooks;
	if (gethostname(h->hostname, sizeof h->hostname - 1) < 0)
		h->hostname[0] = 0;
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->tools_lock, NULL);
	pthread_mutex_init(&h->networks_lock, NULL);
	pthread_mutex_init(&h->back_lock, NULL);
	pthread_mutex_init(&h->pause_lock, NULL);
	pthread_mutex_init(&h->spare_lock, NULL);
	random_hex(h->run_id, 8);
	h->background = background_new(h);
	*out = h;
	return 0;
}

void lua_host_free(struct lua_host *h)
{
	if (!h)
		return;
	if (h->engine_sub)
		hub_unsubscribe(h->engine_sub);
	background_free(h->background);
	pthread_mutex_destroy(&h->lock);
	pthread_mutex_destroy(&h->tools_lock);
	pthread_mutex_destroy(&h->networks_lock);
	pthread_mutex_destroy(&h->back_lock);
	pthread_mutex_destroy(&h->pause_lock);
	pthread_mutex_destroy(&h->spare_lock);
	cJSON_Delete(h->engine);
	cJSON_Delete(h->spares);
	tools_free(h->tools);
	compiled_free(h);
	free(h->tailscale_dir);
	free(h->config_dir);
	free(h->step);
	free(h->machine_hooks);
	free(h);
}

struct run *run_of(lua_State *L)
{
	return *(struct run **)lua_getextraspace(L);
}

const char *run_workspace(const struct run *r)
{
	return r->op ? op_workspace(r->op) : json_str(r->arg, "workspace");
}

/* require finds what travels in the binary: "perry.sync" is lua/perry/sync.lua. */
static int search(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	lua_pushfstring(L, "lua/%s.lua", luaL_gsub(L, name, ".", "/"));
	const char *path = lua_tostring(L, -1);
	const struct embedded *file = embed_find(path);
	if (!file) {
		lua_pushfstring(L, "no embedded file %s", path);
		return 1;
	}
	lua_pushfstring(L, "@%s", path);
	if (compiled_load(L, run_of(L)->host, file, lua_tostring(L, -1)) != LUA_OK)
		return lua_error(L);
	lua_pushstring(L, path);
	return 2;
}

static void open_libraries(lua_State *L)
{
	static const luaL_Reg libs[] = {
		{ LUA_GNAME, luaopen_base },
		{ LUA_LOADLIBNAME, luaopen_package },
		{ LUA_TABLIBNAME, luaopen_table },
		{ LUA_STRLIBNAME, luaopen_string },
		{ LUA_MATHLIBNAME, luaopen_math },
		{ LUA_UTF8LIBNAME, luaopen_utf8 },
		{ "base", lib_base },
		{ "docker", lib_docker },
		{ "files", lib_files },
		{ "store", lib_store },
		{ "op", lib_op },
		{ "policy", lib_policy },
		{ "net", lib_net },
		{ "tailnet", lib_tailnet },
	};
	box_open(L);
	json_open(L);
	for (size_t i = 0; i < ARRAY_LEN(libs); i++) {
		/* Standard libraries are globals; ours are modules: local docker = require "docker". */
		luaL_requiref(L, libs[i].name, libs[i].func, i < 6);
		lua_pop(L, 1);
	}
	/* One searcher of ours instead of those that look at the disk. */
	lua_getglobal(L, "package");
	lua_createtable(L, 1, 0);
	lua_pushcfunction(L, search);
	lua_rawseti(L, -2, 1);
	lua_setfield(L, -2, "searchers");
	lua_pop(L, 1);
	static const char *const disk[] = { "dofile", "loadfile" };
	for (size_t i = 0; i < ARRAY_LEN(disk); i++) {
		lua_pushnil(L);
		lua_setglobal(L, disk[i]);
	}
}

static int enter(lua_State *L)
{
	struct run *r = lua_touserdata(L, 1);
	open_libraries(L);
	lua_getglobal(L, "require");
	lua_pushfstring(L, "perry.%s", r->module);
	lua_call(L, 1, 1);
	if (lua_getfield(L, -1, r->function) != LUA_TFUNCTION)
		return luaL_error(L, "lua/perry/%s.lua has no function '%s'", r->module, r->function);
	json_push_value(L, r->arg);
	lua_call(L, 1, 1);
	if (!lua_isnil(L, -1) && json_of_value(L, -1, &r->result, &r->err) < 0)
		return luaL_error(L, "the result of %s.%s: %s", r->module, r->function, perry_msg(r->err));
	return 0;
}

/* The config snapshot of a run; without a provider (tests) there is none. */
static void run_begin(struct run *r)
{
	r->decisions = cJSON_CreateArray();
	r->config = r->host->setup.config ? r->host->setup.config(r->host->setup.ctx) : NULL;
}

static void run_end(struct run *r)
{
	run_store_decisions(r);
	lua_hooks_close(r->hooks);
	cJSON_Delete(r->decisions);
	config_unref(r->config);
	cJSON_Delete(r->result);
	perry_err_free(r->err);
}

int run_lua(struct lua_host *h, struct op *op, struct ops *ops, const char *module, const char *function,
	    const cJSON *arg, cJSON **result, struct perry_err **err)
{
	struct run r = { .host = h, .op = op, .ops = ops, .module = module, .function = function, .arg = (cJSON *)arg };
	lua_State *L = luaL_newstate();
	if (!L)
		return perry_fail(err, PERRY_EINTERNAL, "no memory for a Lua state");
	run_begin(&r);
	*(struct run **)lua_getextraspace(L) = &r;
	lua_pushcfunction(L, lua_guard);
	lua_pushcfunction(L, enter);
	lua_pushlightuserdata(L, &r);
	int rc = lua_pcall(L, 1, 0, 1) == LUA_OK ? 0 : -1;
	if (rc < 0)
		perry_move(err, err_of_value(L, -1));
	lua_close(L);
	if (rc == 0 && result)
		*result = take_ptr(r.result);
	run_end(&r);
	return rc;
}

int lua_runner(void *host, struct op *op, cJSON **result, struct perry_err **err)
{
	*result = NULL;
	return run_lua(host, op, NULL, "lifecycle", op_kind(op)->name, NULL, result, err);
}

int lua_host_plan(struct lua_host *h, const char *kind, const char *name, const cJSON *request, const cJSON *caller,
		  cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *arg = cJSON_CreateObject();
	json_set_str(arg, "kind", kind);
	json_set_str(arg, "workspace", name);
	json_set(arg, "input", request ? cJSON_Duplicate(request, 1) : cJSON_CreateObject());
	json_set(arg, "caller", caller ? cJSON_Duplicate(caller, 1) : cJSON_CreateObject());
	return run_lua(h, NULL, NULL, "plan", "dry_run", arg, out, err);
}

int lua_host_admit(struct lua_host *h, const char *action, const char *name, const cJSON *caller,
		   struct perry_err **err)
{
	cleanup_json cJSON *arg = cJSON_CreateObject();
	json_set_str(arg, "action", action);
	json_set_str(arg, "workspace", name);
	json_set(arg, "input", cJSON_CreateObject());
	json_set(arg, "caller", caller ? cJSON_Duplicate(caller, 1) : cJSON_CreateObject());
	return run_lua(h, NULL, NULL, "plan", "admit", arg, NULL, err);
}

int lua_host_ports(struct lua_host *h, const char *name, const cJSON *ports, cJSON **answers, struct perry_err **err)
{
	cleanup_json cJSON *arg = cJSON_CreateObject();
	json_set_str(arg, "workspace", name);
	json_set(arg, "ports", cJSON_Duplicate(ports, 1));
	return run_lua(h, NULL, NULL, "ports", "decide", arg, answers, err);
}

int lua_host_tailnet(struct lua_host *h, const char *what, const cJSON *arg, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *none = cJSON_CreateObject();
	return run_lua(h, NULL, NULL, "devices", what, arg ? arg : none, out, err);
}

int lua_host_idle(struct lua_host *h, const char *name, const cJSON *activity, cJSON **answer, struct perry_err **err)
{
	cleanup_json cJSON *arg = cJSON_CreateObject();
	json_set_str(arg, "workspace", name);
	json_set(arg, "activity", cJSON_Duplicate(activity, 1));
	return run_lua(h, NULL, NULL, "idle", "ask", arg, answer, err);
}

int lua_host_doctor(struct lua_host *h, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *none = cJSON_CreateObject();
	return run_lua(h, NULL, NULL, "tailnet_doctor", "run", none, out, err);
}

static void on_network(struct lua_host *h, const cJSON *ev)
{
	cleanup_json cJSON *arg = cJSON_CreateObject();
	if (!str_eq(json_str(ev, "state"), "disconnected"))
		return;
	json_set_str(arg, "workspace", json_str(ev, "workspace"));
	background_add(h->background, LANE_UPKEEP, h->ops, "background", "reconnect", arg);
}

static void on_event(void *ctx, const cJSON *ev)
{
	struct lua_host *h = ctx;
	if (str_eq(json_str(ev, "kind"), "network"))
		on_network(h, ev);
	if (!str_eq(json_str(ev, "kind"), "engine"))
		return;
	bool up = str_eq(json_str(ev, "state"), "up");
	if (up && h->engine_lost) {
		cleanup_json cJSON *arg = cJSON_CreateObject();
		background_add(h->background, LANE_UPKEEP, h->ops, "background", "engine_back", arg);
	}
	h->engine_lost = !up;
}

int lua_host_facts(struct lua_host *h, const char *name, const cJSON *caller, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *arg = cJSON_CreateObject();
	json_set_str(arg, "workspace", name);
	json_set(arg, "caller", caller ? cJSON_Duplicate(caller, 1) : cJSON_CreateObject());
	return run_lua(h, NULL, NULL, "plan", "facts_of", arg, out, err);
}

int lua_host_boot(struct lua_host *h, struct ops *ops, struct perry_err **err)
{
	cleanup_json cJSON *arg = cJSON_CreateObject();
	background_add(h->background, LANE_UPKEEP, ops, "background", "boot", arg);
	h->ops = ops;
	background_wake(h->background, LANE_TAILNET, "leave", "work", 0);
	h->engine_sub = hub_subscribe(h->setup.hub, NULL, on_event, h);
	return 0;
}

void lua_host_goodbye(struct lua_host *h)
{
	cleanup_json cJSON *arg = cJSON_CreateObject();
	cleanup_err struct perry_err *e = NULL;
	json_set_str(arg, "point", "on_agent_stop");
	if (run_lua(h, NULL, NULL, "background", "action", arg, NULL, &e) < 0)
		log_warn("agent", "on_agent_stop: %s", perry_msg(e));
}

void lua_host_tidy_up(struct lua_host *h)
{
	cleanup_json cJSON *none = cJSON_CreateObject();
	cleanup_err struct perry_err *why = NULL;
	if (run_lua(h, NULL, NULL, "background", "ending", none, NULL, &why) < 0)
		log_warn("agent", "%s", perry_msg(why));
}
