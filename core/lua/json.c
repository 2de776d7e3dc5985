/* JSON to Lua and back, for our own programs. What hooks see goes through core/policy instead. */
#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "lua/internal.h"

#define LIST_META "perry.list"
#define MAX_DEPTH JSON_MAX_DEPTH

static int null_text(lua_State *L)
{
	lua_pushliteral(L, "null");
	return 1;
}

void json_open(lua_State *L)
{
	luaL_newmetatable(L, LIST_META);
	lua_pop(L, 1);
	/* json.null is the NULL light userdata; it prints as what it is. */
	lua_pushlightuserdata(L, NULL);
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, null_text);
	lua_setfield(L, -2, "__tostring");
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
}

static void push(lua_State *L, const cJSON *j, int depth)
{
	const cJSON *item;
	int n = 0;
	luaL_checkstack(L, 6, "JSON");
	if (depth > MAX_DEPTH)
		luaL_error(L, "JSON is nested too deeply");
	switch (j ? j->type & 0xff : cJSON_NULL) {
	case cJSON_True:
	case cJSON_False:
		lua_pushboolean(L, (j->type & 0xff) == cJSON_True);
		return;
	case cJSON_Number:
		if (j->valuedouble == floor(j->valuedouble) && fabs(j->valuedouble) <= 9007199254740992.0)
			lua_pushinteger(L, (lua_Integer)j->valuedouble);
		else
			lua_pushnumber(L, j->valuedouble);
		return;
	case cJSON_String:
		lua_pushstring(L, j->valuestring);
		return;
	case cJSON_Array:
		lua_createtable(L, cJSON_GetArraySize(j), 0);
		cJSON_ArrayForEach(item, j) {
			push(L, item, depth + 1);
			lua_rawseti(L, -2, ++n);
		}
		luaL_setmetatable(L, LIST_META);
		return;
	case cJSON_Object:
		lua_newtable(L);
		cJSON_ArrayForEach(item, j) {
			lua_pushstring(L, item->string);
			push(L, item, depth + 1);
			lua_rawset(L, -3);
		}
		return;
	default:
		lua_pushlightuserdata(L, NULL);
	}
}

void json_push_value(lua_State *L, const cJSON *j)
{
	if (j)
		push(L, j, 0);
	else
		lua_pushnil(L);
}

/* --- back, with raw access only: none of these can raise --- */

static bool is_list(lua_State *L, int idx)
{
	bool marked = false;
	if (lua_getmetatable(L, idx)) {
		luaL_getmetatable(L, LIST_META);
		marked = lua_rawequal(L, -1, -2);
		lua_pop(L, 2);
	}
	return marked || lua_rawlen(L, idx) > 0;
}

static cJSON *take(lua_State *L, int idx, int depth, struct perry_err **err);

static cJSON *take_list(lua_State *L, int idx, int depth, struct perry_err **err)
{
	cJSON *a = cJSON_CreateArray();
	size_t n = lua_rawlen(L, idx), seen = 0;
	for (size_t i = 1; i <= n; i++) {
		lua_rawgeti(L, idx, (lua_Integer)i);
		cJSON *v = take(L, lua_gettop(L), depth + 1, err);
		lua_pop(L, 1);
		if (!v) {
			perry_wrap(err, "[%zu]", i);
			cJSON_Delete(a);
			return NULL;
		}
		json_push(a, v);
	}
	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
		seen++;
	if (seen == n)
		return a;
	perry_fail(err, PERRY_EINTERNAL, "a table that is a list and has names too is no JSON");
	cJSON_Delete(a);
	return NULL;
}

static cJSON *take_object(lua_State *L, int idx, int depth, struct perry_err **err)
{
	cJSON *o = cJSON_CreateObject();
	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
		cJSON *v = NULL;
		if (lua_type(L, -2) != LUA_TSTRING)
			perry_fail(err, PERRY_EINTERNAL, "a key of type %s is no JSON",
				   lua_typename(L, lua_type(L, -2)));
		else
			v = take(L, lua_gettop(L), depth + 1, err);
		if (!v) {
			if (lua_type(L, -2) == LUA_TSTRING)
				perry_wrap(err, "%s", lua_tostring(L, -2));
			lua_pop(L, 2);
			cJSON_Delete(o);
			return NULL;
		}
		json_set(o, lua_tostring(L, -2), v);
	}
	return o;
}

static cJSON *take_string(lua_State *L, int idx)
{
	size_t n;
	const char *s = lua_tolstring(L, idx, &n);
	cleanup_buf struct buf clean = { 0 };
	if (utf8_valid(s, n) && !memchr(s, 0, n))
		return cJSON_CreateString(s);
	utf8_scrub(&clean, s, n);
	for (size_t i = 0; i < clean.len; i++)
		if (!clean.data[i])
			clean.data[i] = ' ';
	return cJSON_CreateString(buf_str(&clean));
}

static cJSON *take(lua_State *L, int idx, int depth, struct perry_err **err)
{
	if (depth > MAX_DEPTH || !lua_checkstack(L, 6)) {
		perry_fail(err, PERRY_EINTERNAL, "a value is nested too deeply (or contains itself)");
		return NULL;
	}
	switch (lua_type(L, idx)) {
	case LUA_TNIL:
		return cJSON_CreateNull();
	case LUA_TBOOLEAN:
		return cJSON_CreateBool(lua_toboolean(L, idx));
	case LUA_TNUMBER:
		if (isfinite(lua_tonumber(L, idx)))
			return cJSON_CreateNumber(lua_tonumber(L, idx));
		perry_fail(err, PERRY_EINTERNAL, "a number that is not finite is no JSON");
		return NULL;
	case LUA_TSTRING:
		return take_string(L, idx);
	case LUA_TTABLE:
		return is_list(L, idx) ? take_list(L, idx, depth, err) : take_object(L, idx, depth, err);
	case LUA_TLIGHTUSERDATA:
		if (!lua_touserdata(L, idx))
			return cJSON_CreateNull();
		/* fall through */
	default:
		perry_fail(err, PERRY_EINTERNAL, "a %s is no JSON", lua_typename(L, lua_type(L, idx)));
		return NULL;
	}
}

int json_of_value(lua_State *L, int idx, cJSON **out, struct perry_err **err)
{
	*out = take(L, lua_absindex(L, idx), 0, err);
	return *out ? 0 : -1;
}

void json_arg(lua_State *L, int idx, struct box *b, cJSON **slot)
{
	/* An argument that was left out is where the box lies now. */
	if (lua_isnoneornil(L, idx) || lua_touserdata(L, idx) == b)
		return;
	if (json_of_value(L, idx, slot, &b->err) < 0)
		box_raise(L, b);
}
