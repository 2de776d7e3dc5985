/* Engines that are absent or talk nonsense: a FAKE engine, a thread that answers with prepared bytes, for what no real
 * one does on demand. Real ones that die or hang: docker_killed_test.c. */
#include "docker_util.h"
#include "base/utf8.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

/* --- nobody there --- */

static void no_engine(void **state)
{
	struct perry_err *err = NULL;
	struct docker *d = NULL;
	char id[65];
	int before = open_fds();
	ok(docker_open(&d, "unix:///tmp/pdk-no-such.sock", &err));
	assert_string_equal(docker_host(d), "unix:///tmp/pdk-no-such.sock");
	fails(PERRY_EUNAVAILABLE, docker_version(d, NULL, &err));
	print_message("%s\n", err->msg);
	assert_true(str_starts(
		err->msg, "cannot reach the Docker Engine at unix:///tmp/pdk-no-such.sock: No such file or directory"));
	assert_non_null(strstr(err->msg, "systemctl start docker"));
	cleanup_json cJSON *spec = cJSON_CreateObject();
	fails(PERRY_EUNAVAILABLE, docker_container_create(d, "x", spec, id, &err));
	fails(PERRY_EUNAVAILABLE, docker_events(d, NULL, NULL, NULL, NULL, NULL, &err));
	fails(PERRY_EUNAVAILABLE, docker_exec_open(d, "x", &(struct docker_exec){ .argv = SH("true") }, NULL, &err));
	docker_close(d);

	/* A file that nobody listens on. */
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/tmp/pdk-stale.sock" };
	unlink(a.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	close(fd);
	perry_err_free(err);
	err = NULL;
	ok(docker_open(&d, "unix:///tmp/pdk-stale.sock", &err));
	fails(PERRY_EUNAVAILABLE, docker_version(d, NULL, &err));
	assert_non_null(strstr(err->msg, "Connection refused; start it"));
	docker_close(d);
	unlink(a.sun_path);
	perry_err_free(err);
	err = NULL;
	ok(docker_open(&d, "tcp://127.0.0.1:1", &err));
	fails(PERRY_EUNAVAILABLE, docker_version(d, NULL, &err));
	assert_non_null(strstr(err->msg, "tcp://127.0.0.1:1: Connection refused"));
	docker_close(d);
	assert_int_equal(open_fds(), before);
	perry_err_free(err);
}

static void wrong_hosts(void **state)
{
	static const char *const bad[] = { "ssh://host", "unix://relative", "/var/run/docker.sock",
					   "npipe:////./pipe/docker", "x" };
	struct perry_err *err = NULL;
	struct docker *d = NULL;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		fails(PERRY_EINPUT, docker_open(&d, bad[i], &err));
		assert_non_null(strstr(err->msg, bad[i]));
	}
	perry_err_free(err);
}

/* --- a fake engine --- */

struct route {
	const char *path;   /* part of the request line */
	const char *answer; /* bytes; NULL: none, the connection stays open */
	size_t len;         /* 0: strlen */
	bool stay;          /* do not close after the answer */
};
#define VERSION_OK \
	{ \
		.path = "GET /version", \
		.answer = "HTTP/1.1 200 OK\r\n\r\n{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}" \
	}

/* Answers change while the fake runs. */
static pthread_mutex_t routes_lock = PTHREAD_MUTEX_INITIALIZER;
#define change(...) \
	do { \
		pthread_mutex_lock(&routes_lock); \
		__VA_ARGS__; \
		pthread_mutex_unlock(&routes_lock); \
	} while (0)

struct fake {
	struct docker *d;
	const struct route *routes;
	char path[64];
	int listener, stop;
	pthread_t thread;
	atomic_int requests;
	int open[64];
	int nopen;
};

