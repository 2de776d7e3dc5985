/* The LocalAPI client against a FAKE tailscaled (a thread with prepared bytes on a unix socket): truncated, refusing,
 * conflicting, silent and talking nonsense, which the real one cannot be made to do. The real one is used by
 * tests/tailnet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tailscale/local.h"

#include "err_util.h"

#define fails_saying(expected, text, call) \
	do { \
		perry_err_free(err); \
		err = NULL; \
		assert_int_equal((call), -1); \
		if (err->code != (expected) || !strstr(err->msg, (text))) \
			fail_msg("%s: %d %s", #call, err->code, err->msg); \
	} while (0)

static struct fake {
	char path[64];
	int listener, stop;
	pthread_t thread;
	const char *answer; /* NULL: none, the connection stays open */
	bool stay;          /* open after the answer, too */
	char request[4096]; /* the last one */
	int open[32], nopen;
} fake;
static pthread_mutex_t serving = PTHREAD_MUTEX_INITIALIZER; /* held while a request is served */

/* The client has its answer; the fake may still be about to look at these. */
static struct fake *at_rest(void)
{
	pthread_mutex_lock(&serving);
	pthread_mutex_unlock(&serving);
	return &fake;
}

static void serve_one(int fd)
{
	size_t have = 0;
	pthread_mutex_lock(&serving);
	char *end = NULL;
	while (have < sizeof fake.request - 1 && !end) {
		ssize_t n = read(fd, fake.request + have, sizeof fake.request - 1 - have);
		if (n <= 0)
			break;
		have += (size_t)n;
		fake.request[have] = 0;
		end = strstr(fake.request, "\r\n\r\n");
	}
	char *length = strstr(fake.request, "Content-Length: ");
	size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
	while (end && (size_t)(fake.request + have - end) < body + 4) {
		ssize_t n = read(fd, fake.request + have, sizeof fake.request - 1 - have);
		if (n <= 0)
			break;
		have += (size_t)n;
		fake.request[have] = 0;
	}
	if (fake.answer)
		send(fd, fake.answer, strlen(fake.answer), MSG_NOSIGNAL);
	if (!fake.answer || fake.stay)
		fake.open[fake.nopen++] = fd;
	else
		close(fd);
	pthread_mutex_unlock(&serving);
}

static void *fake_main(void *arg)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = fake.listener, .events = POLLIN },
				       { .fd = fake.stop, .events = POLLIN } };
		poll(p, 2, -1);
		if (p[1].revents)
			return NULL;
		int fd = accept(fake.listener, NULL, NULL);
		if (fd >= 0)
			serve_one(fd);
	}
}

static struct tslocal *begin(const char *answer, bool stay)
{
	struct perry_err *err = NULL;
	struct tslocal *t = NULL;
	memset(&fake, 0, sizeof fake);
	snprintf(fake.path, sizeof fake.path, "/tmp/acc-fake-%d.sock", (int)getpid());
	fake.answer = answer;
	fake.stay = stay;
	unlink(fake.path);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	strcpy(a.sun_path, fake.path);
	fake.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fake.listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fake.listener, 16), 0);
	fake.stop = eventfd(0, 0);
	assert_int_equal(pthread_create(&fake.thread, NULL, fake_main, NULL), 0);
	ok(tslocal_open(&t, fake.path, &err));
	return t;
}

static void end(struct tslocal *t)
{
	tslocal_close(t);
	assert_int_equal(eventfd_write(fake.stop, 1), 0);
	pthread_join(fake.thread, NULL);
	for (int i = 0; i < fake.nopen; i++)
		close(fake.open[i]);
	close(fake.listener);
	close(fake.stop);
	unlink(fake.path);
}

#define ANSWER(status, more, body) "HTTP/1.1 " status "\r\n" more "Connection: close\r\n\r\n" body

static void nobody_there(void **state)
{
	struct perry_err *err = NULL;
	struct tslocal *t = NULL;
	cJSON *j = NULL;
	ok(tslocal_open(&t, "/tmp/acc-no-such.sock", &err));
	fails_saying(PERRY_EUNAVAILABLE,
		     "tailscaled does not answer at /tmp/acc-no-such.sock: No such file or directory",
		     tslocal_status(t, false, &j, &err));
	tslocal_close(t);
	setenv("PERRY_TAILSCALED_SOCKET", "/tmp/acc-other.sock", 1);
	perry_err_free(err);
	err = NULL;
	ok(tslocal_open(&t, NULL, &err));
	assert_string_equal(tslocal_socket(t), "/tmp/acc-other.sock");
	tslocal_close(t);
	unsetenv("PERRY_TAILSCALED_SOCKET");
	ok(tslocal_open(&t, "", &err));
	assert_string_equal(tslocal_socket(t), "/var/run/tailscale/tailscaled.sock");
	tslocal_close(t);
}

