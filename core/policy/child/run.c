#include "policy/child/run.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/child/coverage.h"
#include "policy/child/host.h"
#include "policy/child/limits.h"
#include "policy/child/luajson.h"
#include "policy/child/prims.h"
#include "policy/child/sandbox.h"

#define MAX_MESSAGE 4000

/* What the message handler found out. Fixed memory: it runs where Lua may be short of it. */
struct fault {
	char file[512], message[MAX_MESSAGE], traceback[MAX_MESSAGE];
	int line;
	bool refused;
};
static struct fault fault;

static void copy(char *to, size_t max, const char *from)
{
	size_t n = strlen(from);
	n = n < max ? n : max - 1;
	memcpy(to, from, n);
	to[n] = 0;
}

/* luaO_chunkid, for "@file": what Lua itself writes before a message. */
static void short_name(const char *file, char out[LUA_IDSIZE])
{
	size_t n = strlen(file);
	if (n < LUA_IDSIZE)
		memcpy(out, file, n + 1);
	else
		snprintf(out, LUA_IDSIZE, "...%s", file + n - (LUA_IDSIZE - 4));
}

/* "short:12: text": gives the text and the line when the message begins so. */
static const char *after_position(const char *msg, const char *shown, int *line)
{
	size_t n = strlen(shown);
	if (strncmp(msg, shown, n) != 0 || msg[n] != ':')
		return NULL;
	char *end;
	long v = strtol(msg + n + 1, &end, 10);
	if (end == msg + n + 1 || *end != ':')
		return NULL;
	*line = (int)v;
	return end[1] == ' ' ? end + 2 : end + 1;
}

/* Finds the position: the one that the message begins with, else the nearest Lua frame. */
static void locate(lua_State *L, const char *msg)
{
	lua_Debug ar;
	const struct host *h = layer_of(L)->host;
	const char *text = NULL;
	char shown[LUA_IDSIZE];
	int line = 0;
	fault.line = 0;
	for (int level = 0; lua_getstack(L, level, &ar); level++) {
		if (!lua_getinfo(L, "Sl", &ar) || ar.source[0] != '@')
			continue;
		if (!fault.line) {
			copy(fault.file, sizeof fault.file, ar.source + 1);
			fault.line = ar.currentline;
		}
		if ((text = after_position(msg, ar.short_src, &line))) {
			copy(fault.file, sizeof fault.file, ar.source + 1);
			break;
		}
	}
	const char *const others[] = { h->loading, h->hook ? h->hook->file : NULL };
	for (size_t i = 0; i < ARRAY_LEN(others) && !text; i++) { /* syntax errors: no frame of that file exists */
		if (!others[i])
			continue;
		short_name(others[i], shown);
		if ((text = after_position(msg, shown, &line)))
			copy(fault.file, sizeof fault.file, others[i]);
	}
	if (text)
		fault.line = line;
	copy(fault.message, sizeof fault.message, text ? text : msg);
}

/* Never calls __tostring of the error object: that is user code outside of the hook. */
static int on_error(lua_State *L)
{
	fault.refused = false;
	fault.file[0] = 0;
	if (lua_type(L, 1) == LUA_TSTRING) {
		locate(L, lua_tostring(L, 1));
	} else if (lua_type(L, 1) == LUA_TTABLE && lua_rawgetp(L, 1, &refused_key) == LUA_TSTRING) {
		locate(L, lua_tostring(L, -1));
		fault.refused = true;
	} else if (lua_type(L, 1) == LUA_TNUMBER) {
		locate(L, lua_pushfstring(L, "%f", lua_tonumber(L, 1)));
	} else {
		locate(L, "");
		snprintf(fault.message, sizeof fault.message, "the error is a %s, not a text", luaL_typename(L, 1));
	}
	luaL_traceback(L, L, NULL, 1);
	const char *trace = lua_tostring(L, -1);
	copy(fault.traceback, sizeof fault.traceback, trace ? trace : "");
	lua_settop(L, 1);
	return 1;
}

