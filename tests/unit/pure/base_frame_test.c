/* Frames of the channel: any split gives the same, bounds hold, what is malformed is told at once and stays so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/frame.h"

static void put(struct frame_reader *r, const void *bytes, size_t n)
{
	memcpy(frame_room(r, n), bytes, n);
	frame_filled(r, n);
}

static void expect(struct frame_reader *r, enum frame_type type, uint32_t stream, const char *payload)
{
	struct frame f;
	assert_int_equal(frame_next(r, &f), 1);
	assert_int_equal(f.type, type);
	assert_int_equal(f.stream, stream);
	assert_int_equal(f.n, strlen(payload));
	assert_memory_equal(f.payload, payload, f.n);
}

static void the_bytes(void **state)
{
	struct buf out = { 0 };
	frame_write(&out, FRAME_OPENED, 0x01020304, "{}", 2);
	frame_write_window(&out, 0xfffefdfc, 262144);
	static const char want[] = "\0\0\0\7\2\1\2\3\4{}\0\0\0\11\12\377\376\375\374\0\4\0\0";
	assert_int_equal(out.len, sizeof want - 1);
	assert_memory_equal(out.data, want, out.len);
	buf_free(&out);
}

static void any_split(void **state)
{
	struct buf out = { 0 };
	frame_write(&out, FRAME_STDIN, 7, "abc", 3);
	frame_write(&out, FRAME_EOF, 7, NULL, 0);
	frame_write(&out, FRAME_STDOUT, 0xffffffff, "x", 1);
	for (size_t a = 0; a <= out.len; a++) {
		for (size_t b = a; b <= out.len; b++) {
			const size_t cuts[] = { 0, a, b, out.len };
			struct frame_reader r = { 0 };
			struct frame f;
			int n = 0;
			for (int i = 0; i < 3; i++) {
				put(&r, out.data + cuts[i], cuts[i + 1] - cuts[i]);
				while (frame_next(&r, &f) == 1) {
					static const enum frame_type types[] = { FRAME_STDIN, FRAME_EOF, FRAME_STDOUT };
					static const char *const texts[] = { "abc", "", "x" };
					assert_true(n < 3);
					assert_int_equal(f.type, types[n]);
					assert_int_equal(f.n, strlen(texts[n]));
					assert_memory_equal(f.payload, texts[n], f.n);
					n++;
				}
			}
			assert_int_equal(n, 3);
			frame_reader_free(&r);
		}
	}
	buf_free(&out);
}

static void bounds(void **state)
{
	struct frame_reader r = { 0 };
	struct buf out = { 0 };
	struct frame f;
	char *big = calloc(1, FRAME_OPEN_MAX);
	assert_non_null(big);
	frame_write(&out, FRAME_OPEN, 1, big, FRAME_OPEN_MAX);
	frame_write(&out, FRAME_STDIN, 1, big, FRAME_MAX);
	put(&r, out.data, out.len);
	assert_int_equal(frame_next(&r, &f), 1);
	assert_int_equal(f.n, FRAME_OPEN_MAX);
	assert_int_equal(frame_next(&r, &f), 1);
	assert_int_equal(f.n, FRAME_MAX);
	assert_int_equal(frame_next(&r, &f), 0);
	frame_room(&r, 1);
	assert_true(r.in.cap < FRAME_OPEN_MAX); /* a large one does not stay allocated */
	buf_free(&out);
	frame_write_bytes(&out, FRAME_STDERR, 9, big, 2 * FRAME_MAX + 1);
	put(&r, out.data, out.len);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(frame_next(&r, &f), 1);
		assert_int_equal(f.n, i < 2 ? FRAME_MAX : 1);
	}
	assert_int_equal(frame_next(&r, &f), 0);
	frame_reader_free(&r);
	buf_free(&out);
	free(big);
}

static void malformed(void **state)
{
	static const char heads[][6] = {
		"\0\0\0\5\0",                         /* a type that is none */
		"\0\0\0\5\15",                        /* another */
		"\0\0\0\4\3",                         /* shorter than its head */
		"\0\0\0\0\3",                         /* nothing */
		"\0\1\0\6\3",                         /* a byte more than may be */
		"\0\100\0\6\1",                       /* of an OPEN, too */
		"\377\377\377\377\1", "\0\0\0\10\12", /* a WINDOW of three bytes */
		"\0\0\0\12\12",                       /* of five */
	};
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		struct frame_reader r = { 0 };
		struct frame f;
		put(&r, "\0\0\0\6\3\0\0\0\1y", 10);
		put(&r, heads[i], 4);
		expect(&r, FRAME_STDIN, 1, "y");
		assert_int_equal(frame_next(&r, &f), 0);
		put(&r, heads[i] + 4, 1); /* without a byte of what would follow */
		assert_int_equal(frame_next(&r, &f), -1);
		put(&r, "\0\0\0\6\3\0\0\0\1y", 10);
		assert_int_equal(frame_next(&r, &f), -1);
		frame_reader_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_bytes),
		cmocka_unit_test(any_split),
		cmocka_unit_test(bounds),
		cmocka_unit_test(malformed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
