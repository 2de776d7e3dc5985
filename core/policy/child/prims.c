#include "policy/child/prims.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/sha256.h"
#include "policy/child/luajson.h"
#include "policy/contract/frame.h"

#define MAX_LOG (64u << 10)

const char refused_key = 0;

/* -- what C owns while Lua may raise -- */

struct box {
	cJSON *json;
	char *text;
};
static char box_mt;

static int box_free(lua_State *L)
{
	struct box *b = lua_touserdata(L, 1);
	cJSON_Delete(b->json);
	free(b->text);
	*b = (struct box){ 0 };
	return 0;
}

static struct box *box_push(lua_State *L)
{
	struct box *b = lua_newuserdatauv(L, sizeof *b, 0);
	*b = (struct box){ 0 };
	lua_rawgetp(L, LUA_REGISTRYINDEX, &box_mt);
	lua_setmetatable(L, -2);
	return b;
}

/* The value at idx, in the box; raises with the path when it is no JSON. */
static cJSON *take_value(lua_State *L, int idx, struct box *b, const char *path)
{
	struct buf why = { 0 };
	b->json = lj_get(L, idx, path, &why);
	b->text = buf_take(&why);
	if (!b->json)
		luaL_error(L, "%s", b->text);
	return b->json;
}

/* -- requests -- */

/* NULL with *why (caller's). */
static cJSON *host_request(struct host *h, const char *name, cJSON *args, char **why)
{
	cleanup_json cJSON *msg = cJSON_CreateObject();
	json_set_str(msg, "call", name);
	json_set_str(msg, "layer", h->hook->layer->name);
	json_set(msg, "args", args);
	host_send(h, msg);
	h->in_io = 1;
	cJSON *reply = frame_recv(h->fd);
	h->in_io = 0;
	if (!reply)
		_exit(0);
	const char *error = json_str(reply, "error");
	if (error)
		*why = xstrdup(error);
	return reply;
}

/* Sends what the box on top holds; leaves one result. */
static int request(lua_State *L, struct box *b, const char *name)
{
	struct host *h = layer_of(L)->host;
	const char *denied = call_denied(call_find(name), h->point);
	if (denied)
		return luaL_error(L, "perry.%s: %s", name, denied);
	cJSON *args = take_ptr(b->json);
	free(take_ptr(b->text));
	b->json = host_request(h, name, args, &b->text);
	if (b->text)
		return luaL_error(L, "perry.%s: %s", name, b->text);
	lj_push(L, cJSON_GetObjectItemCaseSensitive(b->json, "ok"), false);
	cJSON_Delete(take_ptr(b->json));
	return 1;
}

static int docker_inspect(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1), *kind = luaL_optstring(L, 2, "container");
	static const char *const kinds[] = { "container", "image", "volume", "network", NULL };
	luaL_checkoption(L, 2, "container", kinds);
	struct box *b = box_push(L);
	b->json = cJSON_CreateObject();
	json_set_str(b->json, "name", name);
	json_set_str(b->json, "kind", kind);
	return request(L, b, "docker.inspect");
}

/* The table at idx, or {} when there is none. */
static int request_table(lua_State *L, const char *name, bool optional)
{
	if (!optional || !lua_isnoneornil(L, 1))
		luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	struct box *b = box_push(L);
	if (lua_istable(L, 1))
		take_value(L, 1, b, name);
	else
		b->json = cJSON_CreateObject();
	return request(L, b, name);
}

static int docker_list(lua_State *L)
{
	return request_table(L, "docker.list", true);
}

static int docker_exec(lua_State *L)
{
	return request_table(L, "docker.exec", false);
}

static int run_command(lua_State *L)
{
	return request_table(L, "run", false);
}

static int http_request(lua_State *L)
{
	return request_table(L, "http.request", false);
}

static int http_get(lua_State *L)
{
	const char *url = luaL_checkstring(L, 1);
	lua_settop(L, 2);
	struct box *b = box_push(L);
	if (lua_istable(L, 2))
		take_value(L, 2, b, "http.get");
	else
		b->json = cJSON_CreateObject();
	if (!cJSON_IsObject(b->json))
		return luaL_argerror(L, 2, "expected {headers=, timeout=}");
	json_set_str(b->json, "url", url);
	return request(L, b, "http.get");
}

static int kv_get(lua_State *L)
{
	const char *key = luaL_checkstring(L, 1);
	struct box *b = box_push(L);
	b->json = cJSON_CreateObject();
	json_set_str(b->json, "key", key);
	return request(L, b, "kv.get");
}

static int kv_set(lua_State *L)
{
	const char *key = luaL_checkstring(L, 1);
	lua_settop(L, 2);
	struct box *b = box_push(L);
	cJSON *value = take_value(L, 2, b, "value"), *args = cJSON_CreateObject();
	json_set_str(args, "key", key);
	json_set(args, "value", value);
	b->json = args;
	return request(L, b, "kv.set");
}

