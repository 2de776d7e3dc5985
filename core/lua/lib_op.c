/* require "op": the operation that runs, its steps and its events; and the submission of others (only the boot does
 * that). */

#include "base/log.h"
#include "base/mem.h"
#include "lua/internal.h"
#include "ops/hub.h"

static struct op *current(lua_State *L)
{
	struct op *op = run_of(L)->op;
	if (!op)
		luaL_error(L, "no operation is running");
	return op;
}

/* info(): {id, kind, workspace, input, caller, recovered, journal}. */
static int l_info(lua_State *L)
{
	struct op *op = current(L);
	lua_createtable(L, 0, 8);
	lua_pushstring(L, op_id(op));
	lua_setfield(L, -2, "id");
	lua_pushstring(L, op_kind(op)->name);
	lua_setfield(L, -2, "kind");
	lua_pushstring(L, op_workspace(op));
	lua_setfield(L, -2, "workspace");
	json_push_value(L, op_input(op));
	lua_setfield(L, -2, "input");
	json_push_value(L, op_caller(op));
	lua_setfield(L, -2, "caller");
	lua_pushboolean(L, op_recovered(op));
	lua_setfield(L, -2, "recovered");
	json_push_value(L, op_journal(op));
	lua_setfield(L, -2, "journal");
	return 1;
}

static int l_steps(lua_State *L)
{
	struct op *op = current(L);
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	op_steps(op, b->in);
	return box_ok(L, b, 0);
}

/* step(id, status [, message [, data]]) */
static int l_step(lua_State *L)
{
	struct op *op = current(L);
	const char *step = luaL_checkstring(L, 1), *status = luaL_checkstring(L, 2),
		   *message = luaL_optstring(L, 3, NULL);
	struct box *b = box_new(L);
	json_arg(L, 4, b, &b->in);
	return box_ok(L, b, op_step(op, step, status, message, b->in, &b->err));
}

/* warn(step, message [, mend]): what went wrong in the step and does not end the operation. Outside of one it is in the
 * log alone. */
static int l_warn(lua_State *L)
{
	struct op *op = run_of(L)->op;
	const char *step = luaL_checkstring(L, 1), *message = luaL_checkstring(L, 2),
		   *mend = luaL_optstring(L, 3, NULL);
	if (op)
		op_warn(op, step, message, mend);
	else
		log_warn("agent", "%s%s%s", message, mend ? "; " : "", mend ? mend : "");
	return 0;
}

/* warnings(): those of the operation so far, [{step, message, mend}]. */
static int l_warnings(lua_State *L)
{
	const cJSON *all = op_warnings(current(L));
	if (all)
		json_push_value(L, all);
	else
		lua_newtable(L);
	return 1;
}

static int l_progress(lua_State *L)
{
	struct op *op = run_of(L)->op;
	const char *step = luaL_checkstring(L, 1), *line = luaL_checkstring(L, 2);
	if (op)
		op_progress(op, step, line);
	return 0;
}

/* check(): raises CLIENT_CLOSED_REQUEST when the operation was cancelled. */
static int l_check(lua_State *L)
{
	struct op *op = run_of(L)->op;
	struct box *b = box_new(L);
	return box_ok(L, b, op ? op_check(op, &b->err) : 0);
}

/* stopping(): the agent stops; leave everything as it is. */
static int l_stopping(lua_State *L)
{
	struct op *op = run_of(L)->op;
	lua_pushboolean(L, op && op_stopping(op));
	return 1;
}

static int l_save_plan(lua_State *L)
{
	struct op *op = current(L);
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	return box_ok(L, b, op_save_plan(op, b->in, &b->err));
}

/* event(event): {kind=...}; kept. */
static int l_event(lua_State *L)
{
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	hub_publish(run_of(L)->host->setup.hub, take_ptr(b->in), 1);
	return box_ok(L, b, 0);
}

/* submit(kind, workspace, input): an operation of the agent itself, not waited for. */
static int l_submit(lua_State *L)
{
	struct run *r = run_of(L);
	const char *kind = luaL_checkstring(L, 1), *workspace = luaL_checkstring(L, 2);
	struct op *op = NULL;
	struct box *b = box_new(L);
	if (!r->ops)
		return luaL_error(L, "only the boot submits operations");
	json_arg(L, 3, b, &b->in);
	b->in2 = cJSON_CreateObject();
	json_set_str(b->in2, "kind", "agent");
	int rc = ops_submit(r->ops, kind, workspace, b->in, b->in2, &op, &b->err);
	if (rc == 0)
		op_unref(op);
	return box_ok(L, b, rc);
}

/* under_way(id): has this operation not ended? */
static int l_under_way(lua_State *L)
{
	struct run *r = run_of(L);
	struct op *op = r->ops ? ops_find(r->ops, luaL_checkstring(L, 1)) : NULL;
	lua_pushboolean(L, op && op_wait(op, 0) != 0);
	if (op)
		op_unref(op);
	return 1;
}

/* kinds: {NAME = {makes = "always"|"maybe"|nil}}, of ops/kinds.h what our Lua asks. */
static void push_kinds(lua_State *L)
{
	static const char *const makes[] = { NULL, "maybe", "always" };
	lua_newtable(L);
	for (const struct op_kind *k = op_kinds; k->name; k++) {
		lua_createtable(L, 0, 1);
		lua_pushstring(L, makes[k->makes]);
		lua_setfield(L, -2, "makes");
		lua_setfield(L, -2, k->name);
	}
}

int lib_op(lua_State *L)
{
	static const luaL_Reg fns[] = {
		{ "info", l_info },
		{ "steps", l_steps },
		{ "step", l_step },
		{ "warn", l_warn },
		{ "warnings", l_warnings },
		{ "progress", l_progress },
		{ "check", l_check },
		{ "stopping", l_stopping },
		{ "save_plan", l_save_plan },
		{ "event", l_event },
		{ "submit", l_submit },
		{ "under_way", l_under_way },
		{ 0 },
	};
	luaL_newlib(L, fns);
	push_kinds(L);
	lua_setfield(L, -2, "kinds");
	return 1;
}
