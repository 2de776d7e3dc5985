/* What programs in a workspace write to their terminal: whatever the bytes, wherever they are cut and the screen is
 * resized, a frame gives another screen the same, what viewers get afterwards goes on from there, and nothing grows. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/agent_screen_util.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void feed_exact(struct screen *s, const uint8_t *p, size_t n, struct buf *view, struct buf *reply)
{
	char *copy = xmalloc(n ? n : 1); /* so that a read beyond its end is seen */
	memcpy(copy, p, n);
	screen_feed(s, copy, n, view, reply);
	free(copy);
}

static void clean(const struct screen *s)
{
	struct buf text = { 0 };
	screen_text(s, &text);
	if (!utf8_valid(buf_str(&text), text.len))
		abort();
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.data[i] < ' ' && text.data[i] != '\n')
			abort();
	buf_free(&text);
	if (!utf8_valid(screen_title(s), strlen(screen_title(s))))
		abort();
}

static void same(const struct screen *a, const struct screen *b)
{
	const char *what = screens_differ(a, b);
	if (what) {
		fprintf(stderr, "%s differs\n", what);
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 6)
		return 0;
	int cols = 2 + data[0] % 40, rows = 1 + data[1] % 12;
	size_t cut = ((size_t)data[2] << 8 | data[3]) % (n - 5);
	struct screen *whole = screen_new(cols, rows, 0), *s = screen_new(cols, rows, 20);
	struct buf frame = { 0 }, view = { 0 }, reply = { 0 };
	const uint8_t *p = data + 6;
	n -= 6;
	cut = cut < n ? cut : n;
	feed_exact(s, p, cut, NULL, &reply);
	feed_exact(whole, p, cut, NULL, NULL);
	if (data[4] & 1) {
		screen_resize(s, 2 + data[4] % 50, 1 + data[5] % 20);
		screen_resize(whole, 2 + data[4] % 50, 1 + data[5] % 20);
	}
	struct screen *viewer = screen_new(s->cols, s->rows, 0);
	screen_frame(s, &frame);
	feed_exact(viewer, (const uint8_t *)frame.data, frame.len, NULL, NULL);
	same(s, viewer);
	reply.len = 0;
	for (size_t at = cut; at < n; at += 7)
		feed_exact(s, p + at, n - at < 7 ? n - at : 7, &view, &reply);
	feed_exact(whole, p + cut, n - cut, NULL, NULL);
	same(whole, s);
	feed_exact(viewer, (const uint8_t *)buf_str(&view), view.len, NULL, NULL);
	same(s, viewer);
	clean(s);
	struct buf above = { 0 };
	screen_above(s, 20, &above);
	if (reply.len > (n / 7 + 1) * SCREEN_REPLY_MAX || s->held.len > SCREEN_STRING_MAX)
		abort();
	screen_free(whole);
	screen_free(s);
	screen_free(viewer);
	buf_free(&frame);
	buf_free(&view);
	buf_free(&reply);
	buf_free(&above);
	return 0;
}
