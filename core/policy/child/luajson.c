#include "policy/child/luajson.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "policy/child/facts.h"

/* Registry keys are the addresses of these. */
static char array_mt, view_mt, opaque_mt;
/* Keys of a view's own fields; Lua code cannot make such keys. */
static char real_key, path_key, free_key;

static const char *const fields[] = {
#define X(path) path,
	POLICY_FACTS(X)
#undef X
		NULL
};

static const char *path_of(lua_State *L, int idx)
{
	idx = lua_absindex(L, idx);
	lua_rawgetp(L, idx, &path_key);
	const char *path = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "value";
	lua_pop(L, 1); /* the view holds on to it */
	return path;
}

/* -- views -- */

/* Does the table know this field below path? nearest is set when it does not but knows others. */
static bool field_known(const char *path, const char *name, const char **nearest)
{
	const char *names[ARRAY_LEN(fields)];
	size_t n = 0, len = strlen(path);
	for (size_t i = 0; fields[i]; i++) {
		if (strncmp(fields[i], path, len) != 0 || fields[i][len] != '.')
			continue;
		const char *rest = fields[i] + len + 1;
		if (strcmp(rest, name) == 0 || strcmp(rest, "*") == 0)
			return true;
		if (!strchr(rest, '.') && !strchr(rest, '['))
			names[n++] = rest;
	}
	names[n] = NULL;
	*nearest = str_nearest(name, names);
	return n == 0;
}

static const char *nearest_member(lua_State *L, int table, const char *name)
{
	const char *names[128];
	size_t n = 0;
	table = lua_absindex(L, table);
	for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
		if (lua_type(L, -2) == LUA_TSTRING && n < ARRAY_LEN(names) - 1)
			names[n++] = lua_tostring(L, -2);
	names[n] = NULL;
	return str_nearest(name, names);
}

static int view_index(lua_State *L)
{
	lua_rawgetp(L, 1, &real_key);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, -2) != LUA_TNIL || lua_type(L, 2) != LUA_TSTRING)
		return 1;
	const char *path = path_of(L, 1), *name = lua_tostring(L, 2), *nearest = NULL;
	lua_rawgetp(L, 1, &free_key);
	if (lua_toboolean(L, -1)) { /* protected library: its members are all there are */
		nearest = nearest_member(L, -3, name);
	} else {
		if (field_known(path, name, &nearest)) {
			lua_pushnil(L);
			return 1;
		}
	}
	if (nearest)
		return luaL_error(L, "'%s' has no field '%s' (did you mean '%s'?)", path, name, nearest);
	return luaL_error(L, "'%s' has no field '%s'", path, name);
}

static int view_newindex(lua_State *L)
{
	return luaL_error(L, "'%s' is read-only", path_of(L, 1));
}

static int view_len(lua_State *L)
{
	lua_rawgetp(L, 1, &real_key);
	lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
	return 1;
}

/* Replaces the table on top. */
static void make_view(lua_State *L, const char *path, bool library)
{
	lua_createtable(L, 0, 3);
	lua_insert(L, -2);
	lua_rawsetp(L, -2, &real_key);
	lua_pushstring(L, path);
	lua_rawsetp(L, -2, &path_key);
	lua_pushboolean(L, library);
	lua_rawsetp(L, -2, &free_key);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &view_mt);
	lua_setmetatable(L, -2);
}

void lj_protect(lua_State *L, const char *path)
{
	make_view(L, path, true);
}

void lj_push_real(lua_State *L, int idx)
{
	idx = lua_absindex(L, idx);
	if (lua_type(L, idx) == LUA_TTABLE && lua_rawgetp(L, idx, &real_key) == LUA_TTABLE)
		return;
	if (lua_type(L, idx) == LUA_TTABLE)
		lua_pop(L, 1);
	lua_pushvalue(L, idx);
}

/* -- opaque values -- */

