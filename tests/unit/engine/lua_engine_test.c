/* The engine is away, or goes away in the middle: a clear error, and nothing that cannot be finished or removed when it
 * is back. A relay in front of the real engine is what goes: nobody else loses theirs. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lua_util.h"
#include "base/fd.h"

struct policy *test_policy;
char *test_step;

static struct inside in;
static char *dir, *self, *socket_path;
static _Atomic pid_t relay_pid;

/* --- the relay: test --relay PATH; one process a connection, all end with their group --- */

static void pump(int a, int b)
{
	struct pollfd p[2] = { { a, POLLIN, 0 }, { b, POLLIN, 0 } };
	char bytes[65536];
	while (poll(p, 2, -1) > 0)
		for (int i = 0; i < 2; i++) {
			if (!p[i].revents)
				continue;
			ssize_t n = read(p[i].fd, bytes, sizeof bytes);
			if (n < 0)
				_exit(0);
			if (n == 0) {
				shutdown(p[!i].fd, SHUT_WR);
				p[i].fd = -1;
				if (p[!i].fd < 0)
					_exit(0);
			} else if (fd_write_all(p[!i].fd >= 0 ? p[!i].fd : i ? a : b, bytes, (size_t)n) < 0) {
				_exit(0);
			}
		}
	_exit(0);
}

static int connected(const char *path, bool listening)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	if (listening ? bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 32)
		      : connect(fd, (struct sockaddr *)&at, sizeof at))
		_exit(7);
	return fd;
}

static void relay(const char *path)
{
	signal(SIGCHLD, SIG_IGN);
	setpgid(0, 0);
	int listener = connected(path, true);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd >= 0 && fork() == 0)
			pump(fd, connected("/var/run/docker.sock", false));
		close(fd);
	}
}

static void relay_up(void)
{
	unlink(socket_path);
	relay_pid = fork();
	if (relay_pid == 0) {
		execl(self, self, "--relay", socket_path, (char *)NULL);
		_exit(8);
	}
	for (int i = 0; i < 500 && access(socket_path, F_OK); i++)
		usleep(10000);
	usleep(20000);
}

static void relay_down(void)
{
	if (relay_pid <= 0)
		return;
	kill(-relay_pid, SIGKILL);
	kill(relay_pid, SIGKILL);
	while (waitpid(relay_pid, NULL, 0) < 0 && errno == EINTR)
		;
	relay_pid = 0;
	unlink(socket_path);
}

static const char *_Atomic fatal_step;

static void watch(void *ctx, const cJSON *ev)
{
	(void)ctx;
	if (fatal_step && str_eq(json_str(ev, "step"), fatal_step) && str_eq(json_str(ev, "status"), "running"))
		relay_down();
}

static int setup(void **state)
{
	(void)state;
	dir = inside_dir("");
	socket_path = path_join(dir, "engine.sock");
	cleanup_free char *host = xasprintf("unix://%s", socket_path);
	setenv("DOCKER_HOST", host, 1);
	relay_up();
	inside_open(&in, dir, 0, watch, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fatal_step = NULL;
	relay_down();
	relay_up();
	inside_end(&in);
	relay_down();
	unsetenv("DOCKER_HOST");
	free(socket_path);
	remove_dir(dir);
	return 0;
}

static void state_is(const char *ws, const char *expected)
{
	cleanup_json cJSON *r = record_of(&in, ws);
	assert_string_equal(json_str_or(r, "state", "absent"), expected);
}

static void back_again(void)
{
	relay_up();
	fatal_step = NULL;
	fleet_wait_ready(in.fleet, 10000);
}

static void away(void **state)
{
	(void)state;
	done(&in, "create", "plc-away", "{}");
	relay_down();
	refused(&in, "create", "plc-away-2", "{}", PERRY_EUNAVAILABLE, "cannot reach the Docker Engine");
	state_is("plc-away-2", "absent");
	refused(&in, "stop", "plc-away", "{}", PERRY_EUNAVAILABLE, "Docker Engine");
	refused(&in, "delete", "plc-away", "{}", PERRY_EUNAVAILABLE, "Docker Engine");
	back_again();
	done(&in, "start", "plc-away-2", "{}");
	state_is("plc-away-2", "ready");
	done(&in, "delete", "plc-away", "{}");
	done(&in, "delete", "plc-away-2", "{}");
	nothing_left(&in);
}

static void goes(void **state)
{
	(void)state;
	static const char *const steps[] = { "prepare", "start", "sync" };
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		print_message("goes at %s\n", steps[i]);
		fatal_step = steps[i];
		cleanup_err struct perry_err *err = NULL;
		cleanup_json cJSON *result = run_op(&in, "create", "plc-goes", "{}", &err);
		back_again();
		if (!result) { /* the file sync of a start needs no engine any more */
			assert_int_equal(err->code, PERRY_EUNAVAILABLE);
			state_is("plc-goes", i == 0 ? "absent" : "error"); /* what it made cannot be undone now */
			done(&in, i % 2 ? "start" : "delete", "plc-goes", "{}");
		}
		if (result || i % 2) {
			state_is("plc-goes", "ready");
			done(&in, "delete", "plc-goes", "{}");
		}
		nothing_left(&in);
	}
}

/* An engine that was restarted has stopped what ran: it is started again. */
static void restarted(void **state)
{
	(void)state;
	struct docker *direct = NULL;
	cleanup_err struct perry_err *err = NULL;
	ok(lua_host_boot(in.lua, in.ops, &err));
	done(&in, "create", "plc-re", "{}");
	ok(docker_open(&direct, "unix:///var/run/docker.sock", &err));
	relay_down();
	for (int i = 0; i < 500 && fleet_engine_up(in.fleet, NULL); i++)
		usleep(10000);
	ok(docker_container_stop(direct, "workspace-plc-re", 0, &err));
	docker_close(direct);
	back_again();
	for (int i = 0; i < 1000; i++) {
		cleanup_json cJSON *view = NULL;
		ok(fleet_get(in.fleet, "plc-re", &view, &err));
		if (str_eq(json_str(view, "container.state"), "running"))
			break;
		assert_int_not_equal(i, 999);
		usleep(10000);
	}
	for (int i = 0; i < 500; i++) {
		cleanup_json cJSON *running = ops_running(in.ops);
		if (!cJSON_GetArraySize(running))
			break;
		usleep(10000);
	}
	done(&in, "delete", "plc-re", "{}");
	nothing_left(&in);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--relay") == 0)
		relay(argv[2]);
	signal(SIGPIPE, SIG_IGN);
	test_begin(argc, argv);
	self = realpath("/proc/self/exe", NULL);
	const struct CMUnitTest tests[] = { T(away), T(goes), T(restarted) };
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	free(self);
	return test_end(rc);
}
