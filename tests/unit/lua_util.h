/* What the tests of the lifecycle share: an agent's inside on a folder of its own, against the real engine. Workspaces
 * are called plc-...; networks come from 10.214.0.0/16, ports from 2900-2999. */
#ifndef TESTS_LUA_UTIL_H
#define TESTS_LUA_UTIL_H
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "config/config.h"
#include "docker/docker.h"
#include "lua/lua.h"
#include "ops/fleet.h"
#include "ops/hub.h"
#include "ops/ops.h"
#include "policy/policy.h"
#include "store/store.h"

#include "err_util.h"

#define TEST_IMAGE "perry:small"

struct inside {
	char *dir;
	struct store *store;
	struct docker *docker;
	struct hub *hub;
	struct fleet *fleet;
	struct lua_host *lua;
	struct ops *ops;
	struct hub_sub *sub;
};

extern struct policy *test_policy; /* made first thing in main */
extern char *test_step;            /* perry-step, beside the test's folder */

static inline struct config *inside_config(void *ctx)
{
	struct config *c = NULL;
	cleanup_err struct perry_err *err = NULL;
	if (config_load(ctx, &c, NULL, NULL, &err) != 0)
		print_error("%s\n", perry_msg(err));
	return c;
}

static inline void write_text(const char *dir, const char *name, const char *text)
{
	cleanup_err struct perry_err *err = NULL;
	cleanup_free char *path = path_join(dir, name);
	ok(file_write_atomic(path, text, strlen(text), 0600, &err));
}

/* A folder with a configuration; more: further members as JSON text (", \"a\": 1") or "". */
static inline char *inside_dir(const char *more)
{
	char path[] = "/tmp/plc-XXXXXX";
	assert_non_null(mkdtemp(path));
	cleanup_free char *text = xasprintf(
		"{\"networkRange\": \"10.214.0.0/16\", \"sshPortRange\": \"2900-2999\", \"image\": \"" TEST_IMAGE
		"\", \"ssh\": {\"autoAuthorizeHostKeys\": false}%s}",
		more);
	write_text(path, "config.json", text);
	return xstrdup(path);
}

static inline void inside_hook(const char *dir, const char *point, const char *text)
{
	cleanup_free char *hooks = path_join(dir, "hooks"), *file = xasprintf("%s.lua", point);
	mkdir(hooks, 0700);
	write_text(hooks, file, text);
}

/* fn: called for every event. */
static inline void inside_open(struct inside *in, const char *dir, int spares, void (*fn)(void *ctx, const cJSON *ev),
			       void *ctx)
{
	cleanup_err struct perry_err *err = NULL;
	cleanup_free char *db = path_join(dir, "state.db");
	memset(in, 0, sizeof *in);
	in->dir = xstrdup(dir);
	ok(store_open(&in->store, db, &err));
	ok(docker_open(&in->docker, NULL, &err));
	in->hub = hub_new(in->store);
	if (fn)
		in->sub = hub_subscribe(in->hub, NULL, fn, ctx);
	ok(fleet_open(&in->fleet, in->store, in->docker, in->hub, &err));
	struct lua_setup setup = { .docker = in->docker,
				   .store = in->store,
				   .hub = in->hub,
				   .fleet = in->fleet,
				   .policy = test_policy,
				   .config = inside_config,
				   .ctx = in->dir,
				   .config_dir = in->dir,
				   .step = test_step,
				   .tailscale_dir = in->dir,
				   .machine_hooks = "/nonexistent",
				   .spare_networks = spares };
	ok(lua_host_new(&in->lua, &setup, &err));
	struct ops_setup ops = { .store = in->store,
				 .hub = in->hub,
				 .fleet = in->fleet,
				 .max_running = 32,
				 .run = lua_runner,
				 .ctx = in->lua };
	ok(ops_new(&in->ops, &ops, &err));
	fleet_wait_ready(in->fleet, 5000);
}

/* What is left when its operations have ended. */
static inline void inside_free(struct inside *in)
{
	hub_unsubscribe(in->sub);
	fleet_close(in->fleet);
	hub_free(in->hub);
	docker_close(in->docker);
	store_close(in->store);
	free(in->dir);
	in->ops = NULL;
}

static inline void inside_close(struct inside *in)
{
	assert_int_equal(ops_stop(in->ops, 20000), 0);
	lua_host_free(in->lua); /* its background work may submit operations */
	ops_free(in->ops);
	inside_free(in);
}

