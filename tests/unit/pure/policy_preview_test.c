/* Plans field by field, and what a change of policy would do to many workspaces. */
#include "policy/tool/fields.h"
#include "policy/tool/preview.h"
#include "policy/tool/tool.h"
#include "policy_help.h"

static cJSON *subjects(int n)
{
	cJSON *list = cJSON_CreateArray();
	for (int i = 0; i < n; i++) {
		cleanup_free char *name = xasprintf("w%03d", i);
		cJSON *s = cJSON_CreateObject();
		json_set_str(s, "name", name);
		json_set(s, "facts", facts_of(name));
		json_push(list, s);
	}
	return list;
}

/* The hooks of the user's folder, against the built-in ones alone. */
static cJSON *preview(const cJSON *list)
{
	struct policy_setup today = { 0 };
	struct perry_err *err = NULL;
	cleanup_json cJSON *packed = NULL;
	cJSON *out = NULL;
	struct policy_layer layer;
	if (policy_pack_up(user_dir, &packed, &err) < 0 || policy_packed_layer(packed, NULL, &layer, &err) < 0)
		fail_msg("%s", perry_msg(err));
	struct policy_setup changed = { .layers = &layer, .nlayers = 1 };
	if (policy_preview(policy, &today, &changed, list, &out, &err) < 0)
		fail_msg("%s", perry_msg(err));
	return out;
}

static const cJSON *first_change(const cJSON *out, int workspace)
{
	return cJSON_GetArrayItem(json_at(cJSON_GetArrayItem(json_at(out, "workspaces"), workspace), "changes"), 0);
}

static void a_change_names_field_values_and_place(void **state)
{
	cleanup_json cJSON *list = subjects(2);
	(void)state;
	user_hook("container", "return function(ws, base)\n  local c = base()\n  if ws.name == 'w001' then c.memory = "
			       "'1GiB' end\n  return c\nend");
	cleanup_json cJSON *out = preview(list);
	assert_true(json_bool_or(out, "ok", false));
	assert_int_equal(json_int_or(out, "changed", -1), 1);
	assert_null(first_change(out, 0));
	const cJSON *change = first_change(out, 1);
	assert_string_equal(json_str(change, "field"), "container.memory");
	assert_null(json_at(change, "from"));
	assert_int_equal(json_int_or(change, "to", 0), 1 << 30);
	assert_non_null(strstr(json_str(change, "file"), "container.lua"));
	assert_int_equal(json_int_or(change, "line", 0), 4);
}

static void a_refusal_is_told_apart_from_a_change(void **state)
{
	cleanup_json cJSON *list = subjects(3);
	(void)state;
	user_hook("review", "return function(ws) return ws.name ~= 'w002', 'not this one' end");
	cleanup_json cJSON *out = preview(list);
	assert_false(json_bool_or(out, "ok", true));
	assert_int_equal(json_int_or(out, "refused", -1), 1);
	assert_string_equal(json_str(cJSON_GetArrayItem(json_at(out, "workspaces"), 2), "refused.message"),
			    "not this one");
}

/* A hook that ends its process does so for its own workspace only; each of the others gets a plan. */
static void a_runaway_spoils_no_other_plan(void **state)
{
	cleanup_json cJSON *list = subjects(4);
	limit_cpu_ms(100);
	(void)state;
	user_hook("image", "return function(ws, base)\n  if ws.name == 'w001' then return "
			   "('a'):rep(1e5):find(('a*'):rep(9) .. 'b') end\n  return 'new'\nend");
	cleanup_json cJSON *out = preview(list);
	assert_int_equal(json_int_or(out, "refused", -1), 1);
	assert_non_null(
		strstr(json_str(cJSON_GetArrayItem(json_at(out, "workspaces"), 1), "refused.text"), "CPU time"));
	for (int i = 0; i < 4; i++)
		if (i != 1)
			assert_string_equal(json_str(first_change(out, i), "to"), "new");
}

/* What made a container is compared with what would make it today. */
static void without_a_second_policy_the_old_plans_count(void **state)
{
	struct policy_setup today = { 0 };
	cleanup_json cJSON *list = subjects(1), *out = NULL;
	(void)state;
	json_set(list->child, "plan", parse("{\"image\":\"old\",\"env\":{},\"container\":{\"memory\":1}}"));
	assert_int_equal(policy_preview(policy, NULL, &today, list, &out, NULL), 0);
	const cJSON *change = first_change(out, 0);
	assert_string_equal(json_str(change, "field"), "image");
	assert_string_equal(json_str(change, "from"), "old");
	assert_string_equal(json_str(change, "to"), "perry:latest");
}

