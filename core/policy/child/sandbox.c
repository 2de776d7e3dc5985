#include "policy/child/sandbox.h"

#include <lualib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/child/coverage.h"
#include "policy/child/limits.h"
#include "policy/child/luajson.h"
#include "policy/child/luapairs.h"
#include "policy/child/prims.h"

static char globals_key, modules_key;

/* Names that people know from Lua and do not find here. */
static const char *const absent[][2] = {
	{ "os", "the time is perry.time(); hooks see no environment and no files" },
	{ "io", "hooks see no files; perry.docker and perry.http look at the world" },
	{ "load", "code comes from hook files and require only" },
	{ "loadstring", "code comes from hook files and require only" },
	{ "dofile", "code comes from hook files and require only" },
	{ "loadfile", "code comes from hook files and require only" },
	{ "debug", "it would reach around the limits" },
	{ "coroutine", "hooks answer at once" },
	{ "collectgarbage", "memory is limited, not managed, here" },
	{ "xpcall", "pcall is here" },
	{ "rawget", "facts are read-only views" },
	{ "rawset", "facts are read-only views" },
	{ "package", "require finds the layer's own lib folder" },
	{ "_G", "there are no global variables; use local" },
	{ "setfenv", "there are no global variables; use local" },
	{ NULL, NULL },
};

static const char *reason_absent(const char *name)
{
	for (size_t i = 0; absent[i][0]; i++)
		if (strcmp(absent[i][0], name) == 0)
			return absent[i][1];
	return NULL;
}

/* In each environment: upvalue 1 is the table of allowed globals. */
static int env_index(lua_State *L)
{
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
		return 1;
	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(L, "undefined global");
	const char *name = lua_tostring(L, 2), *why = reason_absent(name);
	if (why)
		return luaL_error(L, "'%s' is not available in hooks: %s", name, why);
	const char *names[64];
	size_t n = 0;
	for (lua_pushnil(L); lua_next(L, lua_upvalueindex(1)); lua_pop(L, 1))
		if (n < ARRAY_LEN(names) - 1)
			names[n++] = lua_tostring(L, -2);
	names[n] = NULL;
	const char *near = str_nearest(name, names);
	if (near)
		return luaL_error(L, "undefined global '%s' (did you mean '%s'?)", name, near);
	return luaL_error(L, "undefined global '%s'", name);
}

static int env_newindex(lua_State *L)
{
	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(L, "assignment to a global");
	return luaL_error(L, "assignment to undefined global '%s' (write 'local %s')", lua_tostring(L, 2),
			  lua_tostring(L, 2));
}

void sandbox_environment(lua_State *L)
{
	lua_newtable(L);
	lua_createtable(L, 0, 3);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &globals_key);
	lua_pushcclosure(L, env_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, env_newindex);
	lua_setfield(L, -2, "__newindex");
	lua_pushliteral(L, "environment");
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
	lua_setupvalue(L, -2, 1); /* _ENV is a main function's only upvalue */
}

/* A finalizer runs outside of every limit. */
static int safe_setmetatable(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
	lua_settop(L, 2);
	if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
		return luaL_error(L, "cannot change a protected metatable");
	if (lua_istable(L, 2)) {
		lua_pushliteral(L, "__gc");
		if (lua_rawget(L, 2) != LUA_TNIL)
			return luaL_error(L, "'__gc' is not available in hooks");
	}
	lua_settop(L, 2);
	lua_setmetatable(L, 1);
	return 1;
}

/* Module names are paths below the layer's lib folder: "net.slack" is net/slack.lua. Upvalue-free: the layer says what
 * it has. */
static int safe_require(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	struct layer *layer = layer_of(L);
	lua_settop(L, 1);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &modules_key); /* 2 */
	if (lua_getfield(L, 2, name) == LUA_TBOOLEAN)
		return luaL_error(L, "require '%s': it requires itself", name);
	if (!lua_isnil(L, -1))
		return 1;
	const cJSON *file = layer->lib ? cJSON_GetObjectItemCaseSensitive(layer->lib, name) : NULL;
	if (!file)
		return luaL_error(L, "require '%s': no such file in the lib folder of layer '%s'", name, layer->name);
	const char *text = json_str_or(file, "text", ""), *shown = json_str_or(file, "file", name);
	lua_pushboolean(L, true);
	lua_setfield(L, 2, name);
	layer->host->loading = shown;
	lua_pushfstring(L, "@%s", shown);
	if (luaL_loadbufferx(L, text, strlen(text), lua_tostring(L, -1), "t") != LUA_OK)
		return lua_error(L);
	layer->host->loading = NULL;
	coverage_loaded(L, shown);
	sandbox_environment(L);
	lua_pushvalue(L, 1);
	lua_call(L, 1, 1);
	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		lua_newtable(L);
	}
	lua_pushvalue(L, -1);
	lua_setfield(L, 2, name);
	return 1;
}