static void fake_answer(struct fake *f, int fd)
{
	char request[8192];
	size_t have = 0;
	while (have < sizeof request - 1) {
		ssize_t n = read(fd, request + have, sizeof request - 1 - have);
		if (n <= 0)
			break;
		have += (size_t)n;
		request[have] = '\0';
		if (strstr(request, "\r\n\r\n"))
			break;
	}
	request[have] = '\0';
	char *end = strchr(request, '\r');
	if (end)
		*end = '\0';
	atomic_fetch_add(&f->requests, 1);
	struct route r = { .path = NULL };
	pthread_mutex_lock(&routes_lock);
	for (const struct route *p = f->routes; p->path && !r.path; p++)
		if (strstr(request, p->path))
			r = *p;
	pthread_mutex_unlock(&routes_lock);
	if (r.answer)
		send(fd, r.answer, r.len ? r.len : strlen(r.answer), MSG_NOSIGNAL);
	if (r.path && (!r.answer || r.stay))
		f->open[f->nopen++] = fd;
	else
		close(fd);
}

static void *fake_main(void *ctx)
{
	struct fake *f = ctx;
	for (;;) {
		struct pollfd p[2] = { { .fd = f->listener, .events = POLLIN }, { .fd = f->stop, .events = POLLIN } };
		poll(p, 2, -1);
		if (p[1].revents)
			return NULL;
		int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			fake_answer(f, fd);
	}
}

static void fake_start(struct fake *f, const struct route *routes)
{
	static int n;
	struct perry_err *err = NULL;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char host[100];
	memset(f, 0, sizeof *f);
	f->routes = routes;
	snprintf(f->path, sizeof f->path, "/tmp/pdk-fake-%d-%d.sock", (int)getpid(), n++);
	memcpy(a.sun_path, f->path, sizeof f->path);
	unlink(f->path);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(f->listener, 16), 0);
	f->stop = eventfd(0, EFD_CLOEXEC);
	pthread_create(&f->thread, NULL, fake_main, f);
	snprintf(host, sizeof host, "unix://%s", f->path);
	ok(docker_open(&f->d, host, &err));
}

static void fake_stop(struct fake *f)
{
	docker_close(f->d);
	eventfd_write(f->stop, 1);
	pthread_join(f->thread, NULL);
	for (int i = 0; i < f->nopen; i++)
		close(f->open[i]);
	close(f->listener);
	close(f->stop);
	unlink(f->path);
}

/* One request with a fake's answer: the code and a part of the text. */
static void expect(const struct route *routes, enum perry_code code, int status, const char *text)
{
	struct perry_err *err = NULL;
	struct fake f;
	cleanup_json cJSON *out = NULL;
	fake_start(&f, routes);
	int64_t start = clock_mono_ms();
	fails(code, docker_call(f.d, "GET", "/x", NULL, 500, &out, &err));
	assert_true(clock_mono_ms() - start < 10000); /* the fake one that is silent stays so */
	assert_int_equal(err->status, status);
	if (!strstr(err->msg, text))
		fail_msg("\"%s\" lacks \"%s\"", err->msg, text);
	assert_true(strlen(err->msg) < 3000);
	assert_true(utf8_valid(err->msg, strlen(err->msg)));
	fake_stop(&f);
	perry_err_free(err);
}
#define EXPECT(code, status, text, ...) \
	expect((const struct route[]){ VERSION_OK, \
				       { .path = "GET /v1.41/x", .answer = __VA_ARGS__ }, \
				       { .path = NULL } }, \
	       code, status, text)