/* How long that takes is measured by make bench. */
static void two_hundred_at_once(void **state)
{
	cleanup_json cJSON *list = subjects(200);
	(void)state;
	user_hook("hostname", "return function(ws, base) return 'alice-' .. base() end");
	user_hook("container", "return function(ws, base) local c = base() c.memory = '4GiB' return c end");
	cleanup_json cJSON *out = preview(list);
	assert_int_equal(json_int_or(out, "changed", 0), 200);
	assert_int_equal(json_int_or(out, "skipped", 0), 0);
}

static const cJSON *field(const cJSON *fields, const char *name)
{
	const cJSON *f;
	cJSON_ArrayForEach(f, fields)
		if (strcmp(json_str_or(f, "field", ""), name) == 0)
			return f;
	fail_msg("no field %s", name);
	return NULL;
}

static void a_field_is_its_layers_that_changed_it_last(void **state)
{
	cleanup_json cJSON *facts = facts_of("web"), *rows = cJSON_CreateArray(), *plan = NULL;
	(void)state;
	user_hook("container", "return function(ws, base) local c = base() c.cpus = 2 return c end");
	user_hook("hostname", "return function(ws, base) return base() end");
	user_hook("image", "return function(ws, base) return 'mine:1' end");
	struct policy_session *s = begin("{\"limits\":{\"memory\":\"1GiB\"}}", NULL, NULL);
	assert_int_equal(policy_plan(s, facts, &plan, rows, NULL), 0);
	policy_close(s);
	cleanup_json cJSON *fields = policy_fields(plan, rows);
	assert_string_equal(json_str(field(fields, "container.cpus"), "layer"), "user");
	assert_string_equal(json_str(field(fields, "container.cpus"), "over.layer"), "built-in");
	assert_string_equal(json_str(field(fields, "container.memory"), "layer"), "built-in");
	assert_null(json_at(field(fields, "container.memory"), "over"));
	assert_string_equal(json_str(field(fields, "hostname"), "layer"), "built-in");
	assert_string_equal(json_str(field(fields, "image"), "layer"), "user");
	assert_null(json_at(field(fields, "image"), "over"));
	/* the facts come with the first row, once */
	assert_string_equal(json_str(rows->child, "facts.ws.name"), "web");
	assert_null(json_at(rows->child->next, "facts"));
}

static void what_comes_from_outside_is_checked(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"files\":{}}",
		"{\"files\":[{\"point\":\"imge\",\"file\":\"x\",\"text\":\"\"}]}",
		"{\"files\":[{\"point\":\"image\",\"text\":\"\"}]}",
		"{\"files\":[{\"point\":\"image\",\"file\":\"x\",\"text\":1}]}",
		"{\"files\":[],\"lib\":{\"a\":1}}",
		"{\"files\":[],\"pack\":\"{}\"}",
		"{\"files\":[{\"point\":\"image\",\"file\":\"x\",\"text\":\"\\u001bLua\"}]}",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cleanup_json cJSON *j = parse(bad[i]);
		struct perry_err *err = NULL;
		struct policy_layer layer;
		if (policy_packed_layer(j, NULL, &layer, &err) == 0)
			fail_msg("%s passed", bad[i]);
		perry_err_free(err);
	}
}

static void packing_refuses_what_a_layer_refuses(void **state)
{
	cleanup_json cJSON *packed = NULL;
	cleanup_err struct perry_err *err = NULL;
	(void)state;
	write_to(user_dir, "image.lua", "return 1", 0666);
	assert_int_equal(policy_pack_up(user_dir, &packed, &err), -1);
	assert_non_null(strstr(perry_msg(err), "image.lua: others may write to it"));
}

int main(int argc, char **argv)
{
	help_main(argc, argv);
	umask(022);
#define T(f) cmocka_unit_test_setup(f, help_clean)
	const struct CMUnitTest tests[] = {
		T(a_change_names_field_values_and_place),
		T(a_refusal_is_told_apart_from_a_change),
		T(a_runaway_spoils_no_other_plan),
		T(without_a_second_policy_the_old_plans_count),
		T(two_hundred_at_once),
		T(a_field_is_its_layers_that_changed_it_last),
		T(what_comes_from_outside_is_checked),
		T(packing_refuses_what_a_layer_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, help_end);
}
