/* kill -9 of the agent at every step of every operation: the next one finishes what was under way, says so, runs no
 * script twice, leaks nothing. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lua_util.h"

struct policy *test_policy;
char *test_step;

static struct inside in;
static char *dir;

#define SCRIPT "#!/bin/sh\necho ran >> ~/ran\nsleep 0.4\necho over >> ~/ran\n"

static int setup(void **state)
{
	(void)state;
	dir = inside_dir("");
	cleanup_free char *text = xasprintf("{\"image\":\"" TEST_IMAGE
					    "\",\"networkRange\":\"10.214.0.0/16\",\"sshPortRange\":\"2900-2999\","
					    "\"ssh\":{\"autoAuthorizeHostKeys\":false},\"credentials\":{\"env\":{"
					    "\"TOKEN\":\"abcdefgh\"}},\"scripts\":{\"post_start\":[\"%s/slow.sh\"]}}",
					    dir);
	write_text(dir, "slow.sh", SCRIPT);
	write_text(dir, "config.json", text);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (!in.ops) /* the spare network is left */
		inside_open(&in, dir, 0, NULL, NULL);
	inside_end(&in);
	remove_dir(dir);
	return 0;
}

/* --- the one that is killed: test --child DIR KIND WORKSPACE INPUT STEP STATUS MS --- */

struct trigger {
	const char *step, *status;
	int ms;
	const char *second, *workspace;
};

static void *second_and_kill(void *arg);

static void *kill_later(void *arg)
{
	struct trigger *t = arg;
	usleep((unsigned)t->ms * 1000);
	kill(getpid(), SIGKILL);
	return NULL;
}

static void watch(void *ctx, const cJSON *ev)
{
	struct trigger *t = ctx;
	pthread_t thread;
	if (!str_eq(json_str(ev, "kind"), "step") || !str_eq(json_str(ev, "step"), t->step) ||
	    !str_eq(json_str(ev, "status"), t->status))
		return;
	if (t->ms == 0 && !t->second)
		kill(getpid(), SIGKILL);
	pthread_create(&thread, NULL, t->second ? second_and_kill : kill_later, t);
}

/* KIND may be two, "clone,stop": the second comes MS after the step of the first, and then the kill. */
static void *second_and_kill(void *arg)
{
	struct trigger *t = arg;
	struct op *op = NULL;
	cleanup_err struct perry_err *err = NULL;
	usleep((unsigned)t->ms * 1000);
	if (ops_submit(in.ops, t->second, t->workspace, NULL, NULL, &op, &err) < 0)
		fprintf(stderr, "%s: %s\n", t->second, perry_msg(err));
	usleep(5000);
	kill(getpid(), SIGKILL);
	return NULL;
}

static int child(char **argv)
{
	char *comma = strchr(argv[3], ',');
	if (comma)
		*comma++ = '\0';
	struct trigger t = { argv[6], argv[7], atoi(argv[8]), comma, argv[4] };
	inside_open(&in, argv[2], 1, watch, &t);
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *result = run_op(&in, argv[3], argv[4], argv[5], &err);
	fprintf(stderr, "not killed: %s\n", result ? "done" : perry_msg(err));
	return 9;
}

static char *self;

/* may_end: it may be done before that. */
static void killed_or_done(const char *kind, const char *ws, const char *input, const char *step, const char *status,
			   int ms, bool may_end)
{
	char ms_text[16];
	int wait_status;
	snprintf(ms_text, sizeof ms_text, "%d", ms);
	pid_t pid = fork();
	if (pid == 0) {
		execl(self, self, "--child", dir, kind, ws, input, step, status, ms_text, (char *)NULL);
		_exit(8);
	}
	while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
		;
	if (!WIFSIGNALED(wait_status) && !(may_end && WEXITSTATUS(wait_status) == 9))
		fail_msg("%s at %s %s +%d: the child was not killed (exit %d)", kind, step, status, ms,
			 WEXITSTATUS(wait_status));
}

static void killed_at(const char *kind, const char *ws, const char *input, const char *step, const char *status, int ms)
{
	killed_or_done(kind, ws, input, step, status, ms, false);
}

/* --- the one that comes after --- */

static char *said; /* of the event "recovered" */