static void broken_answers(void **state)
{
	EXPECT(PERRY_EUNAVAILABLE, 0, "went away", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":");
	EXPECT(PERRY_EUNAVAILABLE, 0, "went away",
	       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n");
	EXPECT(PERRY_EUNAVAILABLE, 0, "went away", "HTTP/1.1 200 OK\r\nTransfer-Enc");
	EXPECT(PERRY_EUNAVAILABLE, 0, "went away", "");
	EXPECT(PERRY_EUNAVAILABLE, 0, "went away", "SSH-2.0-OpenSSH_9.2\r\n");
	EXPECT(PERRY_EUNAVAILABLE, 0, "went away", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
	EXPECT(PERRY_EINTERNAL, 0, "answer to GET /x", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<html>!");
	EXPECT(PERRY_EINTERNAL, 0, "answer to GET /x", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\"\xff\"");
	EXPECT(PERRY_ETIMEOUT, 0, "within 500 ms", NULL);
	EXPECT(PERRY_ETIMEOUT, 0, "within 500 ms", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", .stay = true);
}

static void refusals(void **state)
{
	EXPECT(PERRY_EINTERNAL, 500, "disk is full", "HTTP/1.1 500 Oops\r\n\r\n{\"message\":\"  disk is full \\n\"  }");
	EXPECT(PERRY_EINTERNAL, 500, "plain text \xef\xbf\xbd", "HTTP/1.1 500 Oops\r\n\r\nplain text \xff");
	EXPECT(PERRY_EINTERNAL, 502, "status 502 and no text", "HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n");
	EXPECT(PERRY_ENOTFOUND, 404, "gone", "HTTP/1.1 404 No\r\n\r\n{\"message\":\"gone\"}");
	EXPECT(PERRY_EFORBIDDEN, 403, "no", "HTTP/1.1 403 No\r\n\r\n{\"message\":\"no\"}");
	EXPECT(PERRY_EUNAVAILABLE, 503, "later", "HTTP/1.1 503 No\r\n\r\n{\"message\":\"later\"}");
	EXPECT(PERRY_EINTERNAL, 301, "status 301",
	       "HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
}

static void an_endless_answer_has_a_limit(void **state)
{
	struct perry_err *err = NULL;
	struct fake f;
	const size_t n = 70u << 20;
	cleanup_json cJSON *out = NULL;
	char *answer = xmalloc(n);
	memset(answer, ' ', n);
	memcpy(answer, "HTTP/1.1 200 OK\r\n\r\n", 19);
	fake_start(&f, (const struct route[]){
			       VERSION_OK, { .path = "/x", .answer = answer, .len = n }, { .path = NULL } });
	fails(PERRY_ETOOLARGE, docker_call(f.d, "GET", "/x", NULL, 0, &out, &err));
	fake_stop(&f);
	free(answer);
	perry_err_free(err);
}

static void versions(void **state)
{
#define V(text) \
	{ \
		{ .path = "GET /version", .answer = "HTTP/1.1 200 OK\r\n\r\n" text }, \
			{ .path = "/v1.", .answer = "HTTP/1.1 200 OK\r\n\r\n{}" }, \
		{ \
			.path = NULL \
		} \
	}
	static const struct {
		struct route routes[3];
		const char *error; /* NULL: fine */
	} cases[] = {
		{ V("{\"ApiVersion\":\"1.40\",\"MinAPIVersion\":\"1.12\"}"), "too old: it speaks API 1.40" },
		{ V("{\"ApiVersion\":\"1.60\",\"MinAPIVersion\":\"1.54\"}"), "too new: it wants at least API 1.54" },
		{ V("{\"ApiVersion\":\"1.60\",\"MinAPIVersion\":\"1.52\"}"), NULL },
		{ V("{\"ApiVersion\":\"1.41\"}"), NULL },
		{ V("{\"ApiVersion\":\"2.1\"}"), "no Docker Engine" },
		{ V("{\"ApiVersion\":7}"), "no Docker Engine" },
		{ V("[]"), "no Docker Engine" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct perry_err *err = NULL;
		struct fake f;
		fake_start(&f, cases[i].routes);
		int rc = docker_call(f.d, "GET", "/x", NULL, 500, NULL, &err);
		assert_int_equal(rc, cases[i].error ? -1 : 0);
		if (cases[i].error) {
			assert_int_equal(err->code, PERRY_EUNAVAILABLE);
			if (!strstr(err->msg, cases[i].error))
				fail_msg("%s", err->msg);
		}
		fake_stop(&f);
		perry_err_free(err);
	}
}

/* The engine was upgraded behind our back. */
static void the_version_is_negotiated_anew(void **state)
{
	struct perry_err *err = NULL;
	struct fake f;
	static struct route routes[] = {
		VERSION_OK,
		{ .path = "GET /v1.41/x", .answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
		{ .path = "GET /v1.44/x", .answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
		{ .path = NULL },
	};
	fake_start(&f, routes);
	ok(docker_call(f.d, "GET", "/x", NULL, 500, NULL, &err));
	assert_int_equal(docker_requests(f.d), 2);
	change(routes[0].answer = "HTTP/1.1 200 OK\r\n\r\n{\"ApiVersion\":\"1.44\",\"MinAPIVersion\":\"1.44\"}");
	change(routes[1].answer = "HTTP/1.1 400 Bad\r\n\r\n"
				  "{\"message\":\"client version 1.41 is too old. Minimum supported API version is "
				  "1.44, please upgrade\"}");
	ok(docker_call(f.d, "GET", "/x", NULL, 500, NULL, &err));
	assert_int_equal(docker_requests(f.d), 5); /* refused, version, again */
	fake_stop(&f);
}

static void streams_of_nonsense(void **state)
{
	struct perry_err *err = NULL;
	struct fake f;
	int code;
	static struct route routes[] = {
		VERSION_OK,
		{ .path = "/containers/x/exec", .answer = "HTTP/1.1 201 Created\r\n\r\n{\"Id\":\"abc\"}" },
		{ .path = "/exec/abc/start",
		  .answer = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nthis is not "
			    "multiplexed" },
		{ .path = "/exec/abc/json", .answer = "HTTP/1.1 200 OK\r\n\r\n{\"Running\":false,\"ExitCode\":0}" },
		{ .path = NULL },
	};
	struct docker_exec e = { .argv = SH("true"), .timeout_ms = 1000 };
	int before = open_fds();
	fake_start(&f, routes);
	fails(PERRY_EINTERNAL, docker_exec(f.d, "x", &e, NULL, NULL, NULL, &code, &err));
	assert_non_null(strstr(err->msg, "not multiplexed"));
	/* The stream ends in the middle of a frame. */
	change(routes[2].answer = "HTTP/1.1 101 UPGRADED\r\n\r\n\1\0\0\0\0\0\0\11half");
	change(routes[2].len = 26 + 8 + 4 - 1);
	fails(PERRY_EUNAVAILABLE, docker_exec(f.d, "x", &e, NULL, NULL, NULL, &code, &err));
	change(routes[2].len = 0);
	/* No upgrade, with the reason in chunks, one of them late. */
	change(routes[2].answer = "HTTP/1.1 500 Oops\r\nTransfer-Encoding: "
				  "chunked\r\n\r\nb\r\n{\"message\":\r\n9\r\n\"no ptys\"\r\n1\r\n}\r\n0\r\n\r\n");
	change(routes[2].stay = true);
	fails(PERRY_EINTERNAL, docker_exec(f.d, "x", &e, NULL, NULL, NULL, &code, &err));
	assert_string_equal(err->msg, "no ptys");
	assert_int_equal(err->status, 500);
	change(routes[2].answer = "HTTP/1.1 404 No\r\nContent-Length: 18\r\n\r\n{\"message\":\"gone\"}trailing");
	fails(PERRY_ENOTFOUND, docker_exec(f.d, "x", &e, NULL, NULL, NULL, &code, &err));
	assert_string_equal(err->msg, "gone");
	/* Half a head, and silence. */
	change(routes[2].answer = "HTTP/1.1 101 UPGR");
	fails(PERRY_ETIMEOUT, docker_exec(f.d, "x", &e, NULL, NULL, NULL, &code, &err));
	change(routes[2].stay = false);
	fails(PERRY_EUNAVAILABLE, docker_exec(f.d, "x", &e, NULL, NULL, NULL, &code, &err));
	/* A stream that ended, of a command that the engine no longer knows: it was restarted. */
	change(routes[2].answer = "HTTP/1.1 101 UPGRADED\r\n\r\n");
	change(routes[3].answer = "HTTP/1.1 404 No\r\n\r\n{\"message\":\"gone\"}");
	fails(PERRY_EUNAVAILABLE, docker_exec(f.d, "x", &e, NULL, NULL, NULL, &code, &err));
	assert_non_null(strstr(err->msg, "restarted"));
	/* An engine that never tells the end of it. */
	change(routes[3].answer = "HTTP/1.1 200 OK\r\n\r\n{\"Running\":true,\"ExitCode\":null}");
	fails(PERRY_ETIMEOUT, docker_exec(f.d, "x", &e, NULL, NULL, NULL, &code, &err));
	/* An answer without an id. */
	change(routes[1].answer = "HTTP/1.1 201 Created\r\n\r\n{}");
	fails(PERRY_EINTERNAL, docker_exec(f.d, "x", &e, NULL, NULL, NULL, &code, &err));
	fake_stop(&f);
	assert_int_equal(open_fds(), before);
	perry_err_free(err);
}

static void on_line(void *ctx, const char *line)
{
	++*(int *)ctx;
}

/* A failure is one more line after the status 200. */
static void progress_with_an_error_line(void **state)
{
	struct perry_err *err = NULL;
	struct fake f;
	int lines = 0;
	static struct route routes[] = {
		VERSION_OK,
		{ .path = "fromImage=host%3A5000%2Fa%2Fb&tag=latest",
		  .answer =
			  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16\r\n{\"status\":\"Pulling\"}\r\n\r\n"
			  "49\r\n{\"errorDetail\":{\"message\":\"manifest unknown\"},\"error\":\"manifest "
			  "unknown\"}\r\n0\r\n\r\n" },
		{ .path = "fromImage=a&tag=sha256%3Aabc", .answer = "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"Pulling\"}" },
		{ .path = "fromImage=b&tag=1",
		  .answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16\r\n{\"status\":\"Pulling\"}\r\n" },
		{ .path = "fromImage=c&tag=1", .answer = "HTTP/1.1 200 OK\r\n\r\nnot json\n" },
		{ .path = "fromImage=", .answer = NULL },
		{ .path = NULL },
	};
	fake_start(&f, routes);
	fails(PERRY_ENOTFOUND, docker_image_pull(f.d, "host:5000/a/b", on_line, &lines, NULL, &err));
	assert_string_equal(err->msg, "manifest unknown");
	assert_int_equal(lines, 2);
	perry_err_free(err);
	err = NULL;
	ok(docker_image_pull(f.d, "a@sha256:abc", NULL, NULL, NULL, &err));
	fails(PERRY_EUNAVAILABLE, docker_image_pull(f.d, "b:1", NULL, NULL, NULL, &err)); /* cut off */
	fails(PERRY_EINTERNAL, docker_image_pull(f.d, "c:1", NULL, NULL, NULL, &err));
	struct docker_cancel cancel = { .set = true, .fd = -1 };
	fails(PERRY_ECANCELLED, docker_image_pull(f.d, "d:1", NULL, NULL, &cancel, &err));
	fake_stop(&f);
	perry_err_free(err);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_engine),
		cmocka_unit_test(wrong_hosts),
		cmocka_unit_test(broken_answers),
		cmocka_unit_test(refusals),
		cmocka_unit_test(an_endless_answer_has_a_limit),
		cmocka_unit_test(versions),
		cmocka_unit_test(the_version_is_negotiated_anew),
		cmocka_unit_test(streams_of_nonsense),
		cmocka_unit_test(progress_with_an_error_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
