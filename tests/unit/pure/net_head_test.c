#include "net_client.h"

#include "net/server_priv.h"

static int judge(const char *text)
{
	const char *why;
	return head_judge(text, strlen(text), 16384, &why);
}

static void whole_heads(void **state)
{
	assert_int_equal(judge("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 1);
	assert_int_equal(judge("GET / HTTP/1.1\r\nHost: x\r\n\r\nbody of it"), 1);
	assert_int_equal(judge("POST /a?b=c HTTP/1.0\r\n\r\n"), 1);
	assert_int_equal(judge("OPTIONS * HTTP/1.1\r\nHost: x\r\nX-Empty:\r\n\r\n"), 1);
	assert_int_equal(judge("GET http://h/p HTTP/1.1\r\nHost:x\r\n\r\n"), 1);
}

static void every_prefix_waits(void **state)
{
	static const char head[] = "GET /a%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n";
	const char *why;
	for (size_t n = 0; n < sizeof head - 1; n++)
		assert_int_equal(head_judge(head, n, 16384, &why), 0);
	assert_int_equal(head_judge(head, sizeof head - 1, 16384, &why), 1);
}

static void malformed(void **state)
{
	static const char *const bad[] = {
		"\x16\x03\x01",
		"\r\nGET / HTTP/1.1\r\n",
		" GET / HTTP/1.1\r\n",
		"GET / HTTP/1.1\nHost: x\n\n",
		"GET /  HTTP/1.1\r\n",
		"GET /a b HTTP/1.1\r\n",
		"GET / HTTP/2.0\r\n",
		"GET / HTTP/1.1 \r\n",
		"GET\r\n",
		"GET /\r\n",
		"GET x HTTP/1.1\r\n",
		"GET / HTTP/1.1\r\nHost x\r\n",
		"GET / HTTP/1.1\r\n Host: x\r\n",
		"GET / HTTP/1.1\r\nHost : x\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n c\r\n",
		"GET / HTTP/1.1\r\nA: b\rc\r\n",
		"GET / HTTP/1.1\r\nContent-Length: -1\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n",
		"GET / HTTP/1.1\r\nContent-Length:\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n",
		"GET / HTTP/1.1\r\n: x\r\n",
		"G\xc3\x84T / HTTP/1.1\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (judge(bad[i]) != 400)
			fail_msg("accepted: %s", bad[i]);
	const char *why;
	assert_int_equal(head_judge("GET / HTTP/1.1\r\nA: \0b\r\n", 23, 16384, &why), 400);
}

static void sizes(void **state)
{
	cleanup_buf struct buf b = { 0 };
	const char *why;
	buf_adds(&b, "GET / HTTP/1.1\r\nX: ");
	while (b.len < 996)
		buf_addc(&b, 'x');
	buf_adds(&b, "\r\n\r\n");
	assert_int_equal(head_judge(b.data, b.len, 1000, &why), 1);
	assert_int_equal(head_judge(b.data, b.len, 999, &why), 431);
	assert_int_equal(head_judge(b.data, 990, 999, &why), 0);
	buf_free(&b);
	b = (struct buf){ 0 };
	buf_adds(&b, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < 120; i++)
		buf_adds(&b, "a:\r\n");
	assert_int_equal(head_judge(b.data, b.len, 16384, &why), 431);
}

static void tokens(void **state)
{
	assert_true(head_has_token("keep-alive, Upgrade", "upgrade"));
	assert_true(head_has_token("WebSocket", "websocket"));
	assert_true(head_has_token(" a ,\tupgrade\t,b", "upgrade"));
	assert_false(head_has_token("upgraded", "upgrade"));
	assert_false(head_has_token("an upgrade", "upgrade"));
	assert_false(head_has_token("", "upgrade"));
	assert_false(head_has_token(NULL, "upgrade"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_heads), cmocka_unit_test(every_prefix_waits),
		cmocka_unit_test(malformed),   cmocka_unit_test(sizes),
		cmocka_unit_test(tokens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