/* Pushes the kind of value that Lua would describe by its address, which differs from run to run; false: it is none. */
static bool push_kind(lua_State *L, int idx)
{
	int type = lua_type(L, idx);
	if (type != LUA_TTABLE && type != LUA_TFUNCTION && type != LUA_TUSERDATA && type != LUA_TLIGHTUSERDATA &&
	    type != LUA_TTHREAD)
		return false;
	if (luaL_getmetafield(L, idx, "__tostring") != LUA_TNIL) {
		lua_pop(L, 1);
		return false;
	}
	lua_pushstring(L, lua_typename(L, type));
	return true;
}

static int safe_tostring(lua_State *L)
{
	luaL_checkany(L, 1);
	if (!push_kind(L, 1))
		luaL_tolstring(L, 1, NULL);
	return 1;
}

/* Upvalue 1 is Lua's own. */
static int safe_format(lua_State *L)
{
	const char *p = luaL_checkstring(L, 1);
	int n = lua_gettop(L);
	while ((p = strchr(p, '%'))) {
		p += 1 + strspn(p + 1, "-+ #0123456789.");
		if (*p == 'p')
			return luaL_error(L, "'%%p' is not available in hooks: an address differs from run to run");
		p += *p != 0;
	}
	for (int i = 2; i <= n; i++)
		if (push_kind(L, i))
			lua_replace(L, i);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_insert(L, 1);
	lua_call(L, n, 1);
	return 1;
}

static void copy_globals(lua_State *L, int to)
{
	static const char *const names[] = { "assert", "error",  "getmetatable", "ipairs", "pcall",    "rawequal",
					     "rawlen", "select", "tonumber",     "type",   "_VERSION", NULL };
	for (const char *const *n = names; *n; n++) {
		lua_getglobal(L, *n);
		lua_setfield(L, to, *n);
	}
	static const luaL_Reg ours[] = {
		{ "pairs", lj_pairs },       { "next", lj_next },           { "setmetatable", safe_setmetatable },
		{ "require", safe_require }, { "tostring", safe_tostring }, { NULL, NULL }
	};
	lua_pushvalue(L, to);
	luaL_setfuncs(L, ours, 0);
	lua_pop(L, 1);
}

static void library(lua_State *L, int to, const char *name, lua_CFunction open, const char *const *without)
{
	luaL_requiref(L, name, open, 0);
	for (; without && *without; without++) {
		lua_pushnil(L);
		lua_setfield(L, -2, *without);
	}
	lj_protect(L, name);
	lua_setfield(L, to, name);
}

static int fill(lua_State *L)
{
	static const char *const no_string[] = { "dump", NULL }, *const no_math[] = { "random", "randomseed", NULL };
	luaL_requiref(L, "_G", luaopen_base, 1);
	lua_settop(L, 0);
	lj_open(L);
	lua_newtable(L); /* 1: the globals that hooks see */
	copy_globals(L, 1);
	luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
	lua_getfield(L, -1, "format");
	/* Where errors find its name. */
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, "format");
	lua_pop(L, 1);
	lua_pushcclosure(L, safe_format, 1);
	lua_setfield(L, -2, "format");
	lua_pop(L, 1);
	library(L, 1, LUA_STRLIBNAME, luaopen_string, no_string);
	library(L, 1, LUA_TABLIBNAME, luaopen_table, NULL);
	library(L, 1, LUA_MATHLIBNAME, luaopen_math, no_math);
	library(L, 1, LUA_UTF8LIBNAME, luaopen_utf8, NULL);
	prims_push(L);
	lua_getfield(L, -1, "log");
	lua_setfield(L, 1, "print");
	lj_protect(L, "perry");
	lua_setfield(L, 1, "perry");
	/* ("").__index is string itself: not for changing. */
	lua_pushliteral(L, "");
	lua_getmetatable(L, -1);
	lua_pushliteral(L, "string");
	lua_setfield(L, -2, "__metatable");
	lua_settop(L, 1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &globals_key);
	lua_newtable(L);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &modules_key);
	return 0;
}

lua_State *sandbox_new(struct host *h, struct layer *layer)
{
	lua_State *L = lua_newstate(limits_alloc, h);
	if (!L)
		return NULL;
	memcpy(lua_getextraspace(L), &layer, sizeof layer);
	lua_pushcfunction(L, fill);
	if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
		lua_close(L);
		return NULL;
	}
	return L;
}
