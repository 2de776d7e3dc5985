/* The demultiplexer on bytes made here: any split gives the same, malformed heads are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "docker/demux.h"
#include "docker/priv.h"

struct got {
	struct buf of[3];
	int calls, stop_at;
};

static int take(void *ctx, int fd, const char *bytes, size_t n)
{
	struct got *g = ctx;
	assert_true(fd == 1 || fd == 2);
	assert_true(n > 0);
	buf_add(&g->of[fd], bytes, n);
	return ++g->calls == g->stop_at ? 42 : 0;
}

static void free_got(struct got *g)
{
	for (int i = 0; i < 3; i++)
		buf_free(&g->of[i]);
}

#define FRAMES \
	"\1\0\0\0\0\0\0\3abc" \
	"\2\0\0\0\0\0\0\2\0\377" \
	"\1\0\0\0\0\0\0\0" \
	"\3\0\0\0\0\0\0\1!" \
	"\0\0\0\0\0\0\0\1z"
static const char frames[] = FRAMES;

static void any_split(void **state)
{
	const size_t n = sizeof frames - 1;
	for (size_t a = 0; a <= n; a++) {
		for (size_t b = a; b <= n; b++) {
			struct demux m = { 0 };
			struct got g = { 0 };
			assert_int_equal(demux_feed(&m, frames, a, take, &g, NULL), 0);
			assert_int_equal(demux_feed(&m, frames + a, b - a, take, &g, NULL), 0);
			assert_int_equal(demux_feed(&m, frames + b, n - b, take, &g, NULL), 0);
			assert_int_equal(m.have, 0);
			assert_int_equal(m.left, 0);
			assert_int_equal(g.of[1].len, 4);
			assert_memory_equal(g.of[1].data, "abcz", 4);
			assert_int_equal(g.of[2].len, 3);
			assert_memory_equal(g.of[2].data, "\0\377!", 3);
			free_got(&g);
		}
	}
}

static void malformed_heads(void **state)
{
	static const char *const bad[] = { "\4\0\0\0\0\0\0\1x", "\1\1\0\0\0\0\0\1x", "hello world" };
	for (size_t i = 0; i < 3; i++) {
		struct perry_err *err = NULL;
		struct demux m = { 0 };
		struct got g = { 0 };
		assert_int_equal(demux_feed(&m, bad[i], 9, take, &g, &err), -1);
		assert_int_equal(err->code, PERRY_EINTERNAL);
		assert_int_equal(g.calls, 0);
		perry_err_free(err);
	}
}

static void the_callback_may_stop(void **state)
{
	struct demux m = { 0 };
	struct got g = { .stop_at = 2 };
	assert_int_equal(demux_feed(&m, frames, sizeof frames - 1, take, &g, NULL), 42);
	assert_int_equal(g.calls, 2);
	free_got(&g);
}

static void big_frames(void **state)
{
	struct demux m = { 0 };
	assert_int_equal(demux_feed(&m, "\1\0\0\0\377\377\377\377", 8, NULL, NULL, NULL), 0);
	assert_int_equal(m.left, UINT32_MAX);
	assert_int_equal(demux_feed(&m, "xyz", 3, NULL, NULL, NULL), 0);
	assert_int_equal(m.left, UINT32_MAX - 3);
}

/* --- the other readers of what the engine sends --- */

static void json_keeps_what_a_double_cannot(void **state)
{
	static const char text[] = "{\"timeNano\":1763942400123456789,\"n\":-9223372036854775808,\"small\":"
				   "123456789012345,\"f\":1234567890.1234567890,"
				   "\"e\":12345678901234567890e2,\"s\":\"1763942400123456789 \\\" 12345678901234567 "
				   "\\u0000\\\\u0000\",\"a\":[1763942400123456789]}";
	cleanup_json cJSON *j = docker_json(text, sizeof text - 1, "test", NULL);
	assert_non_null(j);
	assert_string_equal(json_str(j, "timeNano"), "1763942400123456789");
	assert_string_equal(json_str(j, "n"), "-9223372036854775808");
	assert_true(json_num_or(j, "small", 0) == 123456789012345);
	assert_true(cJSON_IsNumber(json_at(j, "f")));
	assert_true(cJSON_IsNumber(json_at(j, "e")));
	assert_string_equal(json_str(j, "s"), "1763942400123456789 \" 12345678901234567 \xef\xbf\xbd\\u0000");
	assert_string_equal(cJSON_GetArrayItem(json_at(j, "a"), 0)->valuestring, "1763942400123456789");
}

static void broken_json_is_an_error(void **state)
{
	static const char *const bad[] = { "", "{", "\"", "\"\\", "-", "{\"a\":1763942400123456789", "<html>" };
	for (size_t i = 0; i < 7; i++) {
		struct perry_err *err = NULL;
		assert_null(docker_json(bad[i], strlen(bad[i]), "test", &err));
		assert_non_null(err);
		perry_err_free(err);
	}
}

static int take_line(void *ctx, const char *line, size_t n)
{
	assert_int_equal(line[n], 0);
	buf_add(ctx, line, n);
	buf_addc(ctx, '|');
	return 0;
}

static void lines_in_any_split(void **state)
{
	static const char text[] = "{\"a\":1}\r\n\n{\"b\"}\nlast";
	for (size_t cut = 0; cut < sizeof text; cut++) {
		cleanup_buf struct buf got = { 0 };
		struct docker_lines l = { .fn = take_line, .ctx = &got };
		assert_int_equal(docker_lines_feed(&l, text, cut), 0);
		assert_int_equal(docker_lines_feed(&l, text + cut, sizeof text - 1 - cut), 0);
		assert_int_equal(docker_lines_end(&l), 0);
		assert_string_equal(buf_str(&got), "{\"a\":1}\r|{\"b\"}|last|");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_split),
		cmocka_unit_test(malformed_heads),
		cmocka_unit_test(the_callback_may_stop),
		cmocka_unit_test(big_frames),
		cmocka_unit_test(json_keeps_what_a_double_cannot),
		cmocka_unit_test(broken_json_is_an_error),
		cmocka_unit_test(lines_in_any_split),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
