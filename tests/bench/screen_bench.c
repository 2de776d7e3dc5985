/* The screen of a session: MiB/s of output that it takes, and what a frame and a screen cost. Figures only. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "agent/screen/screen.h"
#include "base/clock.h"
#include "base/mem.h"

#define INPUT (1u << 20)

static void speed(const char *what, struct screen *s, const struct buf *in, bool with_view)
{
	struct buf view = { 0 };
	int rounds = 0;
	int64_t start = clock_mono_us(), now;
	do {
		for (size_t at = 0; at < in->len; at += 16384) {
			size_t n = in->len - at < 16384 ? in->len - at : 16384;
			screen_feed(s, in->data + at, n, with_view ? &view : NULL, NULL);
			view.len = 0;
		}
		rounds++;
		now = clock_mono_us();
	} while (now - start < 300000);
	printf("%-28s %8.1f MiB/s\n", what, (double)in->len * rounds / (double)(now - start) * 1e6 / (1 << 20));
	buf_free(&view);
}

static void fill(struct buf *in, int kind)
{
	in->len = 0;
	for (unsigned i = 0; in->len < INPUT; i++)
		if (kind == 0)
			buf_addf(in, "%u the quick brown fox jumps over the lazy dog and so on and on\r\n", i);
		else if (kind == 1)
			buf_addf(in,
				 "\033[1;3%um%u\033[0m the \033[38;5;%umquick\033[m \033[38;2;1;2;%umbrown\033[m "
				 "fox\r\n",
				 i % 8, i, i % 256, i % 256);
		else if (kind == 2)
			buf_adds(in, "y\r\n");
		else if (kind == 4)
			buf_adds(in, i % 2 ? "\033[41;1m\033[J" : "\033[42m\033[H\033[J");
		else
			buf_addf(in, "\033[%u;%uH\xe4\xb8\xad\xe6\x96\x87 \xe2\x94\x80\xe2\x94\x82 e\xcc\x81",
				 i % 24 + 1, i % 60 + 1);
}

static void frames(int cols, int rows)
{
	struct buf in = { 0 }, out = { 0 };
	size_t before = mallinfo2().uordblks;
	struct screen *s = screen_new(cols, rows, 0);
	size_t costs = mallinfo2().uordblks - before;
	while (in.len < (size_t)cols * (size_t)rows * 8)
		fill(&in, 1);
	screen_feed(s, in.data, in.len, NULL, NULL);
	int n = 0;
	int64_t start = clock_mono_us(), now;
	do {
		out.len = 0;
		screen_frame(s, &out);
		n++;
		now = clock_mono_us();
	} while (now - start < 200000);
	printf("frame of %3dx%-3d coloured     %8.0f us, %zu bytes; the screen: %zu KiB\n", cols, rows,
	       (double)(now - start) / n, out.len, costs / 1024);
	screen_free(s);
	buf_free(&in);
	buf_free(&out);
}

int main(void)
{
	static const char *const kinds[] = { "plain text", "coloured text", "yes", "wide, combining, moving" };
	struct buf in = { 0 };
	struct screen *s = screen_new(80, 24, 0), *kept = screen_new(80, 24, SCREEN_LINES_MAX);
	for (int i = 0; i < 4; i++) {
		fill(&in, i);
		speed(kinds[i], s, &in, true);
	}
	fill(&in, 1);
	speed("coloured, lines above kept", kept, &in, false);
	screen_free(s);
	screen_free(kept);
	fill(&in, 4);
	s = screen_new(200, 60, 0);
	speed("erasing all of 200x60", s, &in, true);
	screen_free(s);
	buf_free(&in);
	frames(80, 24);
	frames(200, 60);
	return 0;
}
