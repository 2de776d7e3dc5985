/* Procedures on hooks and on what they decided. */
#include "agent/proc/policy.h"

#include <string.h>

#include "agent/internal.h"
#include "agent/proc/hide.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "agent/who/auth.h"
#include "base/mem.h"
#include "lua/lua.h"
#include "ops/ops.h"
#include "policy/policy.h"
#include "policy/tool/fields.h"
#include "policy/tool/preview.h"
#include "policy/tool/tool.h"
#include "store/store.h"

enum { MAX_DECISIONS = 1000 };

/* The operation whose plan is in force: the newest that decided on this container, else on any. */
static const char *newest_plan(const cJSON *decisions, const cJSON *plan)
{
	const cJSON *d, *container = json_at(plan, "container");
	const char *newest = NULL;
	cJSON_ArrayForEach(d, decisions) {
		if (!str_eq(json_str(d, "point"), "container") || !json_bool_or(d, "answered", false))
			continue;
		newest = newest ? newest : json_str(d, "op");
		if (container && json_equal(container, json_at(d, "answer")))
			return json_str(d, "op");
	}
	return newest;
}

/* Of the newest first, those of one operation, in the order they were made. op NULL: of all. */
static cJSON *of_operation(const cJSON *decisions, const char *op)
{
	cJSON *out = cJSON_CreateArray();
	const cJSON *d;
	cJSON_ArrayForEach(d, decisions)
		if (!op || str_eq(json_str(d, "op"), op))
			cJSON_InsertItemInArray(out, 0, cJSON_Duplicate(d, 1));
	return out;
}

/* "container.memory" is about the field itself, "container" about all that begin so, and both about the hook point's
 * decisions. */
static bool is_about(const char *field, const char *asked)
{
	size_t n = strlen(asked);
	return strncmp(field, asked, n) == 0 && (field[n] == 0 || field[n] == '.');
}

static void choose(cJSON *list, const char *key, const char *asked)
{
	cleanup_free char *point = xstrndup(asked, strcspn(asked, "."));
	const char *wanted = strcmp(key, "field") == 0 ? asked : point;
	for (cJSON *d = list->child, *next; d; d = next) {
		next = d->next;
		if (!is_about(json_str_or(d, key, ""), wanted))
			cJSON_Delete(cJSON_DetachItemViaPointer(list, d));
	}
}

static cJSON *member(const cJSON *j, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(j, name);
}

static void hide_env(const struct call *c, const cJSON *explained)
{
	const cJSON *d;
	call_hide_values(c, member(member(explained, "plan"), "env"));
	cJSON_ArrayForEach(d, member(explained, "decisions")) {
		cJSON *answer = member(d, "answer");
		bool is_env = str_eq(json_str(d, "point"), "env");
		call_hide_values(c, is_env ? answer : member(answer, "env"));
		call_hide_values(c, member(member(member(member(d, "facts"), "ws"), "request"), "env"));
	}
}

void call_explain(const struct call *c, cJSON *into, const cJSON *plan)
{
	hide_env(c, into);
	json_set(into, "fields", policy_fields(plan, member(into, "decisions")));
}

int proc_explain(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *name = call_str(c, "name"), *field = call_str(c, "field");
	cleanup_json cJSON *record = NULL, *decisions = NULL;
	if (call_workspace(c, "name", &record, err) < 0)
		return -1;
	if (store_decisions(c->a->store, name, NULL, MAX_DECISIONS, &decisions, err) < 0)
		return -1;
	const cJSON *plan = cJSON_GetObjectItemCaseSensitive(record, "plan");
	*out = cJSON_CreateObject();
	json_set_str(*out, "name", name);
	json_set(*out, "plan", plan ? cJSON_Duplicate(plan, 1) : cJSON_CreateNull());
	json_set_bool(*out, "outdated", json_bool_or(record, "outdated", false));
	json_set(*out, "decisions", of_operation(decisions, newest_plan(decisions, plan)));
	call_explain(c, *out, member(*out, "plan"));
	if (json_bool_or(c->input, "all", false)) {
		json_set(*out, "decisions", of_operation(decisions, NULL));
		hide_env(c, *out);
	}
	if (!field)
		return 0;
	choose(member(*out, "fields"), "field", field);
	choose(member(*out, "decisions"), "point", field);
	if (!member(*out, "fields")->child && (strchr(field, '.') || !member(*out, "decisions")->child))
		return perry_fail(err, PERRY_ENOTFOUND, "nobody decided '%s' for %s", field, name);
	return 0;
}

static cJSON *inventory(struct call *c)
{
	struct lua_hooks *s = lua_hooks_open(c->a->lua);
	cJSON *found = lua_hooks_inventory(s);
	lua_hooks_close(s);
	return found;
}

/* The inventory's entry of each point beside its row of the table. */
int proc_hooks_list(struct call *c, cJSON **out, struct perry_err **err)
{
	cJSON *found = inventory(c);
	*out = cJSON_CreateObject();
	json_set(*out, "table", policy_points());
	cJSON *points = cJSON_DetachItemFromObjectCaseSensitive(found, "points"),
	      *problems = cJSON_DetachItemFromObjectCaseSensitive(found, "problems");
	json_set(*out, "points",
		 points                 ? points
		 : cJSON_IsArray(found) ? cJSON_Duplicate(found, 1)
					: cJSON_CreateArray());
	json_set(*out, "problems", problems ? problems : cJSON_CreateArray());
	cJSON_Delete(found);
	return 0;
}