static void listen_to(void *ctx, const cJSON *ev)
{
	(void)ctx;
	if (str_eq(json_str(ev, "kind"), "recovered")) {
		free(said);
		said = xstrdup(json_str(ev, "message"));
	}
}

static void recover(void)
{
	cleanup_err struct perry_err *err = NULL;
	free(take_ptr(said));
	inside_open(&in, dir, 1, listen_to, NULL);
	/* In this order, as the agent does: what was under way claims its workspace before what should run is looked
	 * at. */
	ok(ops_recover(in.ops, &err) < 0 ? -1 : 0);
	ok(lua_host_boot(in.lua, in.ops, &err));
	for (int i = 0; i < 6000; i++) {
		cleanup_json cJSON *running = ops_running(in.ops);
		if (!cJSON_GetArraySize(running))
			return;
		usleep(10000);
	}
	fail_msg("the recovered operation does not end");
}

static void runs_as_it_should(const char *ws, int scripts)
{
	cleanup_json cJSON *view = NULL;
	cleanup_err struct perry_err *err = NULL;
	ok(fleet_get(in.fleet, ws, &view, &err));
	assert_string_equal(json_str_or(view, "status", ""), "running");
	assert_string_equal(json_str_or(view, "state", ""), "ready");
	assert_null(json_at(view, "error"));
	says(&in, ws, "printf %s $TOKEN", "abcdefgh");
	cleanup_free char *ran = in_ws(&in, ws, "grep -c ran /home/workspace/ran || true"),
			  *over = in_ws(&in, ws, "grep -c over /home/workspace/ran || true");
	assert_int_equal(atoi(ran), scripts);
	assert_int_equal(atoi(over), scripts);
	int c, v, n, i;
	count_things(&in, &c, &v, &n, &i);
	assert_int_equal(c, 1);
	assert_int_equal(v, 1);
}

static void end_with_delete(const char *ws)
{
	done(&in, "delete", ws, "{}");
	nothing_left(&in);
	inside_close(&in);
}

struct point {
	const char *step, *status;
	int ms;
};

static const struct point starts[] = { { "prepare", "running", 0 },  { "prepare", "running", 5 },
				       { "prepare", "running", 20 }, { "prepare", "running", 40 },
				       { "prepare", "done", 0 },     { "start", "running", 0 },
				       { "start", "running", 100 },  { "start", "running", 250 },
				       { "start", "done", 0 },       { "sync", "running", 0 },
				       { "sync", "done", 0 },        { "scripts", "running", 0 },
				       { "scripts", "running", 70 }, { "scripts", "running", 200 },
				       { "scripts", "done", 0 },     { "tailscale", "skipped", 0 } };

static void create(void **state)
{
	(void)state;
	for (size_t i = getenv("FROM") ? (size_t)atoi(getenv("FROM")) : 0; i < ARRAY_LEN(starts); i++) {
		const struct point *p = &starts[i];
		print_message("create, %s %s +%d\n", p->step, p->status, p->ms);
		killed_at("create", "plc-killed", "{}", p->step, p->status, p->ms);
		recover();
		assert_non_null(said);
		assert_non_null(strstr(said, "finished the create of 'plc-killed' that was interrupted at step '"));
		runs_as_it_should("plc-killed", 1);
		end_with_delete("plc-killed");
	}
}

static void start(void **state)
{
	(void)state;
	int scripts = 1;
	inside_open(&in, dir, 1, NULL, NULL);
	done(&in, "create", "plc-killed", "{}");
	for (size_t i = getenv("FROM") ? (size_t)atoi(getenv("FROM")) : 0; i < ARRAY_LEN(starts); i++) {
		const struct point *p = &starts[i];
		print_message("start, %s %s +%d\n", p->step, p->status, p->ms);
		done(&in, "stop", "plc-killed", "{}");
		inside_close(&in);
		killed_at("start", "plc-killed", "{}", p->step, p->status, p->ms);
		recover();
		runs_as_it_should("plc-killed", ++scripts);
	}
	end_with_delete("plc-killed");
}