static inline cJSON *json_of(const char *text)
{
	cleanup_err struct perry_err *err = NULL;
	cJSON *j = json_parse(text, strlen(text), "test", &err);
	if (!j)
		fail_msg("%s", perry_msg(err));
	return j;
}

/* Runs an operation to its end: its result (the caller's), or NULL and the error in *err. */
static inline cJSON *run_op(struct inside *in, const char *kind, const char *ws, const char *input,
			    struct perry_err **err)
{
	struct op *op = NULL;
	cleanup_json cJSON *in_json = json_of(input), *caller = json_of("{\"kind\":\"local\"}");
	if (ops_submit(in->ops, kind, ws, in_json, caller, &op, err) != 0)
		return NULL;
	assert_int_equal(op_wait(op, 120000), 0);
	cJSON *result = op_error(op) ? NULL : op_result(op) ? cJSON_Duplicate(op_result(op), 1) : cJSON_CreateObject();
	if (!result && err)
		*err = perry_err_copy(op_error(op));
	op_unref(op);
	return result;
}

/* The same, which must succeed. */
#define must(in, kind, ws, input) must_at(in, kind, ws, input, __FILE__, __LINE__)
static inline cJSON *must_at(struct inside *in, const char *kind, const char *ws, const char *input, const char *file,
			     int line)
{
	cleanup_err struct perry_err *err = NULL;
	cJSON *result = run_op(in, kind, ws, input, &err);
	if (!result) {
		print_error("%s of %s: %s\n", kind, ws ? ws : "-", perry_msg(err));
		_fail(file, line);
	}
	return result;
}
#define done(in, kind, ws, input) cJSON_Delete(must(in, kind, ws, input))

/* ... which must fail with this code and a text that holds part. */
#define refused(in, kind, ws, input, code_, part) refused_at(in, kind, ws, input, code_, part, __FILE__, __LINE__)
static inline void refused_at(struct inside *in, const char *kind, const char *ws, const char *input,
			      enum perry_code code, const char *part, const char *file, int line)
{
	cleanup_err struct perry_err *err = NULL;
	cJSON *result = run_op(in, kind, ws, input, &err);
	if (result || err->code != code || !strstr(perry_msg(err), part)) {
		print_error("%s of %s: %s (%d), expected %d with \"%s\"\n", kind, ws,
			    result ? "succeeded" : perry_msg(err), result ? 0 : (int)err->code, (int)code, part);
		cJSON_Delete(result);
		_fail(file, line);
	}
}

/* Runs a shell command in a workspace as root; its standard output, trimmed; the caller's. */
static inline char *in_ws(struct inside *in, const char *ws, const char *command)
{
	const char *argv[] = { "/opt/perry/bin/perry-step",
			       "exec",
			       "--id",
			       "test",
			       "--user",
			       "root",
			       "--",
			       "/bin/sh",
			       "-c",
			       command,
			       NULL };
	struct docker_exec opts = { .argv = argv, .timeout_ms = 30000 };
	struct docker_exec_result res;
	cleanup_err struct perry_err *err = NULL;
	cleanup_free char *name = xasprintf("workspace-%s", ws);
	ok(docker_exec_collect(in->docker, name, &opts, 1 << 20, NULL, &res, &err));
	if (res.exit_code != 0)
		print_error("%s: exit %d: %s\n", command, res.exit_code, buf_str(&res.err));
	assert_int_equal(res.exit_code, 0);
	cleanup_free char *whole = buf_take(&res.out);
	char *text = xstrdup(str_trim(whole));
	buf_free(&res.err);
	return text;
}
#define says(in, ws, command, expected) \
	do { \
		cleanup_free char *said_ = in_ws(in, ws, command); \
		assert_string_equal(said_, expected); \
	} while (0)

static inline cJSON *record_of(struct inside *in, const char *ws)
{
	cJSON *r = NULL;
	return store_ws_get(in->store, ws, &r, NULL) == 0 ? r : NULL;
}

static inline cJSON *filter_of(struct inside *in)
{
	cleanup_free char *text = xasprintf("{\"label\":[\"perry.agent=%s\"]}", store_agent_id(in->store));
	return json_of(text);
}