static const cJSON *of_point(const cJSON *list, const char *key, const char *point)
{
	const cJSON *row;
	cJSON_ArrayForEach(row, list)
		if (str_eq(json_str(row, key), point))
			return row;
	return NULL;
}

static int unknown_point(const char *point, const cJSON *table, struct perry_err **err)
{
	const char *names[64] = { 0 };
	const cJSON *row;
	size_t n = 0;
	cJSON_ArrayForEach(row, table)
		if (n < ARRAY_LEN(names) - 1)
			names[n++] = json_str_or(row, "name", "");
	const char *near = str_nearest(point, names);
	if (near)
		return perry_fail(err, PERRY_ENOTFOUND, "There is no hook point '%s' (did you mean '%s'?)", point,
				  near);
	return perry_fail(err, PERRY_ENOTFOUND, "There is no hook point '%s'", point);
}

int proc_hooks_show(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *point = call_str(c, "point");
	cleanup_json cJSON *all = NULL;
	if (proc_hooks_list(c, &all, err) < 0)
		return -1;
	const cJSON *row = of_point(cJSON_GetObjectItemCaseSensitive(all, "table"), "name", point);
	const cJSON *files = of_point(cJSON_GetObjectItemCaseSensitive(all, "points"), "point", point);
	if (!row)
		return unknown_point(point, cJSON_GetObjectItemCaseSensitive(all, "table"), err);
	*out = cJSON_Duplicate(row, 1);
	json_set(*out, "layers",
		 files ? cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(files, "layers"), 1) : cJSON_CreateArray());
	json_set_str(*out, "builtin", policy_builtin_source(point));
	return 0;
}

int proc_hooks_check(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *all = NULL;
	if (proc_hooks_list(c, &all, err) < 0)
		return -1;
	cJSON *problems = cJSON_DetachItemFromObjectCaseSensitive(all, "problems");
	*out = cJSON_CreateObject();
	json_set_bool(*out, "ok", cJSON_GetArraySize(problems) == 0);
	json_set(*out, "problems", problems);
	return 0;
}

static int make_facts(struct call *c, cJSON **facts, struct perry_err **err)
{
	const cJSON *given = cJSON_GetObjectItemCaseSensitive(c->input, "facts");
	cleanup_json cJSON *caller = caller_json(&c->caller);
	if (given) {
		*facts = cJSON_Duplicate(given, 1);
		return 0;
	}
	if (!call_str(c, "workspace"))
		return perry_fail(err, PERRY_EINPUT, "A workspace or facts are needed");
	return lua_host_facts(c->a->lua, call_str(c, "workspace"), caller, facts, err);
}

/* What would differ, workspace by workspace, were "packed" the user's hooks or that pack. reverse: packed is what was
 * there before the change, which is in force already. Without packed: what the containers that exist were made by,
 * against today. */
int proc_hooks_preview(struct call *c, cJSON **out, struct perry_err **err)
{
	cJSON *packed = member(c->input, "packed");
	cleanup_json cJSON *caller = caller_json(&c->caller), *subjects = NULL;
	if (lua_host_subjects(c->a->lua, caller, &subjects, err) < 0)
		return -1;
	struct lua_hooks *today = lua_hooks_open(c->a->lua), *other = packed ? lua_hooks_open(c->a->lua) : NULL;
	int rc = packed ? lua_hooks_replace(other, packed, err) : 0;
	if (rc == 0) {
		const struct policy_setup *now = lua_hooks_setup(today), *given = other ? lua_hooks_setup(other) : NULL;
		bool reverse = !packed || json_bool_or(c->input, "reverse", false);
		rc = policy_preview(c->a->policy, reverse ? given : now, reverse ? now : given, subjects, out, err);
	}
	lua_hooks_close(other);
	lua_hooks_close(today);
	return rc;
}

int proc_hooks_run(struct call *c, cJSON **out, struct perry_err **err)
{
	const char *point = call_str(c, "point");
	cleanup_json cJSON *facts = NULL, *table = policy_points();
	const cJSON *row = of_point(table, "name", point);
	if (!row)
		return unknown_point(point, table, err);
	if (strcmp(json_str_or(row, "kind", ""), "action") == 0)
		return perry_fail(err, PERRY_EINPUT,
				  "%s is an action: running it would do what it does. perry hooks test tries it out.",
				  point);
	if (make_facts(c, &facts, err) < 0)
		return -1;
	struct lua_hooks *s = lua_hooks_open(c->a->lua);
	int rc = policy_run(c->a->policy, lua_hooks_setup(s), point, facts, NULL, out, err);
	lua_hooks_close(s);
	return rc;
}

int proc_image_build(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *request = c->input ? cJSON_Duplicate(c->input, 1) : cJSON_CreateObject(),
			   *caller = caller_json(&c->caller);
	return ops_submit(c->a->ops, "build", NULL, request, caller, &c->op, err);
}
