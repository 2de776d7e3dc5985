/* JSON into Lua and back, plain and as facts; and whatever a Lua expression makes, out to JSON. What comes back from a
 * JSON text is what went in. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/child/luajson.h"
#include "policy/contract/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int push_plain(lua_State *L)
{
	lj_push(L, lua_touserdata(L, 1), true);
	return 1;
}

static int push_facts(lua_State *L)
{
	lj_push_facts(L, lua_touserdata(L, 1), true, "ws");
	return 1;
}

/* Dollar names are refused on the way back unless they are references: such inputs are only looked at for crashes. */
static int has_dollar(const cJSON *j)
{
	for (const cJSON *c = j->child; c; c = c->next)
		if ((c->string && c->string[0] == '$') || has_dollar(c))
			return 1;
	return 0;
}

static int has_special(const cJSON *j)
{
	if (cJSON_IsNull(j) || (cJSON_IsNumber(j) && (j->valuedouble > 9e15 || j->valuedouble < -9e15)))
		return 1; /* null is absence in Lua; large numbers may be refused */
	const cJSON *c, *d;
	for (c = j->child; c; c = c->next) {
		if (has_special(c))
			return 1;
		for (d = c->next; d && c->string; d = d->next)
			if (d->string && strcmp(c->string, d->string) == 0)
				return 1; /* the last of two counts */
	}
	return 0;
}

static void there_and_back(lua_State *L, cJSON *j, lua_CFunction how)
{
	struct buf why = { 0 };
	lua_pushcfunction(L, how);
	lua_pushlightuserdata(L, j);
	if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
		int top = lua_gettop(L);
		cJSON *back = lj_get(L, -1, "v", &why);
		if (lua_gettop(L) != top || !back != (why.len > 0))
			abort();
		if (!has_dollar(j) && !has_special(j) && (!back || !json_equal(j, back)))
			abort();
		cJSON_Delete(back);
	}
	lua_settop(L, 0);
	buf_free(&why);
}

static void as_answer(const cJSON *j)
{
	static const char *const types[] = { "container", "env",        "image", "hostname",  "join",   "idle",
					     "ports",     "deregister", "up",    "collision", "consent" };
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct buf why = { 0 };
		cJSON *copy = cJSON_Duplicate(j, 1);
		int r = result_check(types[i], &copy, &why);
		if ((r < 0) != (why.len > 0))
			abort();
		if (r == 0) { /* what is canonical stays as it is */
			char *once = json_canonical(copy);
			if (result_check(types[i], &copy, &why) < 0)
				abort();
			char *twice = json_canonical(copy);
			if (strcmp(once, twice) != 0)
				abort();
			free(once);
			free(twice);
		}
		cJSON_Delete(copy);
		buf_free(&why);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cJSON *j = size <= 65536 ? json_parse((const char *)data, size, "fuzz", NULL) : NULL;
	lua_State *L = luaL_newstate();
	lj_open(L);
	if (j) {
		there_and_back(L, j, push_plain);
		there_and_back(L, j, push_facts);
		as_answer(j);
	} else if (size < 4096) {
		/* No JSON: a Lua table constructor, compiled with nothing in its environment and not looping. */
		struct buf why = { 0 };
		char *code = xasprintf("return {%.*s}", (int)size, (const char *)data);
		if (strlen(code) == size + 9 && !strpbrk(code, "(:\"'[=~^*") &&
		    luaL_loadbufferx(L, code, size + 9, "fuzz", "t") == LUA_OK && lua_pcall(L, 0, 1, 0) == LUA_OK)
			cJSON_Delete(lj_get(L, -1, "v", &why));
		free(code);
		buf_free(&why);
	}
	lua_close(L);
	cJSON_Delete(j);
	return 0;
}