/* How many containers, volumes and networks of this agent there are, with the spare networks not counted. */
static inline void count_things(struct inside *in, int *containers, int *volumes, int *networks, int *images)
{
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *filter = filter_of(in), *c = NULL, *v = NULL, *n = NULL, *i = NULL, *spare = NULL;
	const cJSON *image, *tag;
	ok(docker_container_list(in->docker, filter, &c, &err));
	ok(docker_volume_list(in->docker, filter, &v, &err));
	ok(docker_network_list(in->docker, filter, &n, &err));
	ok(docker_call(in->docker, "GET", "/images/json", NULL, 0, &i, &err));
	ok(store_kv_get(in->store, "perry", "spare_networks", &spare, &err));
	cleanup_free char *kept = xasprintf("perry-kept/%.8s-", store_agent_id(in->store));
	*containers = cJSON_GetArraySize(c);
	*volumes = cJSON_GetArraySize(v);
	*networks = cJSON_GetArraySize(n) - cJSON_GetArraySize(spare);
	*images = 0;
	cJSON_ArrayForEach(image, i)
		cJSON_ArrayForEach(tag, json_at(image, "RepoTags"))
			*images += str_starts(tag->valuestring, kept);
}

/* Nothing of this agent is left, but spare networks. Networks go in the background. */
#define nothing_left(in) nothing_left_at(in, __FILE__, __LINE__)
static inline void nothing_left_at(struct inside *in, const char *file, int line)
{
	int c = 0, v = 0, n = 0, i = 0;
	cleanup_json cJSON *subnets = NULL;
	bool clean = false;
	for (int attempt = 0; attempt < 100 && !clean; attempt++) {
		cleanup_json cJSON *spare = NULL;
		if (attempt)
			usleep(100000);
		count_things(in, &c, &v, &n, &i);
		store_kv_get(in->store, "perry", "spare_networks", &spare, NULL);
		cJSON_Delete(take_ptr(subnets));
		store_subnets(in->store, &subnets, NULL);
		clean = !c && !v && !n && !i && cJSON_GetArraySize(subnets) == cJSON_GetArraySize(spare);
	}
	if (!clean) {
		cleanup_free char *text = json_print(subnets);
		print_error("left: %d containers, %d volumes, %d networks, %d images, subnets %s\n", c, v, n, i, text);
		_fail(file, line);
	}
}

/* Removes everything of this agent; for teardown. */
static inline void wipe_agent(struct inside *in)
{
	cleanup_json cJSON *filter = filter_of(in), *c = NULL, *v = NULL, *n = NULL;
	const cJSON *x;
	docker_container_list(in->docker, filter, &c, NULL);
	cJSON_ArrayForEach(x, c)
		docker_container_remove(in->docker, json_str_or(x, "Id", ""), true, NULL);
	docker_volume_list(in->docker, filter, &v, NULL);
	cJSON_ArrayForEach(x, v)
		docker_volume_remove(in->docker, json_str_or(x, "Name", ""), NULL);
	docker_network_list(in->docker, filter, &n, NULL);
	cJSON_ArrayForEach(x, n)
		docker_network_remove(in->docker, json_str_or(x, "Name", ""), NULL);
}

/* The whole of it with everything that it made, also after a failure. */
static inline void inside_end(struct inside *in)
{
	if (!in->ops)
		return;
	ops_stop(in->ops, 20000);
	lua_host_free(in->lua);
	ops_free(in->ops);
	wipe_agent(in);
	inside_free(in);
}

/* First thing in main. */
static inline void test_begin(int argc, char **argv)
{
	cleanup_err struct perry_err *err = NULL;
	policy_main(argc, argv);
	if (policy_new(&test_policy, &err) != 0) {
		fprintf(stderr, "%s\n", perry_msg(err));
		exit(1);
	}
	cleanup_free char *beside = path_self_dir();
	test_step = xasprintf("%s/../perry-step", beside);
	log_set_level(getenv("VERBOSE") ? LOG_DEBUG_ : LOG_ERROR_);
	/* The names are fixed: two runs on one machine wait for each other. A child of a test belongs to its parent's
	 * run. */
	if (argc > 1 && strcmp(argv[1], "--child") == 0)
		return;
	int fd = open("/tmp/perry-plc.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		perror("/tmp/perry-plc.lock");
}

static inline int test_end(int rc)
{
	policy_free(test_policy);
	free(test_step);
	return rc;
}

static inline void remove_dir(char *take_dir)
{
	cleanup_free char *command = xasprintf("rm -rf '%s'", take_dir);
	if (system(command) != 0)
		print_error("%s failed\n", command);
	free(take_dir);
}

#endif
