/* The fleet's table, without an engine. */
#include "ops_fleet_util.h"

static void table(void **state)
{
	struct scene s;
	char host[128];
	snprintf(host, sizeof host, "unix://%s", test_path("nobody.sock"));
	scene_open(&s, host);
	ws_make(s.store, "web");
	scene_fleet(&s);
	struct fleet *f = s.fleet;
	char *why = NULL;
	/* Without an engine: its absence has a reason, nobody waits for it, and nothing is invented. */
	assert_false(fleet_wait_ready(f, 200));
	assert_false(fleet_engine_up(f, &why));
	assert_non_null(strstr(why, "nobody.sock"));
	free(why);
	assert_status(f, "web", "creating");
	put(f, "web", "{'name':'web','id':'i1','rev':5,'state':'ready','containerId':'c1'}");
	assert_status(f, "web", "unknown");
	/* What an operation saw itself is known without a list. */
	put_container(f, "web", "c1", "running", "2026-11-23T17:10:23.5Z", "0001-01-01T00:00:00Z");
	assert_status(f, "web", "running");
	cJSON *got;
	ok(fleet_get(f, "web", &got, &err));
	assert_string_equal(json_str(got, "container.id"), "c1");
	assert_int_equal(json_int_or(got, "container.pid", 0), 7);
	assert_int_equal(json_int_or(got, "container.exitCode", 0), 3);
	cJSON_Delete(got);
	static const char *const states[][2] = { { "paused", "running" }, { "restarting", "running" },
						 { "exited", "stopped" }, { "created", "stopped" },
						 { "dead", "stopped" },   { "removing", "stopped" } };
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		put_container(f, "web", "c1", states[i][0], "2026-11-23T17:10:23.5Z", "2026-11-23T17:10:24Z");
		assert_status(f, "web", states[i][1]);
	}
	/* An answer that was read earlier and comes later. */
	put_container(f, "web", "c1", "running", "2026-11-23T17:10:23.5Z", "0001-01-01T00:00:00Z");
	assert_status(f, "web", "stopped");
	put_container(f, "web", "c1", "running", "2026-11-23T17:10:25Z", "2026-11-23T17:10:24Z");
	assert_status(f, "web", "running");
	fleet_put_container(f, "web", NULL);
	put_container(f, "web", "c1", "running", "2026-11-23T17:10:25Z", "2026-11-23T17:10:24Z");
	assert_status(f, "web", "unknown");
	put_container(f, "web", "c2", "running", "2026-11-23T17:10:26Z", "0001-01-01T00:00:00Z");
	assert_status(f, "web", "running");

	/* Records: an older copy is ignored, a deleted workspace does not come back by one, its name does with another
	 * id. */
	put(f, "web", "{'name':'web','id':'i1','rev':4,'state':'error'}");
	assert_status(f, "web", "running");
	put(f, "web", "{'name':'web','id':'i1','rev':6,'state':'error'}");
	assert_status(f, "web", "error");
	put(f, "web", "{'name':'web','id':'i1','rev':7,'state':'deleting'}");
	assert_status(f, "web", "running");
	fleet_put(f, "web", NULL);
	fleet_put(f, "web", NULL);
	put(f, "web", "{'name':'web','id':'i1','rev':8,'state':'ready'}");
	assert_status(f, "web", "absent");
	put(f, "web", "{'name':'web','id':'i2','rev':1,'state':'creating'}");
	assert_status(f, "web", "creating");

	cJSON *startup = J("{'steps':[{'id':'prepare'}]}");
	fleet_put_startup(f, "web", startup);
	fleet_put_startup(f, "none", startup);
	cJSON_Delete(startup);
	ok(fleet_get(f, "web", &got, &err));
	assert_int_equal(cJSON_GetArraySize(json_at(got, "startup.steps")), 1);
	cJSON_Delete(got);
	fleet_put_startup(f, "web", NULL);
	ok(fleet_get(f, "web", &got, &err));
	assert_null(json_at(got, "startup"));
	cJSON_Delete(got);
	refused(fleet_get(f, "none", &got, &err), PERRY_ENOTFOUND, "Workspace not found");
	scene_close(&s);
}

static int rendered;

static char *render(const cJSON *record)
{
	rendered++;
	return xasprintf("{\"name\":\"%s\",\"status\":\"%s\"}", json_str(record, "name"), json_str(record, "status"));
}

static char *more(void *ctx, const cJSON *record)
{
	return str_eq(json_str(record, "name"), ctx) ? xstrdup("\"more\":[1]") : NULL;
}

static void on_running(void *ctx, const char *name, const cJSON *container)
{
	assert_string_equal(json_str(container, "id"), "c");
	assert_string_not_equal(name, "w7"); /* that one is stopped */
	++*(int *)ctx;
}

static void list_text(void **state)
{
	struct scene s;
	char host[128], name[16], record[512];
	snprintf(host, sizeof host, "unix://%s", test_path("nobody.sock"));
	scene_open(&s, host);
	scene_fleet(&s);
	char *text = fleet_list_text(s.fleet);
	assert_string_equal(text, "[]");
	free(text);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "w%d", i);
		snprintf(record, sizeof record,
			 "{'name':'%s','id':'%d','rev':1,'state':'ready','labels':{'a':'1'},'plan':{'image':'x','"
			 "mounts':[1,2,3]}}",
			 name, i);
		put(s.fleet, name, record);
		put_container(s.fleet, name, "c", "running", "2026-11-23T17:10:26Z", "0001-01-01T00:00:00Z");
	}
	rendered = 0;
	fleet_set_render(s.fleet, render);
	text = fleet_list_text(s.fleet);
	assert_int_equal(rendered, 200);
	assert_true(str_starts(text, "[{\"name\":\"w0\",\"status\":\"running\"},{\"name\":\"w1\""));
	assert_true(str_ends(text, "{\"name\":\"w199\",\"status\":\"running\"}]"));
	free(text);
	/* Only what changed is rendered again. */
	put_container(s.fleet, "w7", "c", "exited", "2026-11-23T17:10:26Z", "2026-11-23T17:10:27Z");
	text = fleet_list_text(s.fleet);
	assert_int_equal(rendered, 201);
	assert_non_null(strstr(text, "{\"name\":\"w7\",\"status\":\"stopped\"}"));
	free(text);
	/* What is asked anew each time, of those that run. */
	static char w8[] = "w8", w7[] = "w7";
	fleet_set_more(s.fleet, more, w8);
	text = fleet_list_text(s.fleet);
	assert_int_equal(rendered, 201);
	assert_non_null(strstr(
		text,
		"{\"name\":\"w8\",\"status\":\"running\",\"more\":[1]},{\"name\":\"w9\",\"status\":\"running\"}"));
	free(text);
	fleet_set_more(s.fleet, more, w7);
	text = fleet_list_text(s.fleet);
	assert_null(strstr(text, "more"));
	free(text);
	int running = 0;
	fleet_each_running(s.fleet, on_running, &running);
	assert_int_equal(running, 199);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { T(table), T(list_text) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
