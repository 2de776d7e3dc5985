/* require "store": records of workspaces, and what must be unique on the machine. A change of a record reaches the
 * fleet at once. */

#include "base/mem.h"
#include "lua/internal.h"
#include "ops/fleet.h"
#include "store/store.h"

static struct lua_host *host(lua_State *L)
{
	return run_of(L)->host;
}

static int l_agent_id(lua_State *L)
{
	lua_pushstring(L, store_agent_id(host(L)->setup.store));
	return 1;
}

/* get(name): the record, or nil. */
static int l_get(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_found(L, b, store_ws_get(host(L)->setup.store, name, &b->out, &b->err));
}

static int l_list(lua_State *L)
{
	struct box *b = box_new(L);
	return box_json(L, b, store_ws_list(host(L)->setup.store, &b->out, &b->err));
}

/* count(owner [, before]): how many workspaces there are, and how many of them are this owner's; before: only those
 * that were stored before the one of that name. */
static int l_count(lua_State *L)
{
	const char *owner = luaL_optstring(L, 1, NULL), *before = luaL_optstring(L, 2, NULL);
	const cJSON *record;
	int all = 0, owned = 0;
	struct box *b = box_new(L);
	int rc = store_ws_list(host(L)->setup.store, &b->out, &b->err);
	cJSON_ArrayForEach(record, b->out) {
		if (before && str_eq(json_str(record, "name"), before))
			break;
		all++;
		owned += str_eq(json_str(record, "owner"), owner);
	}
	box_ok(L, b, rc);
	lua_pushinteger(L, all);
	lua_pushinteger(L, owned);
	return 2;
}

/* create(record): the record as stored. */
static int l_create(lua_State *L)
{
	struct lua_host *h = host(L);
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	int rc = store_ws_create(h->setup.store, b->in, &b->err);
	if (rc == 0)
		rc = store_ws_get(h->setup.store, json_str_or(b->in, "name", ""), &b->out, &b->err);
	if (rc == 0)
		fleet_put(h->setup.fleet, json_str_or(b->in, "name", ""), b->out);
	return box_json(L, b, rc);
}

/* patch(name, changes): the record afterwards; base.null removes a member. */
static int l_patch(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct lua_host *h = host(L);
	struct box *b = box_new(L);
	json_arg(L, 2, b, &b->in);
	int rc = store_ws_patch(h->setup.store, name, b->in, &b->out, &b->err);
	if (rc == 0)
		fleet_put(h->setup.fleet, name, b->out);
	return box_json(L, b, rc);
}

static int l_delete(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct lua_host *h = host(L);
	struct box *b = box_new(L);
	int rc = store_ws_delete(h->setup.store, name, &b->err);
	if (rc == 0)
		fleet_put(h->setup.fleet, name, NULL);
	return box_ok(L, b, rc);
}

/* container(name, inspect or nil): what the engine says of it, for the fleet. */
static int l_container(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	json_arg(L, 2, b, &b->in);
	fleet_put_container(host(L)->setup.fleet, name, b->in);
	return box_ok(L, b, 0);
}

/* status(name): "running", "stopped", ..., as the fleet has it; nil when there is none. */
static int l_status(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	if (fleet_get(host(L)->setup.fleet, name, &b->out, &b->err) < 0) {
		box_clear(b);
		lua_pushnil(L);
		return 1;
	}
	return box_text(L, b, 0, json_str_or(b->out, "status", ""));
}

/* wait_ready(ms): does the fleet know the engine's list? */
static int l_wait_ready(lua_State *L)
{
	lua_pushboolean(L, fleet_wait_ready(host(L)->setup.fleet, (int)luaL_checkinteger(L, 1)));
	return 1;
}

/* claim_port(name, avoid): an SSH port out of sshPortRange. */
static int l_claim_port(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	int n = 0, min = 2200, max = 2400, port;
	size_t count = lua_istable(L, 2) ? lua_rawlen(L, 2) : 0;
	int *avoid = lua_newuserdatauv(L, (count + 1) * sizeof *avoid, 0); /* Lua's: nothing to free when it raises */
	for (; (size_t)n < count && lua_rawgeti(L, 2, n + 1) == LUA_TNUMBER; n++, lua_pop(L, 1))
		avoid[n] = (int)lua_tointeger(L, -1);
	avoid[n] = 0;
	struct lua_host *h = host(L);
	struct box *b = box_new(L);
	if (run_of(L)->config)
		config_port_range(run_of(L)->config, &min, &max);
	int rc = store_port_claim(h->setup.store, name, min, max, avoid, &port, &b->err);
	if (rc == 0)
		rc = store_ws_get(h->setup.store, name, &b->out, &b->err);
	if (rc == 0)
		fleet_put(h->setup.fleet, name, b->out);
	box_ok(L, b, rc);
	lua_pushinteger(L, port);
	return 1;
}

