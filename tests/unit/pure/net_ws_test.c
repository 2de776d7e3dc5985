#include "net_client.h"

#include <sys/resource.h>

#include "base/fd.h"
#include "base/utf8.h"
#include "net/ws.h"

struct side {
	struct ws *ws;
	struct buf got; /* messages, each followed by '|' */
	int n, binary;
	bool echo;
	size_t total;
};

static void on_message(void *ctx, bool binary, const char *bytes, size_t n)
{
	struct side *s = ctx;
	s->n++;
	s->binary += binary;
	s->total += n;
	if (s->echo)
		ws_send(s->ws, binary, bytes, n);
	if (s->total < 1 << 16) {
		buf_add(&s->got, bytes, n);
		buf_addc(&s->got, '|');
	}
}

static struct side client, server;

static void pair_with(size_t max)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	client.ws = ws_new(fds[0], false, max, NULL, on_message, &client);
	server.ws = ws_new(fds[1], true, max, NULL, on_message, &server);
}

static int begin(void **state)
{
	pair_with(1 << 20);
	return 0;
}

static void side_free(struct side *s)
{
	ws_free(s->ws);
	buf_free(&s->got);
	*s = (struct side){ 0 };
}

static int end(void **state)
{
	side_free(&client);
	side_free(&server);
	return 0;
}

/* One turn of both loops; how many sides are alive. */
static int turn(void)
{
	int alive = 0;
	struct side *sides[] = { &client, &server };
	for (int i = 0; i < 2; i++) {
		struct ws *w = sides[i]->ws;
		int rc = 0;
		if (ws_wants_write(w))
			rc = ws_on_writable(w);
		struct pollfd p = { .fd = ws_fd(w), .events = POLLIN };
		if (rc == 0 && ws_wants_read(w) && poll(&p, 1, 0) == 1)
			rc = ws_on_readable(w);
		alive += rc == 0 && (ws_wants_read(w) || ws_wants_write(w));
	}
	return alive;
}

static void turns(int n)
{
	while (n--)
		turn();
}

static void both_sides_echo(void **state)
{
	server.echo = true;
	ws_send(client.ws, false, "text", 4);
	ws_send(client.ws, true, "bin\0ary", 7);
	ws_send(client.ws, true, "", 0);
	assert_true(ws_backlog(client.ws) >= 11);
	turns(10);
	assert_int_equal(ws_backlog(client.ws), 0);
	assert_int_equal(client.n, 3);
	assert_int_equal(client.binary, 2);
	assert_memory_equal(client.got.data, "text|bin\0ary||", 14);
	client.echo = true;
	server.echo = false;
	ws_send(server.ws, true, "other way", 9);
	turns(10);
	assert_string_equal(server.got.data + server.got.len - 10, "other way|");
}

static void large_and_many(void **state)
{
	server.echo = true;
	char *big = xmalloc(1 << 20);
	memset(big, 'b', 1 << 20);
	for (int i = 0; i < 20; i++)
		ws_send(client.ws, true, big, 1 << 20);
	for (int i = 0; i < 1000; i++)
		ws_send(client.ws, true, big, 100);
	for (int i = 0; i < 20000 && client.n < 1020; i++)
		turn();
	free(big);
	assert_int_equal(client.n, 1020);
	assert_int_equal(client.total, (20u << 20) + 100000);
}

/* --- bytes on the wire, made by hand --- */

/* A masked frame (mask 0: the payload is itself). */
static void raw(struct side *to, int first, const char *payload, size_t n)
{
	unsigned char head[8] = { (unsigned char)first, (unsigned char)(0x80 | n) };
	size_t at = 2;
	if (n > 125) {
		head[1] = 0x80 | 126;
		head[2] = (unsigned char)(n >> 8);
		head[3] = (unsigned char)n;
		at = 4;
	}
	static const unsigned char mask[4];
	int fd = ws_fd(to->ws);
	assert_int_equal(send(fd, head, at, 0), (ssize_t)at);
	assert_int_equal(send(fd, mask, 4, 0), 4);
	assert_int_equal(send(fd, payload, n, 0), (ssize_t)n);
}

