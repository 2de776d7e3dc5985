/* Screens beside each other, and output such as programs make, by a seed. */
#ifndef AGENT_SCREEN_UTIL_H
#define AGENT_SCREEN_UTIL_H
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/screen/cell.h"
#include "agent/screen/state.h"
#include "base/mem.h"

static inline const char *cells_differ(const struct screen *a, const struct cell *x, const struct screen *b,
				       const struct cell *y)
{
	struct buf p = { 0 }, q = { 0 };
	cell_utf8(a, x, &p);
	cell_utf8(b, y, &q);
	bool same = strcmp(buf_str(&p), buf_str(&q)) == 0;
	buf_free(&p);
	buf_free(&q);
	if (!same)
		return "a character";
	if (x->bg != y->bg)
		return "a background";
	if (x->ch && (x->fg != y->fg || x->attr != y->attr))
		return "an attribute";
	return NULL;
}

static inline const char *grids_differ(const struct screen *a, const struct grid *g, const struct screen *b,
				       const struct grid *h)
{
	static char where[100];
	if (!g->rows != !h->rows)
		return "the alternate screen";
	if (!g->rows)
		return NULL;
	for (int y = 0; y < a->rows; y++)
		for (int x = 0; x < a->cols; x++) {
			const char *what = cells_differ(a, &g->rows[y].cells[x], b, &h->rows[y].cells[x]);
			if (what) {
				snprintf(where, sizeof where, "%s in row %d, column %d", what, y, x);
				return where;
			}
		}
	if (g->top != h->top || g->bottom != h->bottom)
		return "the scroll region";
	for (int x = 0; x < a->cols; x++)
		if ((g->tabs[x / 8] ^ h->tabs[x / 8]) >> (x % 8) & 1)
			return "the tab stops";
	return NULL;
}

/* NULL: nobody could tell them apart, now or by what comes. Else what differs. */
static inline const char *screens_differ(const struct screen *a, const struct screen *b)
{
	if (a->cols != b->cols || a->rows != b->rows)
		return "the size";
	const char *what = grids_differ(a, &a->normal, b, &b->normal);
	if (!what)
		what = grids_differ(a, &a->alt, b, &b->alt);
	if (what)
		return what;
	if (a->x != b->x || a->y != b->y)
		return "the cursor";
	if (a->pen.fg != b->pen.fg || a->pen.bg != b->pen.bg || a->pen.attr != b->pen.attr)
		return "the pen";
	if (memcmp(&a->sets, &b->sets, sizeof a->sets) != 0)
		return "the character sets";
	if (a->modes != b->modes || a->mouse != b->mouse || a->mouse_coded != b->mouse_coded)
		return "the modes";
	if (a->cursor_shape != b->cursor_shape)
		return "the cursor's shape";
	return strcmp(a->title, b->title) != 0 ? "the title" : NULL;
}

static inline void feed(struct screen *s, const char *text)
{
	screen_feed(s, text, strlen(text), NULL, NULL);
}

/* xorshift: the same numbers everywhere. */
static inline uint32_t rnd(uint64_t *seed, uint32_t below)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 20) % below;
}

#define RND(n) rnd(seed, n)

/* Appends one thing that a program may write. */
static inline void some_output(struct buf *out, uint64_t *seed, int cols, int rows)
{
	static const char *const words[] = { "perry ",
					     "x",
					     "\xe4\xb8\xad\xe6\x96\x87",
					     "\xc3\xa9",
					     "e\xcc\x81",
					     "\xe2\x94\x80\xe2\x94\x82",
					     "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",
					     "qwertyuiopjkl",
					     "\xef\xbb\xbf",
					     "\xff\xfe",
					     "\xe4\xb8",
					     "\302\2333m",
					     "a\xcc\x80\xcc\x81\xcc\x82" };
	static const char *const moves[] = { "\r",     "\n",     "\r\n",   "\b",     "\t",     "\033D",
					     "\033M",  "\033E",  "\0337",  "\0338",  "\033[s", "\033[u",
					     "\016",   "\017",   "\033(0", "\033(B", "\033)0", "\033)B",
					     "\033H",  "\033[g", "\033=",  "\033>",  "\033n",  "\033[!p",
					     "\033#8", "\a",     "\033*0", "\033(A", "\033(K" };
	static const int modes[] = { 1,    5,    6,    7,    12,   25,   45,   66,   9, 1000,
				     1002, 1003, 1004, 1006, 1016, 2004, 2026, 2031, 3, 1048 };
	static const char *const strings[] = { "\033]0;a title\a",
					       "\033]2;\xc3\xa4\033\\",
					       "\033]52;c;aGk=\a",
					       "\033P$qm\033\\",
					       "\033]8;;http://x\033\\",
					       "\033_G\033\\",
					       "\033]11;?\a",
					       "\033[c",
					       "\033[6n",
					       "\033[?6$p",
					       "\033[22t",
					       "\033[23t",
					       "\033[>c",
					       "\033]2;cut\030",
					       "\033[5\n;1m",
					       "\033[?1;2;3" };
	switch (RND(20)) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		for (uint32_t i = 1 + RND(6); i; i--)
			buf_adds(out, words[RND(ARRAY_LEN(words))]);
		break;
	case 5:
		for (uint32_t i = RND(2 * (uint32_t)cols); i; i--)
			buf_addc(out, (char)('a' + RND(26)));
		break;
	case 6:
	case 7:
		buf_adds(out, moves[RND(ARRAY_LEN(moves))]);
		break;
	case 8:
	case 9:
		buf_addf(out, "\033[%u;%uH", RND((uint32_t)rows + 2), RND((uint32_t)cols + 2));
		break;
	case 10:
		buf_addf(out, "\033[%u;%u;%um", RND(10), 30 + RND(8), 40 + RND(10));
		break;
	case 11:
		buf_addf(out, "\033[38;5;%u;48;2;%u;%u;%um", RND(256), RND(256), RND(256), RND(256));
		break;
	case 12:
		buf_addf(out, "\033[%u;4:%u;%um", RND(2) ? 0 : 7, RND(6), 100 + RND(8));
		break;
	case 13:
		buf_addf(out, "\033[%u%c", RND(3), "JK"[RND(2)]);
		break;
	case 14:
		buf_addf(out, "\033[%u%c", RND(20) ? RND(6) : RND(200), "LM@PXSTZIABCDEFGdaeb`^"[RND(22)]);
		break;
	case 15:
		buf_addf(out, "\033[%u;%ur", RND((uint32_t)rows), RND((uint32_t)rows + 2));
		break;
	case 16:
		buf_addf(out, "\033[?%d%c", modes[RND(ARRAY_LEN(modes))], "hl"[RND(2)]);
		break;
	case 17:
		if (RND(3) == 0)
			buf_addf(out, "\033[?%s%c", RND(2) ? "1049" : RND(2) ? "47" : "1047", "hl"[RND(2)]);
		else
			buf_addf(out, "\033[%u q", RND(8));
		break;
	case 18:
		buf_adds(out, strings[RND(ARRAY_LEN(strings))]);
		break;
	default:
		if (RND(8) == 0)
			buf_adds(out, RND(2) ? "\033[4h" : "\033[20h");
		else if (RND(30) == 0)
			buf_adds(out, "\033c");
		else
			buf_addf(out, "\033[4l\033[20l\033[%u'%c", RND(4), "}~"[RND(2)]);
		break;
	}
}

#endif
