/* require "policy": questions to the hooks. Each answer's decision rows are stored at the end of the run. */
#include "base/mem.h"
#include "lua/internal.h"

/* plan(facts [, only_look]): {image, env, container, hostname, join, errors, hash}. only_look: it is not noted as a
 * decision, its rows come along as "decisions". */
static int l_plan(lua_State *L)
{
	struct run *r = run_of(L);
	bool only_look = lua_toboolean(L, 2);
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	struct lua_hooks *hooks = hooks_of_run(r);
	struct policy_session *s = lua_hooks_session(hooks);
	if (!s) {
		b->err = perry_err_copy(lua_hooks_error(hooks));
		return box_raise(L, b);
	}
	if (only_look)
		b->in2 = cJSON_CreateArray();
	int rc = policy_plan(s, b->in, &b->out, only_look ? b->in2 : r->decisions, &b->err);
	if (rc == 0 && only_look)
		json_set(b->out, "decisions", take_ptr(b->in2));
	return box_json(L, b, rc);
}

/* ask(point, facts [, extra]): the answer. */
static int l_ask(lua_State *L)
{
	const char *point = luaL_checkstring(L, 1);
	struct run *r = run_of(L);
	struct box *b = box_new(L);
	json_arg(L, 2, b, &b->in);
	json_arg(L, 3, b, &b->in2);
	struct lua_hooks *hooks = hooks_of_run(r);
	struct policy_session *s = lua_hooks_session(hooks);
	if (!s) {
		b->err = perry_err_copy(lua_hooks_error(hooks));
		return box_raise(L, b);
	}
	return box_json(L, b, policy_ask(s, point, b->in, b->in2, &b->out, r->decisions, &b->err));
}

/* look(point, facts [, extra]): {answer, rows}. Nothing is noted as a decision, unless note(rows) is called with them.
 */
static int l_look(lua_State *L)
{
	const char *point = luaL_checkstring(L, 1);
	struct lua_hooks *hooks = hooks_of_run(run_of(L));
	struct box *b = box_new(L);
	json_arg(L, 2, b, &b->in);
	json_arg(L, 3, b, &b->in2);
	struct policy_session *s = lua_hooks_session(hooks);
	if (!s) {
		b->err = perry_err_copy(lua_hooks_error(hooks));
		return box_raise(L, b);
	}
	cJSON *answer = NULL, *rows = cJSON_CreateArray();
	int rc = policy_ask(s, point, b->in, b->in2, &answer, rows, &b->err);
	b->out = cJSON_CreateObject();
	json_set(b->out, "answer", answer);
	json_set(b->out, "rows", rows);
	return box_json(L, b, rc);
}

static int l_note(lua_State *L)
{
	struct run *r = run_of(L);
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	for (cJSON *row; (row = cJSON_DetachItemFromArray(b->in, 0));)
		json_push(r->decisions, row);
	return box_ok(L, b, 0);
}

/* engine(): facts of the engine {version, runtimes, userns, cgroup, cpus, memory, os, arch}, asked once and remembered;
 * refresh: again. */
static int l_engine(lua_State *L)
{
	struct lua_host *h = run_of(L)->host;
	struct box *b = box_new(L);
	pthread_mutex_lock(&h->lock);
	b->out = h->engine ? cJSON_Duplicate(h->engine, 1) : NULL;
	pthread_mutex_unlock(&h->lock);
	return box_json(L, b, 0);
}

static int l_set_engine(lua_State *L)
{
	struct lua_host *h = run_of(L)->host;
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	pthread_mutex_lock(&h->lock);
	cJSON *old = h->engine;
	h->engine = take_ptr(b->in);
	pthread_mutex_unlock(&h->lock);
	cJSON_Delete(old);
	return box_ok(L, b, 0);
}

int lib_policy(lua_State *L)
{
	static const luaL_Reg fns[] = { { "plan", l_plan },
					{ "ask", l_ask },
					{ "look", l_look },
					{ "note", l_note },
					{ "engine", l_engine },
					{ "set_engine", l_set_engine },
					{ 0 } };
	luaL_newlib(L, fns);
	return 1;
}