static void fragments(void **state)
{
	raw(&client, 0x01, "Hel", 3);
	raw(&client, 0x89, "ping", 4); /* control frames may come between */
	raw(&client, 0x00, "", 0);
	raw(&client, 0x80, "lo", 2);
	turns(5);
	assert_int_equal(server.n, 1);
	assert_string_equal(server.got.data, "Hello|");
	/* Byte by byte. */
	static const unsigned char frame[] = { 0x82, 0x83, 0, 0, 0, 0, 'a', 'b', 'c' };
	for (size_t i = 0; i < sizeof frame; i++) {
		assert_int_equal(send(ws_fd(client.ws), frame + i, 1, 0), 1);
		turn();
	}
	assert_string_equal(server.got.data, "Hello|abc|");
	/* Early bytes: half a frame at the hand-over, the rest later. */
	ws_feed_early(server.ws, (const char *)frame, 7);
	assert_int_equal(ws_on_readable(server.ws), 0);
	assert_int_equal(send(ws_fd(client.ws), frame + 7, 2, 0), 2);
	turn();
	assert_string_equal(server.got.data, "Hello|abc|abc|");
}

static void close_is_answered(void **state)
{
	const char *reason;
	ws_send(client.ws, false, "before", 6);
	ws_close(client.ws, 1000, "Process exited with code 3");
	assert_int_equal(ws_send(client.ws, false, "after", 5), -1);
	for (int i = 0; i < 20 && turn(); i++)
		;
	assert_int_equal(turn(), 0);
	assert_string_equal(server.got.data, "before|");
	assert_int_equal(ws_close_code(server.ws, &reason), 1000);
	assert_string_equal(reason, "Process exited with code 3");
	assert_int_equal(ws_close_code(client.ws, &reason), 1000); /* the echo */
}