static void what_is_asked(void **state)
{
	struct perry_err *err = NULL;
	cJSON *j = NULL;
	struct tslocal *t = begin(ANSWER("200 OK", "", "{\"BackendState\":\"Running\"}"), false);
	uid_t uid = 12345;
	ok(tslocal_uid(t, &uid, &err));
	assert_int_equal(uid, getuid());
	ok(tslocal_status(t, false, &j, &err));
	assert_string_equal(json_str(j, "BackendState"), "Running");
	cJSON_Delete(j);
	assert_true(str_starts(at_rest()->request, "GET /localapi/v0/status?peers=false HTTP/1.1\r\n"));
	assert_non_null(strstr(at_rest()->request, "\r\nHost: local-tailscaled.sock\r\n"));
	assert_null(strstr(at_rest()->request, "Host: localhost"));
	ok(tslocal_status(t, true, &j, &err));
	cJSON_Delete(j);
	assert_true(str_starts(at_rest()->request, "GET /localapi/v0/status HTTP/1.1\r\n"));
	ok(tslocal_whois(t, "[fd7a::1]:5&x=1", &j, &err));
	cJSON_Delete(j);
	assert_true(str_starts(at_rest()->request,
			       "GET /localapi/v0/whois?addr=%5Bfd7a%3A%3A1%5D%3A5%26x%3D1 HTTP/1.1\r\n"));
	end(t);
}

static void refusals_and_nonsense(void **state)
{
	static const struct {
		const char *answer;
		enum perry_code code;
		int status;
		const char *text;
	} cases[] = {
		{ ANSWER("403 Forbidden", "", "status access denied\n"), PERRY_EFORBIDDEN, 403,
		  "tailscaled: status: status access denied" },
		{ ANSWER("401 Unauthorized", "", "must be root"), PERRY_EFORBIDDEN, 401, "must be root" },
		{ ANSWER("404 Not Found", "", "no match for 1.2.3.4:1"), PERRY_ENOTFOUND, 404, "no match" },
		{ ANSWER("412 Precondition Failed", "", "etag mismatch"), PERRY_ECONFLICT, 412, "etag mismatch" },
		{ ANSWER("500 Error", "", "{\"error\":\"one\"}"), PERRY_EUNAVAILABLE, 500, "status: one" },
		{ ANSWER("400 Bad", "", "{\"Error\":\"two\"}"), PERRY_EUNAVAILABLE, 400, "status: two" },
		{ ANSWER("500 Error", "", ""), PERRY_EUNAVAILABLE, 500, "no reason given" },
		{ ANSWER("200 OK", "", "[1,2]"), PERRY_EUNAVAILABLE, 0, "expected an object, got array" },
		{ ANSWER("200 OK", "", "null"), PERRY_EUNAVAILABLE, 0, "expected an object, got null" },
		{ ANSWER("200 OK", "", "{\"BackendSt"), PERRY_EINPUT, 0, "status:1" },
		{ ANSWER("200 OK", "", "<html>hello</html>"), PERRY_EINPUT, 0, "status:1" },
		{ ANSWER("200 OK", "Content-Length: 100\r\n", "{}"), PERRY_EUNAVAILABLE, 0, "broke off" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Enc", PERRY_EUNAVAILABLE, 0, "tailscaled: status" },
		{ "\x16\x03\x01 nonsense\r\n\r\n", PERRY_EUNAVAILABLE, 0, "tailscaled: status" },
		{ "", PERRY_EUNAVAILABLE, 0, "tailscaled: status" },
	};
	struct perry_err *err = NULL;
	cJSON *j = NULL;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tslocal *t = begin(cases[i].answer, false);
		fails_saying(cases[i].code, cases[i].text, tslocal_status(t, false, &j, &err));
		assert_int_equal(err->status, cases[i].status);
		end(t);
	}
	perry_err_free(err);
}

static void one_that_hangs(void **state)
{
	struct perry_err *err = NULL;
	cJSON *j = NULL;
	struct tslocal *t = begin(NULL, true);
	int64_t began = clock_mono_ms();
	fails_saying(PERRY_ETIMEOUT, "tailscaled: status", tslocal_status(t, false, &j, &err));
	assert_in_range(clock_mono_ms() - began, 2500, 30000);
	perry_err_free(err);
	end(t);
}