cJSON *record_new(const struct host *h, const struct hook *hook, const char *file, int line, const char *message)
{
	cJSON *r = cJSON_CreateObject();
	json_set_str(r, "point", h->point ? h->point->name : hook->point->name);
	json_set_str(r, "layer", hook->layer->name);
	json_set_str(r, "file", file && *file ? file : hook->file);
	if (line > 0)
		json_set_int(r, "line", line);
	json_set_strn(r, "message", message, strlen(message));
	return r;
}

/* -- base() -- */

static int base_call(lua_State *L)
{
	struct host *h = layer_of(L)->host;
	struct base *b = h->bases;
	while (b && b->id != lua_tointeger(L, lua_upvalueindex(1)))
		b = b->outer;
	if (!b)
		return luaL_error(L, "base() was kept: it can be called while the hook runs only");
	if (!b->asked) {
		struct hook *self = h->hook;
		cJSON *record = NULL;
		int r = b->compute(h, b, &record);
		h->hook = self;
		if (r < 0) {
			cJSON_Delete(h->raised);
			free(h->raised_text);
			h->raised = record;
			h->raised_text =
				xasprintf("%s:%d: %s", json_str_or(record, "file", "?"),
					  (int)json_int_or(record, "line", 0), json_str_or(record, "message", ""));
			lua_pushstring(L, h->raised_text);
			return lua_error(L);
		}
		b->asked = true;
	}
	lj_push(L, b->answer, true);
	return 1;
}

/* -- the protected part -- */

static void compile(lua_State *L, const struct hook *k)
{
	lua_pushfstring(L, "@%s", k->file);
	if (luaL_loadbufferx(L, k->text, k->len, lua_tostring(L, -1), "t") != LUA_OK)
		lua_error(L);
	coverage_loaded(L, k->file);
	sandbox_environment(L);
}

static void load(lua_State *L, struct hook *k)
{
	compile(L, k);
	lua_call(L, 0, 1);
	if (lua_type(L, -1) != LUA_TFUNCTION)
		luaL_error(L, "a hook file returns a function (return function(ws%s) ... end), got %s",
			   k->point->kind == POINT_DECISION ? ", base"
			   : *k->point->extra               ? ", ..."
							    : "",
			   luaL_typename(L, -1));
	k->ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pop(L, 1);
}

/* A member as a view; an empty one when it is not there, so that hooks need not ask. */
static void push_view(lua_State *L, const cJSON *from, const char *name)
{
	static const cJSON none = { .type = cJSON_Object };
	const cJSON *j = from ? cJSON_GetObjectItemCaseSensitive(from, name) : NULL;
	/* The plan is made of answers, which have references of our making only; all else is data of others. */
	lj_push_facts(L, cJSON_IsObject(j) ? j : &none, strcmp(name, "plan") == 0, name);
}

/* The first argument: authorize is asked about a request, all others about a workspace. */
static void push_subject(lua_State *L, struct layer *layer)
{
	struct host *h = layer->host;
	const char *name = strcmp(h->point->name, "authorize") == 0 ? "req" : "ws";
	if (layer->facts_ref == LUA_NOREF || layer->facts_of != h->exchange) {
		if (layer->facts_ref != LUA_NOREF)
			luaL_unref(L, LUA_REGISTRYINDEX, layer->facts_ref);
		layer->facts_ref = LUA_NOREF;
		push_view(L, h->facts, name);
		layer->facts_ref = luaL_ref(L, LUA_REGISTRYINDEX);
		layer->facts_of = h->exchange;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, layer->facts_ref);
}

