#include "net_client.h"

#include <sys/stat.h>

/* --- a server with routes that show one thing each --- */

static struct server_req *held[128];
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int nheld, ngone;
static struct sse *_Atomic stream;
static atomic_int nclosed;
static atomic_int upgraded_fd = -2;
static char early[64];

static void on_gone(void *ctx, struct server_req *r)
{
	atomic_fetch_add(&ngone, 1);
}

static void on_closed(void *ctx, struct sse *s)
{
	atomic_fetch_add(&nclosed, 1);
}

static void on_upgraded(void *ctx, int fd, const char *bytes, size_t n)
{
	if (bytes && n < sizeof early)
		memcpy(early, bytes, n);
	atomic_store(&upgraded_fd, fd);
}

static _Atomic int late_result = -2;

static void *websocket_later(void *arg)
{
	struct server_req *r = arg;
	usleep(req_query(r, "wait") ? 100000 : 10000);
	atomic_store(&late_result, req_websocket(r, NULL, on_upgraded, NULL));
	return NULL;
}

static void *events_later(void *arg)
{
	struct server_req *r = arg;
	usleep(req_query(r, "wait") ? 100000 : 10000);
	struct sse *s = req_sse(r, on_closed, NULL);
	stream = s;
	atomic_store(&late_result, s ? 0 : -1);
	return NULL;
}

static void *answer_later(void *arg)
{
	usleep(30000);
	struct server_req *r = arg;
	cleanup_free char *text =
		xasprintf("later %s %s", req_method(r), req_header(r, "x-mark") ? req_header(r, "x-mark") : "-");
	reply_text(r, 200, "text/plain", text);
	return NULL;
}

static void handle(void *ctx, struct server_req *r)
{
	const char *path = req_path(r);
	if (strcmp(path, "/health") == 0) {
		reply_text(r, 200, "text/plain", "ok");
	} else if (strcmp(path, "/echo") == 0) {
		static const char *const headers[] = { "X-Extra", "yes", NULL };
		reply(r, 200, "application/octet-stream", req_body(r)->data, req_body(r)->len, headers);
	} else if (strcmp(path, "/query") == 0) {
		cJSON *o = cJSON_CreateObject();
		json_set_str(o, "a", req_query(r, "a"));
		json_set_str(o, "b c", req_query(r, "b c"));
		json_set_str(o, "none", req_query(r, "none"));
		reply_json(r, 200, o);
	} else if (strcmp(path, "/peer") == 0) {
		const struct server_peer *p = req_peer(r);
		cleanup_free char *text =
			xasprintf("%d %d %u %d %s", p->tag, p->is_unix, (unsigned)p->uid, p->pid == getpid(), p->addr);
		reply_text(r, 200, "text/plain", text);
	} else if (strcmp(path, "/hold") == 0) {
		req_suspend(r, on_gone, NULL);
		pthread_mutex_lock(&held_lock);
		held[nheld] = r;
		atomic_fetch_add(&nheld, 1);
		pthread_mutex_unlock(&held_lock);
	} else if (strcmp(path, "/hold-again") == 0) {
		req_suspend(r, NULL, NULL);
		pthread_mutex_lock(&held_lock);
		held[nheld] = r;
		atomic_fetch_add(&nheld, 1);
		pthread_mutex_unlock(&held_lock);
	} else if (strcmp(path, "/later") == 0) {
		pthread_t t;
		req_suspend(r, NULL, NULL);
		pthread_create(&t, NULL, answer_later, r);
		pthread_detach(t);
	} else if (strcmp(path, "/race") == 0) {
		/* The answer comes while the handler is still running. */
		req_suspend(r, on_gone, NULL);
		reply_text(r, 200, "text/plain", "raced");
	} else if (strcmp(path, "/ws-later") == 0 || strcmp(path, "/events-later") == 0) {
		pthread_t t;
		atomic_store(&late_result, -2);
		req_suspend(r, NULL, NULL);
		pthread_create(&t, NULL, path[1] == 'w' ? websocket_later : events_later, r);
		pthread_detach(t);
	} else if (strcmp(path, "/events") == 0) {
		stream = req_sse(r, on_closed, NULL);
	} else if (strcmp(path, "/ws") == 0) {
		req_websocket(r, "perry.v1", on_upgraded, NULL);
	} else {
		reply_text(r, 404, "application/json", "{\"error\":\"Not found\"}");
	}
}

static struct server *server;
static uint16_t port;

static void begin_with(const struct server_limits *limits)
{
	int fd = -1;
	atomic_store(&nheld, 0);
	atomic_store(&ngone, 0);
	atomic_store(&nclosed, 0);
	atomic_store(&upgraded_fd, -2);
	stream = NULL;
	assert_int_equal(server_new(&server, limits, handle, NULL, NULL), 0);
	assert_int_equal(listen_tcp("127.0.0.1", 0, &fd, &port, NULL), 0);
	assert_int_equal(server_listen(server, fd, 7, NULL), 0);
	assert_int_equal(server_start(server, NULL), 0);
}

