/* Boxes own what C allocates in a binding; errors of the core become Lua errors and back. */
#include <string.h>

#include "base/mem.h"
#include "lua/internal.h"

#define BOX_META "perry.box"
#define ERR_META "perry.error"

void box_clear(struct box *b)
{
	cJSON_Delete(b->in);
	cJSON_Delete(b->in2);
	cJSON_Delete(b->out);
	perry_err_free(b->err);
	/* Any of the buffers may have held a secret. */
	if (b->buf.data)
		wipe(b->buf.data, b->buf.cap);
	buf_free(&b->buf);
	buf_free(&b->exec.out);
	buf_free(&b->exec.err);
	tar_free(b->tar);
	docker_stream_free(b->stream);
	free(b->text);
	for (char **p = b->list; p && *p; p++)
		free(*p);
	free(b->list);
	memset(b, 0, sizeof *b);
}

static int box_gc(lua_State *L)
{
	box_clear(lua_touserdata(L, 1));
	return 0;
}

static int err_text(lua_State *L)
{
	lua_getfield(L, 1, "message");
	return 1;
}

void box_open(lua_State *L)
{
	luaL_newmetatable(L, BOX_META);
	lua_pushcfunction(L, box_gc);
	lua_setfield(L, -2, "__gc");
	luaL_newmetatable(L, ERR_META);
	lua_pushcfunction(L, err_text);
	lua_setfield(L, -2, "__tostring");
	lua_pop(L, 2);
}

struct box *box_new(lua_State *L)
{
	struct box *b = lua_newuserdatauv(L, sizeof *b, 0);
	memset(b, 0, sizeof *b);
	luaL_setmetatable(L, BOX_META);
	return b;
}

void err_push(lua_State *L, const struct perry_err *e)
{
	enum perry_code code = e ? e->code : PERRY_EINTERNAL;
	lua_createtable(L, 0, 4);
	lua_pushstring(L, perry_code_row(code)->api_code);
	lua_setfield(L, -2, "code");
	lua_pushstring(L, perry_msg(e));
	lua_setfield(L, -2, "message");
	lua_pushinteger(L, e ? e->status : 0);
	lua_setfield(L, -2, "status");
	if (e && e->data) {
		json_push_value(L, e->data);
		lua_setfield(L, -2, "data");
	}
	luaL_setmetatable(L, ERR_META);
}

int box_raise(lua_State *L, struct box *b)
{
	err_push(L, b->err);
	box_clear(b);
	return lua_error(L);
}

int box_ok(lua_State *L, struct box *b, int rc)
{
	if (rc < 0)
		return box_raise(L, b);
	box_clear(b);
	return 0;
}

int box_json(lua_State *L, struct box *b, int rc)
{
	if (rc < 0)
		return box_raise(L, b);
	json_push_value(L, b->out);
	box_clear(b);
	return 1;
}

int box_text(lua_State *L, struct box *b, int rc, const char *text)
{
	if (rc < 0)
		return box_raise(L, b);
	lua_pushstring(L, text);
	box_clear(b);
	return 1;
}

int box_found(lua_State *L, struct box *b, int rc)
{
	if (rc < 0 && b->err->code == PERRY_ENOTFOUND) {
		box_clear(b);
		lua_pushnil(L);
		return 1;
	}
	return box_json(L, b, rc);
}

static const char *raw_string(lua_State *L, int idx, const char *name)
{
	lua_pushstring(L, name); /* short and interned when the library was opened: no allocation that could fail */
	lua_rawget(L, idx);
	const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
	lua_pop(L, 1); /* the table still holds it */
	return s;
}

struct perry_err *err_of_value(lua_State *L, int idx)
{
	struct perry_err *e = NULL;
	idx = lua_absindex(L, idx);
	if (lua_type(L, idx) == LUA_TSTRING) {
		perry_fail(&e, PERRY_EINTERNAL, "%s", lua_tostring(L, idx));
		return e;
	}
	const char *message = lua_istable(L, idx) ? raw_string(L, idx, "message") : NULL;
	if (!message) {
		perry_fail(&e, PERRY_EINTERNAL, "an error of type %s", lua_typename(L, lua_type(L, idx)));
		return e;
	}
	const char *code = raw_string(L, idx, "code");
	perry_fail(&e, code ? perry_code_from_api(code) : PERRY_EINTERNAL, "%s", message);
	lua_pushliteral(L, "status");
	lua_rawget(L, idx);
	e->status = (int)lua_tointeger(L, -1);
	lua_pop(L, 1);
	lua_pushliteral(L, "data");
	lua_rawget(L, idx);
	if (lua_istable(L, -1))
		json_of_value(L, -1, &e->data, NULL);
	lua_pop(L, 1);
	return e;
}