/* claim_subnet(owner, range, skip): "10.213.0.16/28". */
static int l_claim_subnet(lua_State *L)
{
	const char *owner = luaL_checkstring(L, 1), *range = luaL_checkstring(L, 2);
	int n = 0;
	char subnet[20];
	luaL_checktype(L, 3, LUA_TTABLE);
	size_t count = lua_rawlen(L, 3);
	const char **skip = lua_newuserdatauv(L, (count + 1) * sizeof *skip, 0);
	for (; (size_t)n < count && lua_rawgeti(L, 3, n + 1) == LUA_TSTRING; n++, lua_pop(L, 1))
		skip[n] = lua_tostring(L, -1); /* anchored in the table */
	skip[n] = NULL;
	struct box *b = box_new(L);
	return box_text(L, b, store_subnet_claim(host(L)->setup.store, owner, range, skip, subnet, &b->err), subnet);
}

static int l_release_subnet(lua_State *L)
{
	const char *owner = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_ok(L, b, store_subnet_release(host(L)->setup.store, owner, &b->err));
}

static int l_subnets(lua_State *L)
{
	struct box *b = box_new(L);
	return box_json(L, b, store_subnets(host(L)->setup.store, &b->out, &b->err));
}

/* kv_get(key), kv_set(key, value): our own scope; null removes. */
static int l_kv_get(lua_State *L)
{
	const char *key = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	return box_json(L, b, store_kv_get(host(L)->setup.store, "perry", key, &b->out, &b->err));
}

static int l_kv_set(lua_State *L)
{
	const char *key = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	json_arg(L, 2, b, &b->in);
	return box_ok(L, b,
		      store_kv_set(host(L)->setup.store, "perry", key, cJSON_IsNull(b->in) ? NULL : b->in, &b->err));
}

/* outbox([workspace]): rows, oldest first. */
static int l_outbox(lua_State *L)
{
	const char *workspace = luaL_optstring(L, 1, NULL);
	struct box *b = box_new(L);
	return box_json(L, b, store_outbox(host(L)->setup.store, workspace, &b->out, &b->err));
}

/* outbox_put(row): the row with its id. */
static int l_outbox_put(lua_State *L)
{
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	return box_json(L, b, store_outbox_put(host(L)->setup.store, b->in, &b->out, &b->err));
}

/* outbox_patch(id, changes): the row afterwards, or nil when it is gone; base.null removes a member. */
static int l_outbox_patch(lua_State *L)
{
	lua_Integer id = luaL_checkinteger(L, 1);
	struct box *b = box_new(L);
	json_arg(L, 2, b, &b->in);
	return box_found(L, b, store_outbox_patch(host(L)->setup.store, id, b->in, &b->out, &b->err));
}

static int l_outbox_delete(lua_State *L)
{
	lua_Integer id = luaL_checkinteger(L, 1);
	struct box *b = box_new(L);
	return box_ok(L, b, store_outbox_delete(host(L)->setup.store, id, &b->err));
}

/* take_spare(): a network {name, subnet} that is ready, or nil. It is the caller's; in the store it stays listed until
 * save_spares. */
static int l_take_spare(lua_State *L)
{
	struct lua_host *h = host(L);
	struct box *b = box_new(L);
	pthread_mutex_lock(&h->spare_lock);
	b->out = h->spares ? cJSON_DetachItemFromArray(h->spares, 0) : NULL;
	pthread_mutex_unlock(&h->spare_lock);
	return box_json(L, b, 0);
}

static int l_add_spare(lua_State *L)
{
	struct lua_host *h = host(L);
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	pthread_mutex_lock(&h->spare_lock);
	if (!h->spares)
		h->spares = cJSON_CreateArray();
	bool known = false; /* one network must never be given out twice */
	const cJSON *spare;
	cJSON_ArrayForEach(spare, h->spares)
		known = known || str_eq(json_str(spare, "name"), json_str(b->in, "name"));
	if (!known)
		json_push(h->spares, take_ptr(b->in));
	pthread_mutex_unlock(&h->spare_lock);
	return box_ok(L, b, 0);
}

static int l_spares(lua_State *L)
{
	struct lua_host *h = host(L);
	struct box *b = box_new(L);
	pthread_mutex_lock(&h->spare_lock);
	b->out = h->spares ? cJSON_Duplicate(h->spares, 1) : cJSON_CreateArray();
	pthread_mutex_unlock(&h->spare_lock);
	return box_json(L, b, 0);
}

static int l_spares_wanted(lua_State *L)
{
	lua_pushinteger(L, host(L)->setup.spare_networks);
	return 1;
}

int lib_store(lua_State *L)
{
	static const luaL_Reg fns[] = {
		{ "agent_id", l_agent_id },
		{ "get", l_get },
		{ "list", l_list },
		{ "count", l_count },
		{ "create", l_create },
		{ "patch", l_patch },
		{ "delete", l_delete },
		{ "container", l_container },
		{ "status", l_status },
		{ "wait_ready", l_wait_ready },
		{ "claim_port", l_claim_port },
		{ "claim_subnet", l_claim_subnet },
		{ "release_subnet", l_release_subnet },
		{ "subnets", l_subnets },
		{ "kv_get", l_kv_get },
		{ "kv_set", l_kv_set },
		{ "outbox", l_outbox },
		{ "outbox_put", l_outbox_put },
		{ "outbox_patch", l_outbox_patch },
		{ "outbox_delete", l_outbox_delete },
		{ "take_spare", l_take_spare },
		{ "add_spare", l_add_spare },
		{ "spares", l_spares },
		{ "spares_wanted", l_spares_wanted },
		{ 0 },
	};
	luaL_newlib(L, fns);
	return 1;
}