static int begin(void **state)
{
	begin_with(&(struct server_limits){ .threads = 2 });
	return 0;
}

static void stop(int grace)
{
	server_stop(server, grace);
	server = NULL;
}

static int end(void **state)
{
	for (int i = 0; i < atomic_load(&nheld); i++)
		if (held[i])
			reply_text(held[i], 200, "text/plain", "end");
	stop(1000);
	sse_free(stream);
	stream = NULL;
	return 0;
}

#define expect(request, want_status, want_body) \
	do { \
		cleanup_answer struct answer a_ = client_call(port, request); \
		assert_int_equal(a_.status, want_status); \
		assert_string_equal(a_.body, want_body); \
	} while (0)

static void keep_alive_and_pipelining(void **state)
{
	int fd = client_connect(port);
	for (int i = 0; i < 3; i++) {
		client_send(fd, GET("/health"));
		cleanup_answer struct answer a = client_answer(fd, LONG);
		assert_int_equal(a.status, 200);
		assert_string_equal(a.body, "ok");
	}
	client_send(fd,
		    GET("/health") GET("/later") "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" GET(
			    "/nope"));
	static const char *const want[] = { "ok", "later GET -", "abc", "{\"error\":\"Not found\"}" };
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		cleanup_answer struct answer a = client_answer(fd, LONG);
		assert_string_equal(a.body, want[i]);
	}
	close(fd);
}

static void bodies_and_queries(void **state)
{
	expect("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
	       200, "abcde");
	expect(GET("/query?a=1%202&b+c=%C3%A4&&x=&a=second"), 200, "{\"a\":\"1 2\",\"b c\":\"\xc3\xa4\"}");
	expect(GET("/he%61lth?x"), 200, "ok");
	expect("GET http://x/health?q HTTP/1.1\r\nHost: x\r\n\r\n", 200, "ok");
	expect("GET HTTP://X/health HTTP/1.1\r\nHost: x\r\n\r\n", 200, "ok");
	/* A query without a path is a query. */
	expect("GET http://x?/health HTTP/1.1\r\nHost: x\r\n\r\n", 404, "{\"error\":\"Not found\"}");
	expect("GET http://x?a=/health HTTP/1.1\r\nHost: x\r\n\r\n", 404, "{\"error\":\"Not found\"}");
	expect("GET http://x#/health HTTP/1.1\r\nHost: x\r\n\r\n", 404, "{\"error\":\"Not found\"}");
	cleanup_answer struct answer a =
		client_call(port, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.head, "X-Extra: yes"));
	/* HTTP/1.0 needs no Host and is closed after. */
	expect("GET /health HTTP/1.0\r\n\r\n", 200, "ok");
}

static void malformed_requests(void **state)
{
	static const char escape[] = "{\"error\":\"malformed percent-escape\"}";
	expect(GET("/rpc/terminal/%zz"), 400, escape);
	expect(GET("/health?a=%f"), 400, escape);
	expect(GET("/health%00"), 400, escape);
	expect("GET / HTTP/1.1\r\n\r\n", 400, "{\"error\":\"exactly one Host header is needed\"}");
	expect("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400,
	       "{\"error\":\"exactly one Host header is needed\"}");
	static const char *const elsewhere[] = { "http://y/health",    "http://",           "http:///health",
						 "http://x:80/health", "http://u@x/health", "http://x.y?/health" };
	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
		cleanup_free char *request = xasprintf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", elsewhere[i]);
		cleanup_answer struct answer a = client_call(port, request);
		if (a.status != 400)
			fail_msg("%d: %s", a.status, elsewhere[i]);
	}
	expect("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	       400, "{\"error\":\"ambiguous body length\"}");
	expect("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400,
	       "{\"error\":\"ambiguous body length\"}");
	expect("\x16\x03\x01\x02", 400, "{\"error\":\"not an HTTP/1 request\"}");
	expect("GET / HTTP/9\r\nHost: x\r\n\r\n", 400, "{\"error\":\"unsupported HTTP version\"}");
	/* The same on a connection that was handed over already. */
	int fd = client_connect(port);
	client_send(fd, GET("/health") GET("/%4"));
	cleanup_answer struct answer ok = client_answer(fd, LONG), bad = client_answer(fd, LONG);
	assert_int_equal(ok.status, 200);
	assert_int_equal(bad.status, 400);
	assert_string_equal(bad.body, escape);
	close(fd);
}