static bool is_opaque(lua_State *L, int idx)
{
	idx = lua_absindex(L, idx);
	if (lua_type(L, idx) != LUA_TTABLE || !lua_getmetatable(L, idx))
		return false;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &opaque_mt);
	bool same = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return same;
}

void lj_seal(lua_State *L)
{
	lua_createtable(L, 0, 1);
	lua_insert(L, -2);
	lua_rawsetp(L, -2, &real_key);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &opaque_mt);
	lua_setmetatable(L, -2);
}

static int opaque_index(lua_State *L)
{
	return luaL_error(L, "a reference has no fields: what it stands for is known to the agent only");
}

static int opaque_tostring(lua_State *L)
{
	lua_rawgetp(L, 1, &real_key);
	lua_getfield(L, -1, "$secret");
	if (lua_type(L, -1) == LUA_TSTRING)
		lua_pushfstring(L, "secret(%s)", lua_tostring(L, -1));
	else
		lua_pushliteral(L, "reference");
	return 1;
}

static int opaque_concat(lua_State *L)
{
	lua_createtable(L, 0, 1);
	lua_createtable(L, 2, 0);
	for (int i = 1; i <= 2; i++) {
		int type = lua_type(L, i);
		if (type != LUA_TSTRING && type != LUA_TNUMBER && !is_opaque(L, i))
			return luaL_error(L, "a secret can be joined to text only, not to a %s", luaL_typename(L, i));
		lua_pushvalue(L, i);
		if (type == LUA_TNUMBER)
			lua_tostring(L, -1);
		lua_rawseti(L, -2, i);
	}
	lua_setfield(L, -2, "$concat");
	lj_seal(L);
	return 1;
}

/* -- arrays -- */

void lj_mark_array(lua_State *L, int idx)
{
	idx = lua_absindex(L, idx);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &array_mt);
	lua_setmetatable(L, idx);
}

static bool is_array(lua_State *L, int idx)
{
	idx = lua_absindex(L, idx);
	if (!lua_getmetatable(L, idx))
		return false;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &array_mt);
	bool same = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return same;
}