static void serve(void **state)
{
	struct perry_err *err = NULL;
	cJSON *j = NULL;
	char etag[TSLOCAL_ETAG];
	struct tslocal *t = begin(ANSWER("200 OK", "Etag: 74234e98\r\n", "null"), false);
	ok(tslocal_serve_get(t, &j, etag, &err));
	assert_true(cJSON_IsObject(j) && !j->child);
	assert_string_equal(etag, "74234e98");
	at_rest()->answer = ANSWER("200 OK", "", "");
	json_set_bool(json_obj(json_obj(j, "TCP"), "443"), "HTTPS", true);
	ok(tslocal_serve_set(t, j, etag, &err));
	assert_true(str_starts(at_rest()->request, "POST /localapi/v0/serve-config HTTP/1.1\r\n"));
	assert_non_null(strstr(at_rest()->request, "\r\nIf-Match: 74234e98\r\n"));
	assert_non_null(strstr(at_rest()->request, "\r\n\r\n{\"TCP\":{\"443\":{\"HTTPS\":true}}}"));
	at_rest()->answer = ANSWER("412 Precondition Failed", "", "etag mismatch");
	fails_saying(PERRY_ECONFLICT, "etag mismatch", tslocal_serve_set(t, j, etag, &err));
	at_rest()->answer = ANSWER("403 Forbidden", "", "serve config denied");
	fails_saying(PERRY_EFORBIDDEN, "serve config denied", tslocal_serve_set(t, j, etag, &err));
	cJSON_Delete(j);
	j = NULL;
	at_rest()->answer = ANSWER("200 OK", "", "\"text\"");
	fails_saying(PERRY_EUNAVAILABLE, "expected an object", tslocal_serve_get(t, &j, etag, &err));
	assert_null(j);
	perry_err_free(err);
	end(t);
}

/* --- watch --- */

struct seen {
	struct buf text;
	atomic_bool stop;
	int stop_fd, messages, stop_after;
};

static void see(void *ctx, const cJSON *message)
{
	struct seen *s = ctx;
	cleanup_free char *text = message ? json_print(message) : xstrdup("(long)");
	buf_addf(&s->text, "%s;", text);
	if (++s->messages == s->stop_after) {
		atomic_store(&s->stop, true);
		assert_int_equal(eventfd_write(s->stop_fd, 1), 0);
	}
}

static int watch(struct tslocal *t, struct seen *s, struct perry_err **err)
{
	tslocal_stop_by(t, &s->stop, s->stop_fd);
	return tslocal_watch(t, see, s, err);
}

static void watching(void **state)
{
	struct perry_err *err = NULL;
	struct seen s = { .stop_fd = eventfd(0, EFD_NONBLOCK), .stop_after = 3 };
	/* Two in one piece, a broken one that is passed over, an empty one, one over two chunks. */
	struct tslocal *t = begin("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				  "25\r\n{\"SessionID\":\"s1\",\"State\":6}\n{\"a\":1}\r\n"
				  "11\r\n\n\n{\"broken\n{\"b\":2\r\n2\r\n}\n\r\n",
				  true);
	fails_saying(PERRY_ECANCELLED, "", watch(t, &s, &err));
	assert_true(str_starts(at_rest()->request, "GET /localapi/v0/watch-ipn-bus?mask=2 "));
	assert_string_equal(buf_str(&s.text), "{\"SessionID\":\"s1\",\"State\":6};{\"a\":1};{\"b\":2};");
	/* Told to stop before it begins; so are all other calls. */
	cJSON *j = NULL;
	fails_saying(PERRY_ECANCELLED, "", watch(t, &s, &err));
	fails_saying(PERRY_ECANCELLED, "", tslocal_status(t, false, &j, &err));
	end(t);
	close(s.stop_fd);

	/* The stream ends by itself, in order and in the middle of a chunk. */
	struct seen e = { .stop_fd = eventfd(0, EFD_NONBLOCK) };
	t = begin(ANSWER("200 OK", "", "{\"a\":1}\n"), false);
	fails_saying(PERRY_EUNAVAILABLE, "ended the watch", watch(t, &e, &err));
	at_rest()->answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{\"b\":1}\n";
	fails_saying(PERRY_EUNAVAILABLE, "broke off", watch(t, &e, &err));
	assert_string_equal(buf_str(&e.text), "{\"a\":1};{\"b\":1};");
	at_rest()->answer = ANSWER("403 Forbidden", "", "watch denied");
	fails_saying(PERRY_EFORBIDDEN, "watch denied", watch(t, &e, &err));
	end(t);
	buf_free(&s.text);
	buf_free(&e.text);
	close(e.stop_fd);
	perry_err_free(err);
}

/* A line that is too long to be kept is told all the same, and what follows it is whole. */
static void a_long_line(void **state)
{
	struct perry_err *err = NULL;
	struct seen s = { .stop_fd = eventfd(0, EFD_NONBLOCK), .stop_after = 2 };
	cleanup_buf struct buf b = { 0 };
	size_t n = 9 << 20;
	buf_adds(&b, "HTTP/1.1 200 OK\r\n\r\n");
	memset(buf_reserve(&b, n), 'x', n);
	b.len += n;
	buf_adds(&b, "\n{\"next\":1}\n");
	struct tslocal *t = begin(b.data, true);
	fails_saying(PERRY_ECANCELLED, "", watch(t, &s, &err));
	assert_string_equal(buf_str(&s.text), "(long);{\"next\":1};");
	end(t);
	buf_free(&s.text);
	close(s.stop_fd);
	perry_err_free(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(what_is_asked),
		cmocka_unit_test(refusals_and_nonsense),
		cmocka_unit_test(one_that_hangs),
		cmocka_unit_test(serve),
		cmocka_unit_test(watching),
		cmocka_unit_test(a_long_line),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