/* libmicrohttpd reads them from the socket by itself, and it is forgiving. */
static void later_heads_are_judged_like_the_first(void **state)
{
#define HEAD "GET /health HTTP/1.1\r\nHost: x\r\n"
	static const char *const bad[] = {
		"GET /health HTTP/1.1\nHost: x\n\n",
		HEAD "A: b\nC: d\r\n\r\n",
		HEAD "A: b\r\n c\r\n\r\n",
		HEAD "A: b\r\n\tc\r\n\r\n",
		HEAD "A: b\rc\r\n\r\n",
		HEAD "A: \x01\r\n\r\n",
		HEAD "A b: c\r\n\r\n",
		HEAD ": c\r\n\r\n",
		HEAD "A\r\n\r\n",
		HEAD "Transfer-Encoding : chunked\r\n\r\n",
		HEAD "Content-Length : 5\r\n\r\n",
		HEAD "Content-Length: 0, 0\r\n\r\n",
		"GET /health HTTP/1.1\r\nHost : x\r\n\r\n",
		"GET /health HTTP/1.1\r\n Host: x\r\n\r\n",
		"GET /health  HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET x HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://y/health HTTP/1.1\r\nHost: x\r\n\r\n",
		"G\xc3T /health HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	static const char *const good[] = {
		HEAD "\r\n",
		HEAD "Empty:\r\nA: b c\r\n\r\n",
		HEAD "Empty: \r\nA: b\tc\r\n\r\n",
		HEAD "Cookie: a=b; c=d\r\nAccept: */*\r\nUser-Agent: x/1 (y; z)\r\n\r\n",
		"GET http://x/health?a=b HTTP/1.1\r\nhost: x\r\n\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad) + ARRAY_LEN(good); i++) {
		const char *text = i < ARRAY_LEN(bad) ? bad[i] : good[i - ARRAY_LEN(bad)];
		int fd = client_connect(port);
		client_send(fd, HEAD "\r\n");
		cleanup_answer struct answer first = client_answer(fd, LONG);
		client_send(fd, text);
		cleanup_answer struct answer second = client_answer(fd, LONG);
		assert_int_equal(first.status, 200);
		if (second.status != (i < ARRAY_LEN(bad) ? 400 : 200))
			fail_msg("%d: %s", second.status, text);
		close(fd);
	}
#undef HEAD
}

static void head_too_large(void **state)
{
	cleanup_buf struct buf big = { 0 };
	buf_adds(&big, "GET /health HTTP/1.1\r\nHost: x\r\nX-Big: ");
	for (int i = 0; i < 17000; i++)
		buf_addc(&big, 'x');
	buf_adds(&big, "\r\n\r\n");
	expect(big.data, 431, "{\"error\":\"request header too large\"}");
	/* ... as the second request of a connection too */
	int fd = client_connect(port);
	client_send(fd, GET("/health"));
	cleanup_answer struct answer first = client_answer(fd, LONG);
	assert_int_equal(first.status, 200);
	client_send(fd, big.data);
	cleanup_answer struct answer second = client_answer(fd, LONG);
	assert_int_equal(second.status, 431);
	assert_string_equal(second.body, "{\"error\":\"request header too large\"}");
	close(fd);
}