static void own_close_codes_and_long_reasons(void **state)
{
	const char *reason;
	char text[200] = { 0 };
	for (size_t i = 0; i + 2 < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xa4", 2);
	ws_close(server.ws, 4003, text);
	turns(5);
	assert_int_equal(ws_close_code(client.ws, &reason), 4003);
	assert_int_equal(strlen(reason), 122); /* whole characters of the 123 bytes that fit */
	assert_true(utf8_valid(reason, strlen(reason)));
}

static uint16_t close_code_after(int first, const char *payload, size_t n)
{
	side_free(&client);
	side_free(&server);
	pair_with(1000);
	raw(&client, first, payload, n);
	for (int i = 0; i < 10; i++) {
		if (ws_wants_write(server.ws))
			ws_on_writable(server.ws);
		struct pollfd p = { .fd = ws_fd(server.ws), .events = POLLIN };
		if (ws_wants_read(server.ws) && poll(&p, 1, 0) == 1)
			ws_on_readable(server.ws);
	}
	ws_on_readable(client.ws);
	return ws_close_code(client.ws, NULL);
}

static void what_is_wrong_is_named(void **state)
{
	char big[1001] = { 0 };
	assert_int_equal(close_code_after(0x82, big, 1001), 1009);
	assert_int_equal(close_code_after(0x81, "\xff\xfe", 2), 1007);
	assert_int_equal(close_code_after(0x83, "x", 1), 1002);        /* unknown opcode */
	assert_int_equal(close_code_after(0x80, "x", 1), 1002);        /* continuation of nothing */
	assert_int_equal(close_code_after(0xc2, "x", 1), 1002);        /* reserved bit */
	assert_int_equal(close_code_after(0x88, "\x03\xed", 2), 1002); /* 1005 may not be sent */
	assert_int_equal(close_code_after(0x82, big, 1000), 0);
	/* An unmasked frame from a client. */
	side_free(&client);
	side_free(&server);
	pair_with(1000);
	assert_int_equal(send(ws_fd(client.ws), "\x82\x01x", 3, 0), 3);
	ws_on_readable(server.ws);
	ws_on_writable(server.ws);
	assert_int_equal(ws_wants_read(server.ws) || ws_wants_write(server.ws), 0);
	ws_on_readable(client.ws);
	assert_int_equal(ws_close_code(client.ws, NULL), 1002);
}

static void the_peer_vanishes(void **state)
{
	assert_int_equal(shutdown(ws_fd(client.ws), SHUT_RDWR), 0);
	assert_int_equal(ws_on_readable(server.ws), -1);
	assert_int_equal(ws_close_code(server.ws, NULL), 0);
	assert_int_equal(ws_send(server.ws, true, "x", 1), -1);
}

static void pings_without_reading_end(void **state)
{
	/* The pongs pile up once the socket is full; memory must not. */
	int small = 4096, alive = 1, sent = 0;
	setsockopt(ws_fd(server.ws), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	for (; alive && sent < 100000; sent++) {
		raw(&client, 0x89, "0123456789012345678901234567890123456789", 40);
		alive = ws_on_readable(server.ws) == 0;
		if (alive && ws_wants_write(server.ws))
			alive = ws_on_writable(server.ws) == 0;
	}
	assert_int_equal(alive, 0);
}

static void handshake_values(void **state)
{
	char out[32], key[32];
	ws_accept("dGhlIHNhbXBsZSBub25jZQ==", out); /* RFC 6455, 1.3 */
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	ws_client_key(key);
	assert_int_equal(strlen(key), 24);
	ws_accept(key, out);
	assert_true(ws_accept_ok(key, out));
	assert_false(ws_accept_ok(key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	assert_false(ws_accept_ok(key, NULL));
}

/* --- through the server, over TCP --- */

static _Atomic int upgraded = -1;

static void on_upgraded(void *ctx, int fd, const char *early, size_t n)
{
	atomic_store(&upgraded, fd);
}

static void handle(void *ctx, struct server_req *r)
{
	req_websocket(r, NULL, on_upgraded, NULL);
}

static void through_the_server(void **state)
{
	struct server *srv = NULL;
	int fd = -1;
	uint16_t port;
	assert_int_equal(server_new(&srv, NULL, handle, NULL, NULL), 0);
	assert_int_equal(listen_tcp("127.0.0.1", 0, &fd, &port, NULL), 0);
	assert_int_equal(server_listen(srv, fd, 0, NULL), 0);
	assert_int_equal(server_start(srv, NULL), 0);
	char key[32];
	ws_client_key(key);
	fd = client_connect(port);
	cleanup_free char *request =
		xasprintf("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			  "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
			  key);
	client_send(fd, request);
	cleanup_answer struct answer a = client_answer(fd, 5000);
	assert_int_equal(a.status, 101);
	char *accept = strstr(a.head, "Sec-WebSocket-Accept: ") + 22;
	*strchr(accept, '\r') = '\0';
	assert_true(ws_accept_ok(key, accept));
	EVENTUALLY(atomic_load(&upgraded) >= 0);
	fd_set_nonblock(fd, 1);
	client.ws = ws_new(fd, false, 1 << 20, NULL, on_message, &client);
	server.ws = ws_new(atomic_load(&upgraded), true, 1 << 20, NULL, on_message, &server);
	server.echo = true;
	ws_send(client.ws, false, "over tcp", 8);
	for (int i = 0; i < 1000 && !client.n; i++) {
		turn();
		usleep(1000);
	}
	assert_string_equal(client.got.data, "over tcp|");
	end(NULL);
	server_stop(srv, 1000);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(both_sides_echo),
		WITH(large_and_many),
		WITH(fragments),
		WITH(close_is_answered),
		WITH(own_close_codes_and_long_reasons),
		WITH(what_is_wrong_is_named),
		WITH(the_peer_vanishes),
		WITH(pings_without_reading_end),
		cmocka_unit_test(handshake_values),
		cmocka_unit_test(through_the_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