/* -- answered here -- */

static bool is_secret(const cJSON *j)
{
	return j->child && j->child->string && strcmp(j->child->string, "$secret") == 0;
}

static void drop_secrets(cJSON *j)
{
	for (cJSON *c = j->child, *next; c; c = next) {
		next = c->next;
		if (is_secret(c))
			cJSON_Delete(cJSON_DetachItemViaPointer(j, c));
		else
			drop_secrets(c);
	}
}

/* A pack has references to its own secrets, by perry.secret, and to no others. */
static int config(lua_State *L)
{
	const char *key = luaL_checkstring(L, 1);
	const struct layer *layer = layer_of(L);
	const cJSON *value = json_at(layer->host->config, key);
	if (!layer->needs || !value) {
		lj_push(L, value, true);
		return 1;
	}
	struct box *b = box_push(L);
	b->json = cJSON_CreateObject();
	json_set(b->json, "value", cJSON_Duplicate(value, 1));
	drop_secrets(b->json);
	lj_push(L, cJSON_GetObjectItemCaseSensitive(b->json, "value"), true);
	return 1;
}

static int setting(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	const cJSON *settings = layer_of(L)->settings;
	lj_push(L, settings ? cJSON_GetObjectItemCaseSensitive(settings, name) : NULL, true);
	return 1;
}

/* Of a pack: what config.json put in the place of a secret setting. */
static int own_secret(lua_State *L, const char *name)
{
	const struct layer *layer = layer_of(L);
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(layer->settings, name);
	if (!value || !is_secret(value))
		return luaL_error(L,
				  "the pack '%s' has no secret setting '%s', or it is not set (packs.%s.%s in "
				  "config.json: the name of a secret)",
				  layer->name, name, layer->name, name);
	lj_push(L, value, true);
	return 1;
}

static int secret(lua_State *L)
{
	size_t n;
	luaL_checklstring(L, 1, &n);
	luaL_argcheck(L, n > 0 && n <= 128, 1, "the name of a secret in config.json expected");
	if (layer_of(L)->needs)
		return own_secret(L, lua_tostring(L, 1));
	lua_createtable(L, 0, 1);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, "$secret");
	lj_seal(L);
	return 1;
}

static int write_log(lua_State *L)
{
	struct host *h = layer_of(L)->host;
	luaL_Buffer out;
	int n = lua_gettop(L);
	luaL_buffinit(L, &out);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&out, ' ');
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&out);
	}
	luaL_pushresult(&out);
	size_t len;
	const char *text = lua_tolstring(L, -1, &len);
	if (h->logged + len > MAX_LOG)
		return 0;
	h->logged += len + 1;
	struct box *b = box_push(L);
	b->json = cJSON_CreateObject();
	cJSON *line = json_obj(b->json, "log");
	json_set_strn(line, "text", text, len);
	json_set_str(line, "layer", h->hook ? h->hook->layer->name : NULL);
	json_set_str(line, "point", h->point ? h->point->name : NULL);
	host_send(h, b->json);
	return 0;
}

static int now(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)layer_of(L)->host->time);
	return 1;
}

/* a-z, 0-9 and single hyphens; what is too long is cut and gets a hash, so that two long names stay two. */
static int label(lua_State *L)
{
	size_t n, out = 0;
	const unsigned char *s = (const unsigned char *)luaL_checklstring(L, 1, &n);
	char text[64], hash[65];
	bool cut = false;
	for (size_t i = 0; i < n; i++) {
		char c = isalnum(s[i]) && s[i] < 0x80 ? (char)tolower(s[i]) : '-';
		if (c == '-' && (out == 0 || text[out - 1] == '-'))
			continue;
		if (out == 63) {
			cut = true;
			break;
		}
		text[out++] = c;
	}
	while (out && text[out - 1] == '-')
		out--;
	if (cut || out == 0) {
		sha256_hex(s, n, hash);
		out = out > 54 ? 54 : out;
		while (out && text[out - 1] == '-')
			out--;
		memcpy(text + out, out ? "-" : "x", 1);
		memcpy(text + out + 1, hash, 8);
		out += 9;
	}
	lua_pushlstring(L, text, out);
	return 1;
}

static int bytes(lua_State *L)
{
	long long n;
	if (lua_type(L, 1) == LUA_TNUMBER) {
		lua_settop(L, 1);
		return 1;
	}
	const char *text = luaL_checkstring(L, 1);
	if (str_to_bytes(text, &n) < 0)
		return luaL_error(L, "'%s' is no size (512MiB, 4GiB, 1024)", text);
	lua_pushinteger(L, n);
	return 1;
}

static int refuse(lua_State *L)
{
	luaL_checkstring(L, 1);
	lua_createtable(L, 0, 1);
	lua_pushvalue(L, 1);
	lua_rawsetp(L, -2, &refused_key);
	return lua_error(L);
}

