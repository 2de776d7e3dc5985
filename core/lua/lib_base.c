/* require "base": JSON marks, the log, the clock, small helpers for texts. */
#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/quote.h"
#include "base/random.h"
#include "base/sha256.h"
#include "docker/step_argv.h"
#include "lua/internal.h"

/* list{...}: a list, also when it is empty. */
static int l_list(lua_State *L)
{
	if (lua_isnoneornil(L, 1)) {
		lua_settop(L, 0);
		lua_newtable(L);
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	luaL_setmetatable(L, "perry.list");
	return 1;
}

/* canonical(value): JSON text with sorted keys; equal values give equal text. */
static int l_canonical(lua_State *L)
{
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	b->text = json_canonical(b->in);
	return box_text(L, b, 0, b->text);
}

static int l_decode(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);
	struct box *b = box_new(L);
	b->out = json_parse(text, n, "JSON", &b->err);
	return box_json(L, b, b->out ? 0 : -1);
}

static int l_sha256(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);
	char hex[65];
	sha256_hex(text, n, hex);
	lua_pushstring(L, hex);
	return 1;
}

static int l_random(lua_State *L)
{
	lua_Integer n = luaL_checkinteger(L, 1);
	char hex[129];
	luaL_argcheck(L, n >= 1 && n <= 64, 1, "1 to 64 bytes");
	random_hex(hex, (size_t)n);
	lua_pushstring(L, hex);
	return 1;
}

static int l_quote(lua_State *L)
{
	const char *text = luaL_checkstring(L, 1);
	struct box *b = box_new(L);
	shell_quote(&b->buf, text);
	return box_text(L, b, 0, buf_str(&b->buf));
}

static int l_now(lua_State *L)
{
	lua_pushinteger(L, clock_ms());
	return 1;
}

/* time(text): an RFC 3339 time as now() counts, or nil. */
static int l_time(lua_State *L)
{
	int64_t ms = clock_parse_iso(luaL_checkstring(L, 1));
	if (ms < 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, ms);
	return 1;
}

static int l_mono(lua_State *L)
{
	lua_pushinteger(L, clock_mono_ms());
	return 1;
}

static int l_sleep(lua_State *L)
{
	poll(NULL, 0, (int)luaL_checkinteger(L, 1));
	return 0;
}

/* log(level, text) */
static int l_log(lua_State *L)
{
	static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
	int level = luaL_checkoption(L, 1, NULL, levels);
	const char *text = luaL_checkstring(L, 2), *ws = run_workspace(run_of(L));
	log_write((enum log_level)level, ws ? ws : "agent", "%s", text);
	return 0;
}

/* fail(code, message [, data]): raises an error of the API's kind ("NOT_FOUND", ...). */
static int l_fail(lua_State *L)
{
	const char *code = luaL_checkstring(L, 1), *message = luaL_checkstring(L, 2);
	struct box *b = box_new(L);
	perry_fail(&b->err, perry_code_from_api(code), "%s", message);
	if (lua_istable(L, 3))
		json_of_value(L, 3, &b->err->data, NULL);
	return box_raise(L, b);
}

/* guard: a message handler for xpcall: an error of our own Lua leaves its traceback in the log; one of the core passes.
 */
int lua_guard(lua_State *L)
{
	if (lua_type(L, 1) != LUA_TSTRING)
		return 1;
	luaL_traceback(L, L, lua_tostring(L, 1), 1);
	log_error("lua", "%s", lua_tostring(L, -1));
	lua_pop(L, 1);
	return 1;
}

/* config(key): a value of today's configuration; secrets are not for Lua and come as {"$secret": key}. */
static int l_config(lua_State *L)
{
	const char *key = luaL_checkstring(L, 1);
	struct run *r = run_of(L);
	struct box *b = box_new(L);
	b->in = r->config ? config_public(r->config) : NULL;
	json_push_value(L, json_at(b->in, key));
	box_clear(b);
	return 1;
}

static int l_version(lua_State *L)
{
	lua_pushliteral(L, PERRY_VERSION);
	return 1;
}

static int l_hostname(lua_State *L)
{
	lua_pushstring(L, run_of(L)->host->hostname);
	return 1;
}

static int l_run_id(lua_State *L)
{
	lua_pushstring(L, run_of(L)->host->run_id);
	return 1;
}

/* policy_places(): the files config.json and hooks.lock and the folders of hooks, whose change may change a plan. */
static int l_policy_places(lua_State *L)
{
	const struct lua_host *h = run_of(L)->host;
	lua_pushfstring(L, "%s/config.json", h->config_dir);
	lua_pushfstring(L, "%s/hooks.lock", h->config_dir);
	lua_pushfstring(L, "%s/hooks", h->config_dir);
	lua_pushstring(L, h->machine_hooks);
	return 4;
}

/* later(lane, function, arg): a background job: "upkeep" (networks) or "actions". */
static int l_later(lua_State *L)
{
	static const char *const lanes[] = { "upkeep", "actions", NULL };
	/* The job keeps the names: only those that are literals here. */
	static const char *const jobs[] = { "spare", "release", "action", "refresh", NULL };
	int lane = luaL_checkoption(L, 1, NULL, lanes), job = luaL_checkoption(L, 2, NULL, jobs);
	struct box *b = box_new(L);
	if (lua_istable(L, 3))
		json_arg(L, 3, b, &b->in);
	background_add(run_of(L)->host->background, lane, run_of(L)->ops, "background", jobs[job], b->in);
	return box_ok(L, b, 0);
}

/* leave_later(ms): perry.leave.work runs in at most so long. */
static int l_leave_later(lua_State *L)
{
	background_wake(run_of(L)->host->background, LANE_TAILNET, "leave", "work", (int)luaL_checkinteger(L, 1));
	return 0;
}

/* stopping(): the host is being freed: a long wait in the background ends. */
static int l_stopping(lua_State *L)
{
	lua_pushboolean(L, background_stopping(run_of(L)->host->background));
	return 1;
}

int lib_base(lua_State *L)
{
	static const luaL_Reg fns[] = {
		{ "list", l_list },
		{ "canonical", l_canonical },
		{ "decode", l_decode },
		{ "sha256", l_sha256 },
		{ "random", l_random },
		{ "quote", l_quote },
		{ "now", l_now },
		{ "time", l_time },
		{ "mono", l_mono },
		{ "sleep", l_sleep },
		{ "log", l_log },
		{ "fail", l_fail },
		{ "config", l_config },
		{ "later", l_later },
		{ "leave_later", l_leave_later },
		{ "guard", lua_guard },
		{ "version", l_version },
		{ "hostname", l_hostname },
		{ "stopping", l_stopping },
		{ "run_id", l_run_id },
		{ "policy_places", l_policy_places },
		{ 0 },
	};
	luaL_newlib(L, fns);
	lua_pushlightuserdata(L, NULL);
	lua_setfield(L, -2, "null");
	lua_pushliteral(L, STEP_PATH);
	lua_setfield(L, -2, "step_path");
	return 1;
}