/* A container that is made anew from a commit, or from another image. */
static void recreate(void **state)
{
	(void)state;
	static const int ms[] = { 0, 20, 60, 150, 250, 350, 450, 600 };
	cleanup_free char *hooks = path_join(dir, "hooks");
	mkdir(hooks, 0700);
	inside_open(&in, dir, 1, NULL, NULL);
	done(&in, "create", "plc-killed", "{}");
	says(&in, "plc-killed", "echo 1 > /usr/local/installed", "");
	for (size_t i = 0; i < ARRAY_LEN(ms); i++) {
		print_message("restart with a changed spec, +%d\n", ms[i]);
		cleanup_free char *text = xasprintf("return function(_, base) local c = base(); c.sysctls = { "
						    "[\"net.ipv4.ip_unprivileged_port_start\"] = \"%zu\" }; "
						    "return c end",
						    80 + i);
		write_text(hooks, "container.lua", text);
		inside_close(&in);
		killed_at("restart", "plc-killed", "{}", "prepare", "running", ms[i]);
		recover();
		runs_as_it_should("plc-killed", (int)i + 2);
		cleanup_free char *port = xasprintf("%zu\n1", 80 + i);
		says(&in, "plc-killed", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /usr/local/installed", port);
		int c, v, n, images;
		count_things(&in, &c, &v, &n, &images);
		assert_int_equal(images, 1);
	}
	end_with_delete("plc-killed");
}

static void stop_and_delete(void **state)
{
	(void)state;
	static const int ms[] = { 0, 5, 30, 100 };
	for (size_t i = 0; i < ARRAY_LEN(ms); i++) {
		print_message("stop and delete, +%d\n", ms[i]);
		inside_open(&in, dir, 1, NULL, NULL);
		done(&in, "create", "plc-killed", "{}");
		inside_close(&in);
		killed_or_done("stop", "plc-killed", "{}", "stop", "running", ms[i], true);
		recover();
		cleanup_json cJSON *view = NULL;
		cleanup_err struct perry_err *err = NULL;
		ok(fleet_get(in.fleet, "plc-killed", &view, &err));
		assert_string_equal(json_str_or(view, "status", ""), "stopped");
		assert_string_equal(json_str_or(view, "desired", ""), "stopped");
		inside_close(&in);
		killed_or_done("delete", "plc-killed", "{}", "delete", "running", ms[i], true);
		recover();
		nothing_left(&in);
		cJSON_Delete(take_ptr(view));
		assert_int_equal(fleet_get(in.fleet, "plc-killed", &view, NULL), -1);
		inside_close(&in);
	}
}

static void copied(void **state)
{
	(void)state;
	static const int ms[] = { 0, 40, 100, 200, 350, 500 };
	inside_open(&in, dir, 1, NULL, NULL);
	done(&in, "create", "plc-source", "{}");
	says(&in, "plc-source", "head -c 3000000 /dev/zero > /home/workspace/big; rm /home/workspace/ran", "");
	for (size_t i = 0; i < ARRAY_LEN(ms); i++) {
		print_message("clone, +%d\n", ms[i]);
		inside_close(&in);
		killed_or_done("clone", "plc-killed", "{\"sourceName\":\"plc-source\"}", "prepare", "running", ms[i],
			       true);
		recover();
		says(&in, "plc-killed", "stat -c %s /home/workspace/big; cat /home/workspace/ran",
		     "3000000\nran\nover");
		says(&in, "plc-source", "stat -c %s /home/workspace/big", "3000000"); /* and it is not paused */
		done(&in, "delete", "plc-killed", "{}");
	}
	end_with_delete("plc-source");
}

static bool is_paused(const char *container)
{
	cleanup_json cJSON *c = NULL;
	cleanup_err struct perry_err *err = NULL;
	ok(docker_container_inspect(in.docker, container, &c, &err));
	return json_bool_or(c, "State.Paused", false);
}

/* A clone that was being cancelled when the agent was killed: nothing of it stays, its source goes on, and its name is
 * free. */
static void copied_in_vain(void **state)
{
	(void)state;
	static const int ms[] = { 0, 30, 60, 100, 150, 250 };
	static const char *const seconds[] = { "clone,delete", "clone,stop" };
	inside_open(&in, dir, 1, NULL, NULL);
	done(&in, "create", "plc-source", "{}");
	says(&in, "plc-source", "head -c 60000000 /dev/zero > /home/workspace/big; rm /home/workspace/ran", "");
	for (size_t i = 0; i < ARRAY_LEN(ms) * ARRAY_LEN(seconds); i++) {
		const char *kinds = seconds[i % ARRAY_LEN(seconds)];
		print_message("%s, +%d\n", kinds, ms[i / ARRAY_LEN(seconds)]);
		inside_close(&in);
		killed_or_done(kinds, "plc-killed", "{\"sourceName\":\"plc-source\"}", "prepare", "running",
			       ms[i / ARRAY_LEN(seconds)], true);
		recover();
		assert_false(is_paused("workspace-plc-source"));
		cleanup_json cJSON *record = record_of(&in, "plc-killed");
		if (record) { /* it was done before the second came */
			assert_true(strstr(kinds, "stop") != NULL);
			done(&in, "start", "plc-killed", "{}");
			says(&in, "plc-killed", "stat -c %s /home/workspace/big", "60000000");
			done(&in, "delete", "plc-killed", "{}");
		}
		assert_int_equal(docker_volume_inspect(in.docker, "workspace-plc-killed", NULL, NULL), -1);
		done(&in, "clone", "plc-killed", "{\"sourceName\":\"plc-source\"}");
		says(&in, "plc-killed", "stat -c %s /home/workspace/big", "60000000");
		done(&in, "delete", "plc-killed", "{}");
	}
	end_with_delete("plc-source");
}

/* Nobody is there any more who would let it go on: neither the clone nor the one that cancelled it. */
static void left_paused(void **state)
{
	(void)state;
	cleanup_err struct perry_err *err = NULL;
	inside_open(&in, dir, 1, NULL, NULL);
	done(&in, "create", "plc-source", "{}");
	cleanup_json cJSON *held = json_of("{\"paused\":{\"0123456789abcdef\":true}}");
	ok(store_ws_patch(in.store, "plc-source", held, NULL, &err));
	ok(docker_call(in.docker, "POST", "/containers/workspace-plc-source/pause", NULL, 0, NULL, &err));
	inside_close(&in);
	recover();
	for (int i = 0; i < 3000 && is_paused("workspace-plc-source"); i++)
		usleep(10000);
	assert_false(is_paused("workspace-plc-source"));
	/* What its owner paused stays so until the next start. */
	ok(docker_call(in.docker, "POST", "/containers/workspace-plc-source/pause", NULL, 0, NULL, &err));
	done(&in, "clone", "plc-killed", "{\"sourceName\":\"plc-source\"}");
	assert_true(is_paused("workspace-plc-source"));
	done(&in, "delete", "plc-killed", "{}");
	done(&in, "start", "plc-source", "{}");
	assert_false(is_paused("workspace-plc-source"));
	ok(docker_call(in.docker, "POST", "/containers/workspace-plc-source/pause", NULL, 0, NULL, &err));
	done(&in, "stop", "plc-source", "{}");
	done(&in, "start", "plc-source", "{}");
	says(&in, "plc-source", "echo runs", "runs");
	end_with_delete("plc-source");
}

/* Asked to stop in the middle (SIGTERM), not killed: the same. */
static void told_to_stop(void **state)
{
	(void)state;
	struct op *op = NULL;
	cleanup_err struct perry_err *err = NULL;
	inside_open(&in, dir, 1, NULL, NULL);
	ok(ops_submit(in.ops, "create", "plc-killed", NULL, NULL, &op, &err));
	for (int i = 0; i < 1000; i++) {
		cleanup_json cJSON *running = ops_running(in.ops);
		if (str_eq(json_str(cJSON_GetArrayItem(running, 0), "step"), "scripts"))
			break;
		usleep(2000);
	}
	usleep(100000);
	inside_close(&in);
	op_unref(op);
	recover();
	assert_non_null(strstr(said, "interrupted at step 'scripts'"));
	runs_as_it_should("plc-killed", 1);
	end_with_delete("plc-killed");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	if (argc > 8 && strcmp(argv[1], "--child") == 0)
		return child(argv);
	self = realpath("/proc/self/exe", NULL);
	const struct CMUnitTest tests[] = { T(create), T(start),          T(recreate),    T(stop_and_delete),
					    T(copied), T(copied_in_vain), T(left_paused), T(told_to_stop) };
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	free(self);
	free(said);
	return test_end(rc);
}