static void new_metatable(lua_State *L, void *key, const luaL_Reg *fns, const char *shown)
{
	lua_newtable(L);
	luaL_setfuncs(L, fns, 0);
	lua_pushstring(L, shown);
	lua_setfield(L, -2, "__metatable");
	lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void lj_open(lua_State *L)
{
	static const luaL_Reg none[] = { { NULL, NULL } };
	static const luaL_Reg view[] = {
		{ "__index", view_index }, { "__newindex", view_newindex }, { "__len", view_len }, { NULL, NULL }
	};
	static const luaL_Reg opaque[] = {
		{ "__index", opaque_index },   { "__newindex", opaque_index }, { "__tostring", opaque_tostring },
		{ "__concat", opaque_concat }, { "__len", opaque_index },      { NULL, NULL },
	};
	new_metatable(L, &array_mt, none, "list");
	new_metatable(L, &view_mt, view, "read-only");
	new_metatable(L, &opaque_mt, opaque, "reference");
}

/* -- JSON to Lua -- */

static void push_number(lua_State *L, double v)
{
	if (v == floor(v) && fabs(v) <= 9007199254740992.0)
		lua_pushinteger(L, (lua_Integer)v);
	else
		lua_pushnumber(L, v);
}

static bool is_reference(const cJSON *j)
{
	const cJSON *only = j->child;
	return only && !only->next && only->string &&
	       (strcmp(only->string, "$secret") == 0 || strcmp(only->string, "$concat") == 0 ||
		strcmp(only->string, "$key") == 0);
}

/* path NULL: plain tables; else views. */
static void push(lua_State *L, const cJSON *j, bool opaque, const char *path, int depth)
{
	luaL_checkstack(L, 8, "value too deep");
	if (!j || cJSON_IsNull(j))
		lua_pushnil(L);
	else if (cJSON_IsBool(j))
		lua_pushboolean(L, cJSON_IsTrue(j));
	else if (cJSON_IsNumber(j))
		push_number(L, j->valuedouble);
	else if (cJSON_IsString(j))
		lua_pushstring(L, j->valuestring);
	else if (depth > JSON_MAX_DEPTH)
		luaL_error(L, "more than %d levels", JSON_MAX_DEPTH);
	else {
		bool list = cJSON_IsArray(j), seal = opaque && !list && is_reference(j);
		lua_newtable(L);
		lua_Integer i = 0;
		for (const cJSON *c = j->child; c; c = c->next) {
			const char *below = NULL;
			if (path && !seal)
				below = list ? lua_pushfstring(L, "%s[]", path)
					     : lua_pushfstring(L, "%s.%s", path, c->string);
			push(L, c, opaque, below, depth + 1);
			if (below)
				lua_remove(L, -2);
			if (list)
				lua_rawseti(L, -2, ++i);
			else
				lua_setfield(L, -2, c->string);
		}
		if (list)
			lj_mark_array(L, -1);
		if (seal)
			lj_seal(L);
		else if (path)
			make_view(L, path, false);
	}
}

void lj_push(lua_State *L, const cJSON *j, bool opaque)
{
	push(L, j, opaque, NULL, 0);
}

void lj_push_facts(lua_State *L, const cJSON *j, bool opaque, const char *path)
{
	push(L, j, opaque, path, 0);
}

/* -- Lua to JSON -- */

struct reader {
	lua_State *L;
	struct buf path, *why;
	const void *above[JSON_MAX_DEPTH + 1];
	size_t total;
};

static cJSON *refuse(struct reader *r, const char *text)
{
	if (!r->why->len)
		buf_addf(r->why, "%s: %s", buf_str(&r->path), text);
	return NULL;
}

static cJSON *read_value(struct reader *r, int depth, bool inside_opaque);

static cJSON *read_number(struct reader *r)
{
	if (lua_isinteger(r->L, -1)) {
		lua_Integer v = lua_tointeger(r->L, -1);
		if (v > 9007199254740992 || v < -9007199254740992)
			return refuse(r, "the number is too large to be exact in JSON; pass it as text");
		return cJSON_CreateNumber((double)v);
	}
	double v = lua_tonumber(r->L, -1);
	return isfinite(v) ? cJSON_CreateNumber(v) : refuse(r, isnan(v) ? "not a number (nan)" : "an infinite number");
}

static bool text_fine(struct reader *r, const char *s, size_t n)
{
	const char *what = NULL;
	r->total += n;
	if (n > LJ_MAX_STRING || r->total > LJ_MAX_TOTAL)
		what = n > LJ_MAX_STRING ? "a text of more than 1 MiB" : "more than 4 MiB in all";
	else if (memchr(s, 0, n))
		what = "a text with a NUL byte";
	else if (!utf8_valid(s, n))
		what = "a text that is not UTF-8";
	if (what)
		refuse(r, what);
	return !what;
}

static bool read_list(struct reader *r, cJSON *out, size_t n, int depth, bool in_opaque)
{
	size_t mark = r->path.len;
	for (size_t i = 1; i <= n; i++) {
		buf_addf(&r->path, "[%zu]", i);
		lua_rawgeti(r->L, -1, (lua_Integer)i);
		cJSON *v = read_value(r, depth, in_opaque);
		lua_pop(r->L, 1);
		if (!v)
			return false;
		json_push(out, v);
		r->path.len = mark;
		r->path.data[mark] = 0;
	}
	return true;
}

static bool read_fields(struct reader *r, cJSON *out, int depth, bool in_opaque)
{
	size_t mark = r->path.len;
	lua_State *L = r->L;
	for (lua_pushnil(L); lua_next(L, -2);) {
		size_t n;
		const char *key = lua_tolstring(L, -2, &n); /* a text already: nothing is converted */
		bool fine = text_fine(r, key, n);
		buf_addf(&r->path, ".%s", key);
		if (fine && !in_opaque && key[0] == '$')
			fine = refuse(r, "names that begin with $ are for perry.secret and perry.key") != NULL;
		cJSON *v = fine ? read_value(r, depth, in_opaque) : NULL;
		lua_pop(L, 1);
		if (!v) {
			lua_pop(L, 1);
			return false;
		}
		cJSON_AddItemToObject(out, key, v);
		r->path.len = mark;
		r->path.data[mark] = 0;
	}
	return true;
}

/* Counts keys: whole numbers from 1 without a gap, or texts. */
static bool classify(struct reader *r, bool *list, size_t *n)
{
	lua_State *L = r->L;
	size_t numbers = 0, names = 0;
	lua_Integer max = 0;
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
		if (lua_type(L, -2) == LUA_TSTRING) {
			names++;
			continue;
		}
		lua_Integer i = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
		if (i < 1) {
			lua_pop(L, 2);
			refuse(r, "a key that is neither a text nor a position");
			return false;
		}
		numbers++;
		max = i > max ? i : max;
	}
	if (numbers && names)
		refuse(r, "both a list and named fields");
	else if ((size_t)max != numbers)
		refuse(r, "a list with gaps");
	*list = numbers || (!names && is_array(L, -1));
	*n = numbers;
	r->total += 16 * (numbers + names);
	if (r->total > LJ_MAX_TOTAL)
		refuse(r, "more than 4 MiB in all");
	return !r->why->len;
}