static bool has_reference(const cJSON *j)
{
	for (const cJSON *c = j->child; c; c = c->next)
		if ((c->string && c->string[0] == '$') || has_reference(c))
			return true;
	return false;
}

static int json_encode(lua_State *L)
{
	luaL_checkany(L, 1);
	lua_settop(L, 1);
	struct box *b = box_push(L);
	if (has_reference(take_value(L, 1, b, "value")))
		return luaL_error(L,
				  "a secret cannot be encoded here; give perry.http.request the table as json = {...}");
	free(b->text);
	b->text = json_canonical(b->json); /* the same value, the same text */
	lua_pushstring(L, b->text);
	return 1;
}

static int json_decode(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);
	struct perry_err *err = NULL;
	struct box *b = box_push(L);
	b->json = json_parse(text, n, "JSON", &err);
	if (!b->json) {
		b->text = xstrdup(perry_msg(err));
		perry_err_free(err);
		return luaL_error(L, "%s", b->text);
	}
	lj_push(L, b->json, false);
	return 1;
}

static int json_array(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	if (lua_getmetatable(L, 1))
		return luaL_argerror(L, 1, "this table has a metatable already");
	lj_mark_array(L, 1);
	return 1;
}

/* {"$key": {"kind": kind, ...}}, from the table on top. */
static int key_of(lua_State *L, const char *kind)
{
	lua_pushstring(L, kind);
	lua_setfield(L, -2, "kind");
	lua_createtable(L, 0, 1);
	lua_insert(L, -2);
	lua_setfield(L, -2, "$key");
	lj_seal(L);
	return 1;
}

static int key_text(lua_State *L, const char *kind, const char *field)
{
	luaL_checkstring(L, 1);
	lua_settop(L, 1);
	lua_newtable(L);
	lua_pushvalue(L, 1);
	lua_setfield(L, -2, field);
	return key_of(L, kind);
}

static int key_table(lua_State *L, const char *kind, const char *const *allowed)
{
	if (lua_isnoneornil(L, 1)) {
		lua_settop(L, 0);
		lua_newtable(L);
	}
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, 1);) {
		const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
		const char *const *a = allowed;
		while (*a && strcmp(*a, name) != 0)
			a++;
		if (!*a)
			return luaL_error(L, "perry.key.%s has no field '%s'", kind, name);
		lua_setfield(L, 2, *a);
	}
	return key_of(L, kind);
}

static int key_config(lua_State *L)
{
	lua_newtable(L);
	return key_of(L, "config");
}

static int key_file(lua_State *L)
{
	return key_text(L, "file", "path");
}

static int key_env(lua_State *L)
{
	return key_text(L, "env", "name");
}

static int key_mint(lua_State *L)
{
	static const char *const fields[] = { "credential", "tags", "ephemeral", "expiry", NULL };
	return key_table(L, "mint", fields);
}

static int key_http(lua_State *L)
{
	static const char *const fields[] = { "url", "headers", "pointer", NULL };
	return key_table(L, "http", fields);
}

static void group(lua_State *L, const char *name, const char *path, const luaL_Reg *fns)
{
	lua_newtable(L);
	luaL_setfuncs(L, fns, 0);
	lj_protect(L, path);
	lua_setfield(L, -2, name);
}

void prims_push(lua_State *L)
{
	static const luaL_Reg top[] = { { "config", config }, { "setting", setting }, { "secret", secret },
					{ "log", write_log }, { "time", now },        { "label", label },
					{ "bytes", bytes },   { "refuse", refuse },   { "run", run_command },
					{ NULL, NULL } };
	static const luaL_Reg json[] = {
		{ "encode", json_encode }, { "decode", json_decode }, { "array", json_array }, { NULL, NULL }
	};
	static const luaL_Reg key[] = { { "config", key_config }, { "file", key_file }, { "env", key_env },
					{ "mint", key_mint },     { "http", key_http }, { NULL, NULL } };
	static const luaL_Reg docker[] = {
		{ "inspect", docker_inspect }, { "list", docker_list }, { "exec", docker_exec }, { NULL, NULL }
	};
	static const luaL_Reg http[] = { { "get", http_get }, { "request", http_request }, { NULL, NULL } };
	static const luaL_Reg kv[] = { { "get", kv_get }, { "set", kv_set }, { NULL, NULL } };
	lua_newtable(L);
	lua_pushcfunction(L, box_free);
	lua_setfield(L, -2, "__gc");
	lua_rawsetp(L, LUA_REGISTRYINDEX, &box_mt);
	lua_newtable(L);
	luaL_setfuncs(L, top, 0);
	group(L, "json", "perry.json", json);
	group(L, "key", "perry.key", key);
	group(L, "docker", "perry.docker", docker);
	group(L, "http", "perry.http", http);
	group(L, "kv", "perry.kv", kv);
}