static void body_too_large(void **state)
{
	size_t n = (1 << 20) + 1;
	cleanup_buf struct buf big = { 0 };
	buf_addf(&big, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n);
	memset(buf_reserve(&big, n), 'x', n);
	big.len += n;
	big.data[big.len] = '\0';
	expect(big.data, 413, "{\"error\":\"request body too large\"}");
	/* Chunked: the length shows only as it comes. */
	buf_free(&big);
	big = (struct buf){ 0 };
	buf_addf(&big, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", n);
	memset(buf_reserve(&big, n), 'x', n);
	big.len += n;
	buf_adds(&big, "\r\n0\r\n\r\n");
	expect(big.data, 413, "{\"error\":\"request body too large\"}");
	/* Who asks first is told at once, and who threatens with much more too. */
	expect("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n", 413,
	       "{\"error\":\"request body too large\"}");
	expect("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n", 413,
	       "{\"error\":\"request body too large\"}");
	/* Just at the limit. */
	buf_free(&big);
	big = (struct buf){ 0 };
	buf_addf(&big, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n - 1);
	memset(buf_reserve(&big, n - 1), 'x', n - 1);
	big.len += n - 1;
	big.data[big.len] = '\0';
	cleanup_answer struct answer a = client_call(port, big.data);
	assert_int_equal(a.status, 200);
	assert_int_equal(a.body_len, n - 1);
}

/* Sends one byte each 20 ms until the peer closes; how long that took, LONG when it never did. */
static int64_t drip(int fd, const char *text)
{
	int64_t begun = clock_mono_ms();
	for (size_t i = 0; clock_mono_ms() - begun < LONG; i++) {
		char c[2] = { text[i % strlen(text)], 0 }, in;
		if (client_send(fd, c) < 0 || recv(fd, &in, 1, MSG_DONTWAIT | MSG_PEEK) >= 0)
			break;
		usleep(20000);
	}
	return clock_mono_ms() - begun;
}

static void slow_clients_are_dropped(void **state)
{
	begin_with(&(struct server_limits){
		.threads = 2, .head_timeout_ms = 300, .body_timeout_ms = 300, .idle_timeout_s = 1 });
	/* A head that never ends: 408. */
	int fd = client_connect(port);
	client_send(fd, "GET /health HTTP/1.1\r\nHost: x\r\nX: ");
	assert_in_range(drip(fd, "x"), 200, LONG - 1);
	cleanup_answer struct answer a = client_answer(fd, LONG);
	assert_int_equal(a.status, 408);
	assert_true(client_closed_within(fd, LONG));
	close(fd);
	/* A silent one is closed without a word. */
	fd = client_connect(port);
	char c;
	assert_int_equal(client_read(fd, &c, 1, LONG), 0);
	close(fd);
	/* A body that never ends. */
	fd = client_connect(port);
	client_send(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n");
	assert_in_range(drip(fd, "x"), 200, LONG - 1);
	close(fd);
	/* The second head of a kept connection. */
	fd = client_connect(port);
	client_send(fd, GET("/health"));
	cleanup_answer struct answer b = client_answer(fd, LONG);
	assert_int_equal(b.status, 200);
	assert_in_range(drip(fd, "GET /health-and-so-on-without-an-end"), 700, LONG - 1);
	close(fd);
	/* Slow is not the same as waiting for an answer. */
	fd = client_connect(port);
	client_send(fd, GET("/hold"));
	EVENTUALLY(atomic_load(&nheld) == 1);
	usleep(1500000);
	reply_text(held[0], 200, "text/plain", "patience");
	held[0] = NULL;
	cleanup_answer struct answer d = client_answer(fd, LONG);
	assert_string_equal(d.body, "patience");
	close(fd);
	stop(500);
}

static void suspended_calls(void **state)
{
	expect("POST /later HTTP/1.1\r\nHost: x\r\nX-Mark: m\r\nContent-Length: 2\r\n\r\nxx", 200, "later POST m");
	expect(GET("/race"), 200, "raced");
	int fds[20];
	for (int i = 0; i < 20; i++) {
		fds[i] = client_connect(port);
		client_send(fds[i], i % 2 ? GET("/later") : GET("/race"));
	}
	for (int i = 0; i < 20; i++) {
		cleanup_answer struct answer a = client_answer(fds[i], LONG);
		assert_string_equal(a.body, i % 2 ? "later GET -" : "raced");
		close(fds[i]);
	}
	assert_int_equal(atomic_load(&ngone), 0);
}

static void a_suspended_client_leaves(void **state)
{
	int fd = client_connect(port);
	client_send(fd, "GET /hold HTTP/1.1\r\nHost: x\r\nX-Mark: still-here\r\n\r\n");
	EVENTUALLY(atomic_load(&nheld) == 1);
	assert_int_equal(atomic_load(&ngone), 0);
	close(fd);
	EVENTUALLY(atomic_load(&ngone) == 1);
	usleep(50000);
	/* The request can still be looked at, and the answer that is owed goes nowhere. */
	assert_string_equal(req_header(held[0], "X-MARK"), "still-here");
	assert_string_equal(req_path(held[0]), "/hold");
	assert_string_equal(req_method(held[0]), "GET");
	reply_text(held[0], 200, "text/plain", "to nobody");
	held[0] = NULL;
	assert_int_equal(atomic_load(&ngone), 1);
	expect(GET("/health"), 200, "ok");
	/* Leaving and answering at the same moment, many times. */
	for (int i = 0; i < 40; i++) {
		int before = atomic_load(&nheld);
		fd = client_connect(port);
		client_send(fd, GET("/hold"));
		EVENTUALLY(atomic_load(&nheld) == before + 1);
		close(fd);
		if (i % 3)
			usleep((useconds_t)(i * 20));
		reply_text(held[before], 200, "text/plain", "x");
		held[before] = NULL;
	}
	expect(GET("/health"), 200, "ok");
}

/* Whoever takes over a request that was suspended without gone adds his own, before or after the client left. */
static void suspended_once_more(void **state)
{
	for (int late = 0; late < 2; late++) {
		atomic_store(&ngone, 0);
		atomic_store(&nheld, 0);
		int fd = client_connect(port);
		client_send(fd, GET("/hold-again"));
		EVENTUALLY(atomic_load(&nheld) == 1);
		if (!late)
			req_suspend(held[0], on_gone, NULL);
		assert_int_equal(atomic_load(&ngone), 0);
		close(fd);
		if (late) {
			usleep(50000);
			req_suspend(held[0], on_gone, NULL);
		}
		EVENTUALLY(atomic_load(&ngone) == 1);
		reply_text(held[0], 200, "text/plain", "nobody hears");
		held[0] = NULL;
		assert_int_equal(atomic_load(&ngone), 1);
	}
}

static void listening_later(void **state)
{
	int fd = -1;
	uint16_t first = port;
	assert_int_equal(listen_tcp("127.0.0.1", 0, &fd, &port, NULL), 0);
	assert_int_equal(server_listen(server, fd, 9, NULL), 0);
	expect(GET("/peer"), 200, "9 0 4294967295 0 127.0.0.1");
	server_unlisten(server, fd);
	int gone = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	assert_int_equal(connect(gone, (struct sockaddr *)&a, sizeof a), -1);
	close(gone);
	port = first;
	expect(GET("/peer"), 200, "7 0 4294967295 0 127.0.0.1");
}

static void stopping_with_suspended_calls(void **state)
{
	begin_with(&(struct server_limits){ .threads = 2 });
	int fds[8], idle = client_connect(port);
	client_send(idle, GET("/health"));
	cleanup_answer struct answer ok = client_answer(idle, LONG);
	assert_int_equal(ok.status, 200);
	for (int i = 0; i < 8; i++) {
		fds[i] = client_connect(port);
		client_send(fds[i], GET("/hold"));
	}
	EVENTUALLY(atomic_load(&nheld) == 8);
	int64_t begun = clock_mono_ms();
	stop(LONG);
	assert_true(clock_mono_ms() - begun < LONG / 2); /* none of them is waited for */
	for (int i = 0; i < 8; i++) {
		cleanup_answer struct answer a = client_answer(fds[i], LONG);
		assert_int_equal(a.status, 503);
		assert_string_equal(a.body, "{\"error\":\"the server is stopping\"}");
		close(fds[i]);
		/* What is owed may come after the server is gone. */
		reply_text(held[i], 200, "text/plain", "late");
		held[i] = NULL;
	}
	assert_int_equal(atomic_load(&ngone), 0);
	close(idle);
}

static int unix_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	memcpy(sa.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	return fd;
}

static void caps(void **state)
{
	begin_with(&(struct server_limits){ .threads = 2, .max_connections = 100, .max_per_peer = 1000 });
	char dir[] = "/tmp/perry-net-XXXXXX";
	assert_non_null(mkdtemp(dir));
	cleanup_free char *path = xasprintf("%s/agent.sock", dir);
	int fds[75], fd = -1;
	assert_int_equal(listen_unix(path, 0600, &fd, NULL), 0);
	assert_int_equal(server_listen(server, fd, 3, NULL), 0);
	for (int i = 0; i < 75; i++) {
		fds[i] = client_connect(port);
		client_send(fds[i], GET("/hold"));
	}
	EVENTUALLY(atomic_load(&nheld) == 75);
	int extra = client_connect(port);
	cleanup_answer struct answer a = client_answer(extra, LONG);
	assert_int_equal(a.status, 503);
	assert_string_equal(a.body, "{\"error\":\"too many connections\"}");
	close(extra);
	/* A quarter is for unix sockets. */
	for (int i = 0; i < 25; i++) {
		fd = unix_connect(path);
		client_send(fd, GET("/health"));
		cleanup_answer struct answer b = client_answer(fd, LONG);
		assert_int_equal(b.status, 200);
		close(fd);
	}
	/* One leaves, one may come. */
	close(fds[0]);
	EVENTUALLY(atomic_load(&ngone) == 1);
	for (int tries = 0;; tries++) {
		cleanup_answer struct answer b = client_call(port, GET("/health"));
		if (b.status == 200)
			break;
		assert_true(tries < 500);
		usleep(2000);
	}
	for (int i = 1; i < 75; i++)
		close(fds[i]);
	end(NULL);
	unlink(path);
	rmdir(dir);
}

static int connect_from(const char *own)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET,
								    .sin_port = htons(port),
								    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(inet_pton(AF_INET, own, &from.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

/* Any program of this machine may call from each of them. */
static void loopback_addresses_are_one_peer(void **state)
{
	static const char *const own[] = { "127.0.0.1", "127.0.0.2", "127.255.0.3" };
	int fds[3];
	begin_with(&(struct server_limits){ .threads = 1, .max_per_peer = 3 });
	for (int i = 0; i < 3; i++) {
		fds[i] = connect_from(own[i]);
		client_send(fds[i], GET("/hold"));
	}
	EVENTUALLY(atomic_load(&nheld) == 3);
	int extra = connect_from("127.0.0.9");
	cleanup_answer struct answer a = client_answer(extra, LONG);
	assert_int_equal(a.status, 503);
	close(extra);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	end(NULL);
}

/* However it is silent: before a first head, within one, between two requests, in a later head, in a body. */
static void who_is_silent_gives_way(void **state)
{
	static const char *const silent[] = {
		"",
		"GET /hea",
		GET("/health"),
		GET("/health") "GET /hea",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na",
	};
	enum { N = ARRAY_LEN(silent) };
	int fds[N];
	begin_with(&(struct server_limits){ .threads = 1, .max_per_peer = N });
	for (int i = 0; i < N; i++) {
		fds[i] = client_connect(port);
		client_send(fds[i], silent[i]);
		if (strstr(silent[i], "/health")) {
			cleanup_answer struct answer a = client_answer(fds[i], LONG);
			assert_int_equal(a.status, 200);
		}
	}
	int busy[N];
	for (int i = 0; i < N; i++) {
		for (int64_t end_ = clock_mono_ms() + LONG; atomic_load(&nheld) == i;) {
			busy[i] = client_connect(port);
			client_send(busy[i], GET("/hold"));
			for (int k = 0; k < 50 && atomic_load(&nheld) == i; k++)
				usleep(2000);
			if (atomic_load(&nheld) == i)
				close(busy[i]);
			assert_true(clock_mono_ms() < end_);
		}
	}
	for (int i = 0; i < N; i++) {
		assert_true(client_closed_within(fds[i], LONG));
		close(fds[i]);
	}
	/* Who is being answered does not. */
	expect(GET("/health"), 503, "{\"error\":\"too many connections\"}");
	for (int i = 0; i < N; i++)
		close(busy[i]);
	end(NULL);
}

static void refuse_strangers(void *ctx, struct server_req *r)
{
	(void)ctx;
	if (!req_header(r, "X-Friend"))
		reply_text(r, 401, "text/plain", "who are you?");
}

static void begin_screened(const struct server_limits *limits)
{
	int fd = -1;
	atomic_store(&nheld, 0);
	assert_int_equal(server_new(&server, limits, handle, NULL, NULL), 0);
	server_set_screen(server, refuse_strangers);
	assert_int_equal(listen_tcp("127.0.0.1", 0, &fd, &port, NULL), 0);
	assert_int_equal(server_listen(server, fd, 7, NULL), 0);
	assert_int_equal(server_start(server, NULL), 0);
}

/* A long body is refused by its head, and none of it is kept. */
static void bodies_of_strangers(void **state)
{
	begin_screened(NULL);
	cleanup_buf struct buf big = { 0 };
	buf_addf(&big, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 1 << 20);
	memset(buf_reserve(&big, 1 << 20), 'x', 1 << 20);
	big.len += 1 << 20;
	big.data[big.len] = '\0';
	expect(big.data, 401, "who are you?");
	expect("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 401,
	       "who are you?");
	expect("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n", 401,
	       "who are you?");
	/* A short one is read by itself, and the handler judges. */
	expect("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 200, "abc");
	expect("POST /echo HTTP/1.1\r\nHost: x\r\nX-Friend: 1\r\nTransfer-Encoding: "
	       "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	       200, "abc");
	/* The connection goes on after what was thrown away. */
	int fd = client_connect(port);
	client_send(fd, big.data);
	cleanup_answer struct answer a = client_answer(fd, LONG);
	client_send(fd, GET("/health"));
	cleanup_answer struct answer b = client_answer(fd, LONG);
	assert_int_equal(a.status, 401);
	assert_int_equal(b.status, 200);
	close(fd);
	end(NULL);
}

/* Has the server read all that was sent to its port? As the kernel has the queues of both ends. */
static bool all_was_read(void)
{
	char line[256];
	unsigned from, to, out, in;
	bool read = true;
	FILE *f = fopen("/proc/net/tcp", "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		if (sscanf(line, " %*[0-9]: %*[0-9A-F]:%X %*[0-9A-F]:%X 01 %X:%X", &from, &to, &out, &in) == 4 &&
		    (from == port || to == port))
			read = read && !out && !in;
	fclose(f);
	return read;
}

/* All bodies together have a limit, too; what was read and answered is no part of it. */
static void bodies_together(void **state)
{
	enum { HALF = 50000 };
	begin_screened(&(struct server_limits){ .threads = 1, .max_bodies = 3 * HALF });
	cleanup_buf struct buf begun = { 0 };
	buf_addf(&begun, "POST /echo HTTP/1.1\r\nHost: x\r\nX-Friend: 1\r\nContent-Length: %d\r\n\r\n", HALF);
	memset(buf_reserve(&begun, HALF), 'x', HALF);
	begun.len += HALF;
	begun.data[begun.len] = '\0';
	for (int i = 0; i < 10; i++) {
		cleanup_answer struct answer a = client_call(port, begun.data);
		assert_int_equal(a.status, 200);
	}
	cleanup_free char *most = xstrndup(begun.data, begun.len - 1);
	int fds[3];
	for (int i = 0; i < 3; i++) {
		fds[i] = client_connect(port);
		client_send(fds[i], most);
	}
	for (int64_t end_ = clock_mono_ms() + LONG; !all_was_read(); usleep(1000))
		assert_true(clock_mono_ms() < end_);
	cleanup_answer struct answer refused = client_call(port, begun.data);
	assert_int_equal(refused.status, 503);
	assert_string_equal(refused.body, "{\"error\":\"too many request bodies at once\"}");
	for (int i = 0; i < 3; i++) {
		client_send(fds[i], "x");
		cleanup_answer struct answer a = client_answer(fds[i], LONG);
		assert_int_equal(a.status, 200);
		close(fds[i]);
	}
	end(NULL);
}

static void unix_peers(void **state)
{
	char dir[] = "/tmp/perry-net-XXXXXX";
	assert_non_null(mkdtemp(dir));
	cleanup_free char *path = xasprintf("%s/sub/agent.sock", dir), *sub = xasprintf("%s/sub", dir);
	int fd = -1, other = -1;
	assert_int_equal(server_new(&server, NULL, handle, NULL, NULL), 0);
	assert_int_equal(listen_unix(path, 0600, &fd, NULL), 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(sub, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	cleanup_err struct perry_err *err = NULL;
	assert_int_equal(listen_unix(path, 0600, &other, &err), -1); /* a live one */
	assert_int_equal(err->code, PERRY_ECONFLICT);
	assert_int_equal(server_listen(server, fd, 3, NULL), 0);
	assert_int_equal(server_start(server, NULL), 0);
	fd = unix_connect(path);
	client_send(fd, GET("/peer"));
	cleanup_answer struct answer a = client_answer(fd, LONG);
	cleanup_free char *want = xasprintf("3 1 %u 1 ", (unsigned)getuid());
	assert_string_equal(a.body, want);
	/* The head in small pieces: peeking sees all of them together. */
	close(fd);
	fd = unix_connect(path);
	for (const char *p = GET("/health"); *p; p++) {
		char c[2] = { *p, 0 };
		client_send(fd, c);
		usleep(500);
	}
	cleanup_answer struct answer b = client_answer(fd, LONG);
	assert_string_equal(b.body, "ok");
	close(fd);
	stop(1000);
	/* What is left of a killed agent is replaced. */
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(listen_unix(path, 0600, &other, NULL), 0);
	close(other);
	unlink(path);
	rmdir(sub);
	rmdir(dir);
}

static void tcp_peers_and_ports(void **state)
{
	expect(GET("/peer"), 200, "7 0 4294967295 0 127.0.0.1");
	int fd = -1;
	cleanup_err struct perry_err *err = NULL;
	assert_int_equal(listen_tcp("127.0.0.1", port, &fd, NULL, &err), -1);
	assert_int_equal(err->code, PERRY_ECONFLICT);
	assert_int_equal(listen_tcp("localhost", 0, &fd, NULL, NULL), -1);
}

/* What comes, up to text. */
static void read_until(int fd, struct buf *in, const char *text)
{
	char bytes[512];
	for (ssize_t n; !strstr(buf_str(in), text) && (n = client_read(fd, bytes, sizeof bytes, LONG)) > 0;)
		buf_add(in, bytes, (size_t)n);
	assert_non_null(strstr(buf_str(in), text));
}

static void event_streams(void **state)
{
	int fd = client_connect(port);
	client_send(fd, GET("/events"));
	EVENTUALLY(stream != NULL);
	assert_int_equal(sse_push(stream, "1", "state", "{\"a\":1}"), 0);
	assert_int_equal(sse_push(stream, NULL, NULL, "two\nlines\r\nand more\r"), 0);
	cleanup_buf struct buf in = { 0 };
	read_until(fd, &in, "data: \n\n");
	assert_non_null(strstr(in.data, "Content-Type: text/event-stream"));
	assert_non_null(strstr(in.data, "id: 1\nevent: state\ndata: {\"a\":1}\n\n"));
	assert_non_null(strstr(in.data, "data: two\ndata: lines\ndata: and more\ndata: \n\n"));
	/* The client leaves: closed is told without a push. */
	assert_int_equal(atomic_load(&nclosed), 0);
	close(fd);
	EVENTUALLY(atomic_load(&nclosed) == 1);
	assert_int_equal(sse_push(stream, NULL, NULL, "x"), -1);
	sse_free(stream);
	stream = NULL;

	/* The server's side ends it. */
	fd = client_connect(port);
	client_send(fd, GET("/events"));
	EVENTUALLY(stream != NULL);
	sse_push(stream, NULL, NULL, "last");
	sse_close(stream);
	assert_int_equal(sse_push(stream, NULL, NULL, "x"), -1);
	EVENTUALLY(atomic_load(&nclosed) == 2);
	buf_free(&in);
	read_until(fd, &in, "data: last");
	close(fd);
	sse_free(stream);
	stream = NULL;

	/* One that is open when the server stops. */
	fd = client_connect(port);
	client_send(fd, GET("/events"));
	EVENTUALLY(stream != NULL);
	stop(2000);
	assert_int_equal(atomic_load(&nclosed), 3);
	assert_int_equal(sse_push(stream, NULL, NULL, "x"), -1);
	close(fd);
}

static void a_stream_that_is_not_read_is_cut(void **state)
{
	int fd = client_connect(port);
	client_send(fd, GET("/events"));
	EVENTUALLY(stream != NULL);
	char line[8192];
	memset(line, 'x', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	size_t pushed = 0;
	while (sse_push(stream, NULL, NULL, line) == 0) {
		pushed += sizeof line;
		if (pushed % (1 << 18) < sizeof line)
			usleep(1000);
		assert_true(pushed < 64 << 20); /* the kernel's buffers and 1 MiB of ours */
	}
	assert_true(pushed > 1 << 20);
	EVENTUALLY(atomic_load(&nclosed) == 1);
	close(fd);
}

static void upgrades(void **state)
{
	int fd = client_connect(port);
	client_send(fd, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nearly");
	cleanup_answer struct answer a = client_answer(fd, LONG);
	assert_int_equal(a.status, 101);
	assert_non_null(strstr(a.head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_non_null(strstr(a.head, "Sec-WebSocket-Protocol: perry.v1\r\n"));
	EVENTUALLY(atomic_load(&upgraded_fd) >= 0);
	assert_string_equal(early, "early");
	/* The socket is ours now, in both directions, and outlives the server. */
	int sock = atomic_load(&upgraded_fd);
	char bytes[8] = { 0 };
	assert_int_equal(recv(sock, bytes, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	stop(1000);
	client_send(fd, "ping");
	assert_int_equal(client_read(sock, bytes, 8, LONG), 4);
	assert_memory_equal(bytes, "ping", 4);
	client_send(sock, "pong");
	assert_int_equal(client_read(fd, bytes, 8, LONG), 4);
	close(sock);
	close(fd);
}

#define UPGRADE \
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
	"Sec-WebSocket-Version: 13\r\n\r\n"

static void after_a_suspension(void **state)
{
	int fd = client_connect(port);
	client_send(fd, "GET /ws-later HTTP/1.1\r\nHost: x\r\n" UPGRADE);
	cleanup_answer struct answer a = client_answer(fd, LONG);
	assert_int_equal(a.status, 101);
	EVENTUALLY(atomic_load(&upgraded_fd) >= 0 && atomic_load(&late_result) == 0);
	close(atomic_load(&upgraded_fd));
	close(fd);
	expect(GET("/ws-later"), 400, "WebSocket upgrade failed");
	fd = client_connect(port);
	client_send(fd, GET("/events-later"));
	EVENTUALLY(stream != NULL);
	assert_int_equal(sse_push(stream, NULL, NULL, "late"), 0);
	sse_close(stream);
	cleanup_buf struct buf in = { 0 };
	read_until(fd, &in, "data: late");
	EVENTUALLY(atomic_load(&nclosed) == 1);
	close(fd);
	sse_free(stream);
	stream = NULL;
	/* The client has left by then: nothing is called, and that is told. */
	atomic_store(&upgraded_fd, -2);
	fd = client_connect(port);
	client_send(fd, "GET /ws-later?wait=1 HTTP/1.1\r\nHost: x\r\n" UPGRADE);
	usleep(30000);
	close(fd);
	EVENTUALLY(atomic_load(&late_result) == -1);
	fd = client_connect(port);
	client_send(fd, GET("/events-later?wait=1"));
	usleep(30000);
	close(fd);
	EVENTUALLY(atomic_load(&late_result) == -1);
	usleep(20000);
	assert_int_equal(atomic_load(&upgraded_fd), -2);
	assert_int_equal(atomic_load(&nclosed), 1);
	assert_null(stream);
}

static void refused_upgrades(void **state)
{
	expect(GET("/ws"), 400, "WebSocket upgrade failed");
	expect("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
	       "short\r\nSec-WebSocket-Version: 13\r\n\r\n",
	       400, "WebSocket upgrade failed");
	expect("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
	       400, "WebSocket upgrade failed");
	assert_int_equal(atomic_load(&upgraded_fd), -2);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(keep_alive_and_pipelining),
		WITH(bodies_and_queries),
		WITH(malformed_requests),
		WITH(later_heads_are_judged_like_the_first),
		WITH(head_too_large),
		WITH(body_too_large),
		cmocka_unit_test(slow_clients_are_dropped),
		WITH(suspended_calls),
		WITH(a_suspended_client_leaves),
		WITH(suspended_once_more),
		WITH(listening_later),
		cmocka_unit_test(stopping_with_suspended_calls),
		cmocka_unit_test(caps),
		cmocka_unit_test(loopback_addresses_are_one_peer),
		cmocka_unit_test(who_is_silent_gives_way),
		cmocka_unit_test(bodies_of_strangers),
		cmocka_unit_test(bodies_together),
		cmocka_unit_test(unix_peers),
		WITH(tcp_peers_and_ports),
		WITH(event_streams),
		WITH(a_stream_that_is_not_read_is_cut),
		WITH(upgrades),
		WITH(after_a_suspension),
		WITH(refused_upgrades),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
