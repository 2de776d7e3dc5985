/* Frames: what they draw cannot be told from the screen they were taken of, whatever that had been through, and what
 * viewers are sent from then on goes on from there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent_screen_util.h"

#define ROUNDS 10000

/* In pieces, that end anywhere. */
static void feed_cut(struct screen *s, const struct buf *in, size_t from, size_t to, uint64_t *seed, struct buf *view)
{
	while (from < to) {
		size_t n = 1 + rnd(seed, 40);
		n = n < to - from ? n : to - from;
		char *exact = xmalloc(n); /* so that a sanitizer sees what is read beyond it */
		memcpy(exact, in->data + from, n);
		screen_feed(s, exact, n, view, NULL);
		free(exact);
		from += n;
	}
}

static void must_be_same(const struct screen *a, const struct screen *b, uint64_t round, const char *which)
{
	const char *what = screens_differ(a, b);
	if (what)
		fail_msg("round %llu, %s: %s differs", (unsigned long long)round, which, what);
}

static void one(uint64_t round)
{
	uint64_t start = round * 0x9e3779b97f4a7c15u + 1, *seed = &start;
	int cols = 2 + (int)RND(40), rows = 1 + (int)RND(12);
	struct buf in = { 0 }, frame = { 0 }, view = { 0 }, all_view = { 0 };
	for (uint32_t i = 1 + RND(60); i; i--)
		some_output(&in, seed, cols, rows);
	size_t cut = RND((uint32_t)in.len + 1);
	struct screen *whole = screen_new(cols, rows, 0), *cut_up = screen_new(cols, rows, (int)RND(50));
	struct screen *viewer = screen_new(cols, rows, 0), *first = screen_new(cols, rows, 0);
	screen_feed(whole, in.data, in.len, NULL, NULL);
	/* The viewer comes with a screen that is in another state. */
	for (uint32_t i = RND(20); i; i--)
		some_output(&frame, seed, cols, rows);
	if (frame.len)
		screen_feed(viewer, frame.data, frame.len, NULL, NULL);
	buf_free(&frame);

	feed_cut(cut_up, &in, 0, cut, seed, &all_view);
	screen_frame(cut_up, &frame);
	screen_feed(viewer, frame.data, frame.len, NULL, NULL);
	must_be_same(cut_up, viewer, round, "the frame");
	feed_cut(cut_up, &in, cut, in.len, seed, &view);
	must_be_same(whole, cut_up, round, "in pieces");
	screen_feed(viewer, buf_str(&view), view.len, NULL, NULL);
	must_be_same(whole, viewer, round, "the frame and what came then");
	buf_add(&all_view, buf_str(&view), view.len);
	screen_feed(first, buf_str(&all_view), all_view.len, NULL, NULL);
	must_be_same(whole, first, round, "a viewer from the beginning");
	screen_free(whole);
	screen_free(cut_up);
	screen_free(viewer);
	screen_free(first);
	buf_free(&in);
	buf_free(&frame);
	buf_free(&view);
	buf_free(&all_view);
}

static void round_trips(void **state)
{
	(void)state;
	const char *only = getenv("ROUND");
	for (uint64_t i = only ? strtoull(only, NULL, 10) : 1; i <= ROUNDS; i++) {
		one(i);
		if (only)
			break;
	}
}

/* What vim, less and whiptail wrote in 80x24, with a frame at every place. */
static void recordings(void **state)
{
	(void)state;
	static const char *const names[] = { "vim", "less", "whiptail" };
	for (size_t f = 0; f < ARRAY_LEN(names); f++) {
		cleanup_free char *path = xasprintf("tests/unit/recordings/%s", names[f]);
		char bytes[8192];
		FILE *in = fopen(path, "r");
		assert_non_null(in);
		size_t n = fread(bytes, 1, sizeof bytes, in);
		fclose(in);
		assert_in_range(n, 1000, sizeof bytes - 1);
		struct screen *whole = screen_new(80, 24, 0);
		screen_feed(whole, bytes, n, NULL, NULL);
		for (size_t cut = 0; cut <= n; cut++) {
			struct buf b = { 0 };
			struct screen *s = screen_new(80, 24, 0), *viewer = screen_new(80, 24, 0);
			screen_feed(s, bytes, cut, NULL, NULL);
			screen_frame(s, &b);
			screen_feed(viewer, b.data, b.len, NULL, NULL);
			must_be_same(s, viewer, cut, names[f]);
			b.len = 0;
			screen_feed(s, bytes + cut, n - cut, &b, NULL);
			screen_feed(viewer, b.data, b.len, NULL, NULL);
			must_be_same(whole, viewer, cut, names[f]);
			buf_free(&b);
			screen_free(s);
			screen_free(viewer);
		}
		screen_free(whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(recordings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