/* The table is on top. */
static cJSON *read_table(struct reader *r, int depth, bool in_opaque)
{
	lua_State *L = r->L;
	if (depth > JSON_MAX_DEPTH)
		return refuse(r, "more than 64 levels");
	if (!lua_checkstack(L, 8))
		return refuse(r, "too deep");
	bool opaque = in_opaque || is_opaque(L, -1);
	lj_push_real(L, -1);
	const void *self = lua_topointer(L, -1);
	cJSON *out = NULL;
	bool list = false, fine = true;
	size_t n = 0;
	for (int i = 0; i < depth; i++)
		if (r->above[i] == self)
			fine = refuse(r, "a table that contains itself") != NULL;
	r->above[depth] = self;
	if (fine && classify(r, &list, &n)) {
		out = list ? cJSON_CreateArray() : cJSON_CreateObject();
		fine = list ? read_list(r, out, n, depth + 1, opaque) : read_fields(r, out, depth + 1, opaque);
		if (!fine) {
			cJSON_Delete(out);
			out = NULL;
		}
	}
	lua_pop(L, 1);
	return out;
}

static cJSON *read_value(struct reader *r, int depth, bool in_opaque)
{
	size_t n;
	const char *s;
	switch (lua_type(r->L, -1)) {
	case LUA_TNIL:
		return cJSON_CreateNull();
	case LUA_TBOOLEAN:
		return cJSON_CreateBool(lua_toboolean(r->L, -1));
	case LUA_TNUMBER:
		return read_number(r);
	case LUA_TSTRING:
		s = lua_tolstring(r->L, -1, &n);
		return text_fine(r, s, n) ? cJSON_CreateString(s) : NULL;
	case LUA_TTABLE:
		return read_table(r, depth, in_opaque);
	default:
		buf_addf(r->why, "%s: a %s cannot be passed on", buf_str(&r->path),
			 lua_typename(r->L, lua_type(r->L, -1)));
		return NULL;
	}
}

cJSON *lj_get(lua_State *L, int idx, const char *path, struct buf *why)
{
	struct reader r = { .L = L, .why = why };
	buf_adds(&r.path, path);
	idx = lua_absindex(L, idx);
	cJSON *out = NULL;
	if (lua_checkstack(L, 8)) {
		lua_pushvalue(L, idx);
		out = read_value(&r, 0, false);
		lua_pop(L, 1);
	} else {
		refuse(&r, "too deep");
	}
	buf_free(&r.path);
	return out;
}
