/* What hooks may ask of the agent: docker, http, kv, with secrets that they never see. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lua_util.h"

struct policy *test_policy;
char *test_step;

static struct inside in;
static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = inside_dir(", \"secrets\": {\"chat\": \"open-sesame-42\"}");
	cleanup_free char *hooks = path_join(dir, "hooks");
	mkdir(hooks, 0700);
	inside_open(&in, dir, 0, NULL, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	inside_end(&in);
	remove_dir(dir);
	return 0;
}

static void hook(const char *point, const char *text)
{
	inside_hook(dir, point, text);
}

/* One request, answered. */
struct once {
	int fd, port;
	pthread_t thread;
	char got[4096];
};

static void *answer(void *arg)
{
	struct once *o = arg;
	static const char reply[] = "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: "
				    "5\r\nConnection: close\r\n\r\nhello";
	int fd = accept(o->fd, NULL, NULL);
	size_t n = 0;
	while (n < sizeof o->got - 1 && !(strstr(o->got, "\r\n\r\n") && strstr(o->got, "}"))) {
		ssize_t got = read(fd, o->got + n, sizeof o->got - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (write(fd, reply, sizeof reply - 1) < 0)
		perror("write");
	close(fd);
	return NULL;
}

static void once_begin(struct once *o)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;
	o->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(o->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(o->fd, 1), 0);
	getsockname(o->fd, (struct sockaddr *)&a, &len);
	o->port = ntohs(a.sin_port);
	pthread_create(&o->thread, NULL, answer, o);
}

static cJSON *kept(const char *key)
{
	cleanup_err struct perry_err *err = NULL;
	cJSON *v = NULL;
	for (int n = 0; n < 300 && !v; n++) {
		ok(store_kv_get(in.store, "user", key, &v, &err));
		if (!v)
			usleep(20000);
	}
	assert_non_null(v);
	return v;
}

static void calls(void **state)
{
	(void)state;
	struct once o = { 0 };
	once_begin(&o);
	cleanup_free char *text = xasprintf(
		"return function(ws, ev)\n"
		"  local r = perry.http.request { url = \"http://127.0.0.1:%d/x\", method = \"PUT\", headers = { "
		"Authorization = \"Bearer \" .. perry.secret \"chat\" },\n"
		"    json = { text = \"up: \" .. ws.name, key = perry.secret \"chat\" } }\n"
		"  local e = perry.docker.exec { argv = { \"sh\", \"-c\", \"id -un; printf '\\\\377'; exit 4\" } }\n"
		"  local c, none = perry.docker.inspect(ws.name), perry.docker.inspect \"plc-none\"\n"
		"  perry.kv.set(\"all\", { status = r.status, body = r.body, type = r.headers[\"content-type\"], code "
		"= e.code, out = e.stdout,\n"
		"    image = c.Config.Image, env = c.Config.Env ~= nil, none = none == nil, others = "
		"#perry.docker.list() })\n"
		"end\n",
		o.port);
	hook("on_started", text);
	done(&in, "create", "plc-hook", "{}");
	cleanup_json cJSON *all = kept("all");
	pthread_join(o.thread, NULL);
	close(o.fd);
	assert_non_null(strstr(o.got, "PUT /x HTTP/1.1"));
	assert_non_null(strstr(o.got, "Authorization: Bearer open-sesame-42"));
	assert_non_null(strstr(o.got, "\"key\":\"open-sesame-42\""));
	assert_non_null(strstr(o.got, "up: plc-hook"));
	assert_int_equal(json_int_or(all, "status", 0), 201);
	assert_string_equal(json_str_or(all, "body", ""), "hello");
	assert_string_equal(json_str_or(all, "type", ""), "text/plain");
	assert_int_equal(json_int_or(all, "code", 0), 4);
	assert_string_equal(json_str_or(all, "out", ""), "workspace\n\xef\xbf\xbd");
	assert_string_equal(json_str_or(all, "image", ""), TEST_IMAGE);
	assert_false(json_bool_or(all, "env", true));
	assert_true(json_bool_or(all, "none", false));
	assert_int_equal(json_int_or(all, "others", 0), 1);
	done(&in, "delete", "plc-hook", "{}");
	nothing_left(&in);
}

/* A failing action is shown on the workspace and undoes nothing; one that is waited for delays no further than its
 * deadline. */
static void failing(void **state)
{
	(void)state;
	hook("on_started", "return function(ws)\n  error(\"no chat today\")\nend\n");
	hook("on_stopping", "return function(ws)\n  perry.http.get \"http://127.0.0.1:1/\"\nend\n");
	done(&in, "create", "plc-hook", "{}");
	for (int i = 0; i < 300; i++) {
		cleanup_json cJSON *r = record_of(&in, "plc-hook");
		if (strstr(json_str_or(r, "hookError.message", ""), "on_started.lua:2: no chat today"))
			break;
		assert_int_not_equal(i, 299);
		usleep(10000);
	}
	done(&in, "stop", "plc-hook", "{}");
	done(&in, "delete", "plc-hook", "{}");
	nothing_left(&in);
}

/* A secret that is named and not there stops the start, by its name. */
static void no_such_secret(void **state)
{
	(void)state;
	hook("env", "return function(_, base) local e = base(); e.KEY = perry.secret \"nowhere\"; return e end");
	refused(&in, "create", "plc-hook", "{}", PERRY_ENOTFOUND,
		"environment variable KEY: there is no secret \"nowhere\"");
	nothing_left(&in);
	hook("env", "return function(_, base) local e = base(); e.KEY = perry.secret \"chat\"; e.BOTH = \"a-\" .. "
		    "perry.secret \"chat\" .. \"-b\"; return e end");
	done(&in, "create", "plc-hook", "{}");
	says(&in, "plc-hook", "echo $KEY $BOTH", "open-sesame-42 a-open-sesame-42-b");
	cleanup_free char *grep = xasprintf("! grep -aq open-sesame %s/state.db*", dir);
	assert_int_equal(system(grep), 0);
	done(&in, "delete", "plc-hook", "{}");
	nothing_left(&in);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	const struct CMUnitTest tests[] = { T(calls), T(failing), T(no_such_secret) };
	return test_end(cmocka_run_group_tests(tests, NULL, NULL));
}
