#include "policy/child/luapairs.h"

#include <stdlib.h>
#include <string.h>

#include "policy/child/luajson.h"

struct key {
	int rank; /* numbers 0, texts 1, booleans 2 */
	lua_Number num;
	lua_Integer integer;
	bool whole;
	const char *s;
	size_t len;
};

static void read_key(lua_State *L, int idx, struct key *k)
{
	*k = (struct key){ 0 };
	switch (lua_type(L, idx)) {
	case LUA_TNUMBER:
		k->whole = lua_isinteger(L, idx);
		k->integer = k->whole ? lua_tointeger(L, idx) : 0;
		k->num = lua_tonumber(L, idx);
		break;
	case LUA_TSTRING:
		k->rank = 1;
		k->s = lua_tolstring(L, idx, &k->len);
		break;
	case LUA_TBOOLEAN:
		k->rank = 2;
		k->num = lua_toboolean(L, idx);
		break;
	default:
		luaL_error(L, "a %s as key has no place in the order of pairs()", luaL_typename(L, idx));
	}
}

static int compare_keys(const void *x, const void *y)
{
	const struct key *a = x, *b = y;
	if (a->rank != b->rank)
		return a->rank - b->rank;
	if (a->rank == 1) {
		int d = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);
		return d ? d : (a->len > b->len) - (a->len < b->len);
	}
	if (a->whole && b->whole)
		return (a->integer > b->integer) - (a->integer < b->integer);
	return (a->num > b->num) - (a->num < b->num);
}

static void push_key(lua_State *L, const struct key *k)
{
	if (k->rank == 1)
		lua_pushlstring(L, k->s, k->len);
	else if (k->rank == 2)
		lua_pushboolean(L, k->num != 0);
	else if (k->whole)
		lua_pushinteger(L, k->integer);
	else
		lua_pushnumber(L, k->num);
}

/* Upvalues: the table, the list of its keys, the position in it. Keys that were removed meanwhile are passed over. */
static int pairs_step(lua_State *L)
{
	lua_Integer i = lua_tointeger(L, lua_upvalueindex(3));
	while (lua_rawgeti(L, lua_upvalueindex(2), ++i) != LUA_TNIL) {
		lua_pushvalue(L, -1);
		if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
			lua_pushinteger(L, i);
			lua_replace(L, lua_upvalueindex(3));
			return 2;
		}
		lua_pop(L, 2);
	}
	return 1;
}

int lj_pairs(lua_State *L)
{
	luaL_checkany(L, 1);
	if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
		lua_pushvalue(L, 1);
		lua_call(L, 1, 3);
		return 3;
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lj_push_real(L, 1); /* 2 */
	size_t n = 0, at = 0;
	for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
		n++;
	struct key *keys = lua_newuserdatauv(L, (n + 1) * sizeof *keys, 0);
	for (lua_pushnil(L); lua_next(L, 2) && at < n; lua_pop(L, 1))
		read_key(L, -2, &keys[at++]);
	lua_settop(L, 3);
	qsort(keys, n, sizeof *keys, compare_keys);
	lua_pushvalue(L, 2);
	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		push_key(L, &keys[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, pairs_step, 3);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

int lj_next(lua_State *L)
{
	struct key best = { 0 }, last = { 0 }, k;
	bool found = false, any = lua_isnoneornil(L, 2);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	if (!any)
		read_key(L, 2, &last);
	lj_push_real(L, 1); /* 3 */
	for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
		read_key(L, -2, &k);
		if ((any || compare_keys(&k, &last) > 0) && (!found || compare_keys(&k, &best) < 0)) {
			best = k;
			found = true;
		}
	}
	if (!found) {
		lua_pushnil(L);
		return 1;
	}
	push_key(L, &best);
	lua_pushvalue(L, -1);
	lua_rawget(L, 3);
	return 2;
}
