/* Containers on the real engine: their life, their list, logs and commits. */
#include "docker_shared.h"

static void version_is_negotiated(void **state)
{
	struct perry_err *err = NULL;
	cleanup_json cJSON *version = NULL, *info = NULL;
	engine_or_skip();
	uint64_t before = docker_requests(d);
	ok(docker_version(d, &version, &err));
	assert_non_null(json_str(version, "ApiVersion"));
	ok(docker_info(d, &info, &err));
	assert_non_null(json_str(info, "ServerVersion"));
	assert_int_equal(docker_requests(d) - before, 2);
}

static void life_of_a_container(void **state)
{
	struct perry_err *err = NULL;
	char id[65];
	engine_or_skip();
	test_container(d, id, NULL, false);
	{
		cleanup_json cJSON *c = NULL;
		ok(docker_container_inspect(d, id, &c, &err));
		assert_string_equal(json_str(c, "State.Status"), "created");
	}
	ok(docker_container_start(d, id, &err));
	ok(docker_container_start(d, id, &err)); /* already running */
	{
		cleanup_json cJSON *c = NULL;
		ok(docker_container_inspect(d, id, &c, &err));
		assert_true(json_bool_or(c, "State.Running", false));
		const char *name = json_str(c, "Name"); /* with its slash */
		cleanup_json cJSON *again = NULL;
		ok(docker_container_inspect(d, name, &again, &err));
		assert_string_equal(json_str(again, "Id"), id);
		/* The name is taken now. */
		char other[65];
		cleanup_json cJSON *spec = cJSON_CreateObject();
		json_set_str(spec, "Image", TEST_IMAGE);
		json_set(spec, "Cmd", cJSON_CreateStringArray((const char *[]){ "true" }, 1));
		fails(PERRY_ECONFLICT, docker_container_create(d, name, spec, other, &err));
		assert_true(err->status == 409 || err->status == 500); /* Docker's, Podman's */
		assert_non_null(strstr(err->msg, "is already in use"));
	}
	ok(docker_container_kill(d, id, "KILL", &err));
	ok(docker_container_stop(d, id, 0, &err)); /* not running is fine */
	fails(PERRY_ESTATE, docker_container_kill(d, id, "KILL", &err));
	ok(docker_container_remove(d, id, false, &err));
	ok(docker_container_remove(d, id, false, &err)); /* absent is fine */
	fails(PERRY_ENOTFOUND, docker_container_inspect(d, id, NULL, &err));
	assert_int_equal(err->status, 404);
	assert_true(strstr(err->msg, "No such container") || strstr(err->msg, "no container with name or ID"));
	fails(PERRY_ENOTFOUND, docker_container_start(d, id, &err));
	fails(PERRY_ENOTFOUND, docker_container_stop(d, id, 0, &err));
	perry_err_free(err);
}

static void stop_waits_for_the_grace(void **state)
{
	struct perry_err *err = NULL;
	char id[65];
	engine_or_skip();
	test_container(d, id, "trap '' TERM; while :; do sleep 0.1; done", true);
	int64_t start = clock_mono_ms();
	ok(docker_container_stop(d, id, 1, &err));
	int64_t took = clock_mono_ms() - start;
	assert_true(took >= 900);
	test_remove(d, id);
}

static void hostile_names_reach_nothing_else(void **state)
{
	static const char *const empty[] = { "", "/", ".", "..", "/.." }, *const odd[] = { "../images", "a/../b",
											   "x?force=1", "x%2f..",
											   "\xff\n",    "a b#c" };
	struct perry_err *err = NULL;
	engine_or_skip();
	for (size_t i = 0; i < ARRAY_LEN(empty); i++)
		fails(PERRY_EINPUT, docker_container_inspect(d, empty[i], NULL, &err));
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		perry_err_free(err);
		err = NULL;
		assert_int_equal(docker_container_inspect(d, odd[i], NULL, &err), -1);
		assert_true(err->code == PERRY_ENOTFOUND || err->code == PERRY_EINPUT);
	}
	perry_err_free(err);
}

static void list_takes_filters(void **state)
{
	struct perry_err *err = NULL;
	char id[65], label[80];
	engine_or_skip();
	test_container(d, id, NULL, false);
	cleanup_json cJSON *filters = cJSON_CreateObject(), *list = NULL, *none = NULL;
	cJSON *ids = cJSON_CreateArray();
	json_push_str(ids, id);
	json_set(filters, "id", ids);
	ok(docker_container_list(d, filters, &list, &err));
	assert_int_equal(cJSON_GetArraySize(list), 1);
	snprintf(label, sizeof label, "pdk=no such & value %d", (int)getpid());
	cJSON *labels = cJSON_CreateArray();
	json_push_str(labels, label);
	json_set(filters, "label", labels);
	ok(docker_container_list(d, filters, &none, &err));
	assert_int_equal(cJSON_GetArraySize(none), 0);
	test_remove(d, id);
}

static void exec_is_collected(void **state)
{
	struct perry_err *err = NULL;
	char id[65];
	engine_or_skip();
	test_container(d, id, NULL, true);
	const char *const argv[] = { "sh", "-c", "echo out; echo err >&2; exit 3", NULL };
	struct docker_exec_result res;
	ok(docker_exec_collect(d, id, &(struct docker_exec){ .argv = argv }, 1000, NULL, &res, &err));
	assert_string_equal(buf_str(&res.out), "out\n");
	assert_string_equal(buf_str(&res.err), "err\n");
	assert_int_equal(res.exit_code, 3);
	buf_free(&res.out);
	buf_free(&res.err);
	test_remove(d, id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_is_negotiated),    cmocka_unit_test(life_of_a_container),
		cmocka_unit_test(stop_waits_for_the_grace), cmocka_unit_test(hostile_names_reach_nothing_else),
		cmocka_unit_test(list_takes_filters),       cmocka_unit_test(exec_is_collected),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