static int protected(lua_State *L)
{
	struct run *run = lua_touserdata(L, 1);
	struct hook *k = run->hook;
	struct host *h = k->layer->host;
	if (run->table) {
		compile(L, k);
		lua_call(L, 0, 2);
		return 2;
	}
	if (k->ref == LUA_NOREF)
		load(L, k);
	if (run->load_only)
		return 0;
	lua_rawgeti(L, LUA_REGISTRYINDEX, k->ref);
	push_subject(L, k->layer);
	int args = 1;
	if (run->base) {
		lua_pushinteger(L, run->base->id);
		lua_pushcclosure(L, base_call, 1);
		args++;
	}
	if (*h->point->extra) {
		push_view(L, run->extra, h->point->extra);
		args++;
	}
	lua_call(L, args, 2);
	return 2;
}

static cJSON *limit_record(struct host *h, struct hook *k, const char *text)
{
	cJSON *r = record_new(h, k, h->limit_file, h->limit_line, text);
	json_set_str(r, "cause", "limit");
	return r;
}

static cJSON *error_record(struct host *h, struct hook *k, lua_State *L, int status)
{
	char text[160];
	bool memory = status == LUA_ERRMEM || status == LUA_ERRERR;
	if (h->spent || (memory && h->out_of_memory))
		return limit_record(h, k, limits_text(h, text));
	if (memory)
		return record_new(h, k, NULL, 0, "an error while an error was being handled");
	/* An error of a layer below that came through base() keeps its own position. */
	if (h->raised && lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), h->raised_text) == 0)
		return take_ptr(h->raised);
	cJSON *r = record_new(h, k, fault.file, fault.line, fault.message);
	if (fault.refused)
		json_set_bool(r, "refused", true);
	json_set_strn(r, "traceback", fault.traceback, strlen(fault.traceback));
	return r;
}

/* Raw access only: no longer in protected mode. */
static int take_results(struct host *h, struct run *run, lua_State *L, cJSON **record)
{
	struct buf why = { 0 };
	run->answer = lj_get(L, -2, "answer", &why);
	if (!run->answer) {
		*record = record_new(h, run->hook, NULL, run->hook->line, buf_str(&why));
		json_set_str(*record, "cause", "type");
	}
	if (run->answer && lua_type(L, -1) == LUA_TSTRING)
		run->reason = xstrdup(lua_tostring(L, -1));
	buf_free(&why);
	return run->answer ? 0 : -1;
}

int run_hook(struct host *h, struct run *run, cJSON **record)
{
	struct hook *k = run->hook, *outer = h->hook;
	if (k->answer) {
		run->answer = cJSON_Duplicate(k->answer, 1);
		return 0;
	}
	h->hook = k;
	k->line = 0;
	if (!k->layer->L)
		k->layer->L = sandbox_new(h, k->layer);
	lua_State *L = k->layer->L;
	int result = -1;
	if (!L) {
		*record = record_new(h, k, NULL, 0, "no memory left for this layer");
		h->hook = outer;
		return -1;
	}
	if (h->spent) { /* a layer above asked for its base and has used up what there was already */
		char text[160];
		*record = limit_record(h, k, limits_text(h, text));
		h->hook = outer;
		return -1;
	}
	if (run->base) {
		run->base->id = ++h->base_ids;
		run->base->outer = h->bases;
		h->bases = run->base;
	}
	limits_watch(L);
	int top = lua_gettop(L);
	lua_pushcfunction(L, on_error);
	lua_pushcfunction(L, protected);
	lua_pushlightuserdata(L, run);
	int status = lua_pcall(L, 1, run->load_only ? 0 : 2, top + 1);
	if (outer && outer->layer->L == L)
		limits_watch(L);
	else
		lua_sethook(L, NULL, 0, 0);
	if (run->base)
		h->bases = run->base->outer;
	h->loading = NULL;
	if (status != LUA_OK || h->spent)
		*record = error_record(h, k, L, status);
	else if (run->load_only)
		result = 0;
	else
		result = take_results(h, run, L, record);
	lua_settop(L, top);
	h->hook = outer;
	return result;
}
