#include "agent/screen/print.h"

#include "agent/screen/cell.h"
#include "agent/screen/grid.h"
#include "agent/screen/width.h"

void line_feed(struct screen *s)
{
	if (mode_is(s, MODE_NEWLINE))
		s->x = 0;
	if (s->y == s->g->bottom)
		grid_scroll(s, s->g->top, s->g->bottom, 1, s->pen.bg);
	else if (s->y < s->rows - 1)
		screen_row(s, ++s->y)->wrapped = false;
	if (s->x >= s->cols)
		s->x = s->cols - 1;
}

/* The character that comes takes n columns and they are not there. */
static void wrap(struct screen *s)
{
	struct row *r = screen_row(s, s->y);
	if (s->x < s->cols) {
		row_split(r, s->x, s->cols, s->pen.bg);
		row_blank(r, s->x, s->cols, s->cols, s->pen.bg);
	}
	s->x = 0;
	if (s->y == s->g->bottom)
		grid_scroll(s, s->g->top, s->g->bottom, 1, s->pen.bg);
	else if (s->y < s->rows - 1)
		s->y++;
	screen_row(s, s->y)->wrapped = true;
}

/* Lines: what the VT100 shows for 0x5f..0x7e. */
static const uint16_t lines[] = {
	0xa0,   0x25c6, 0x2592, 0x2409, 0x240c, 0x240d, 0x240a, 0xb0,   0xb1,   0x2424, 0x240b,
	0x2518, 0x2510, 0x250c, 0x2514, 0x253c, 0x23ba, 0x23bb, 0x2500, 0x23bc, 0x23bd, 0x251c,
	0x2524, 0x2534, 0x252c, 0x2502, 0x2264, 0x2265, 0x3c0,  0x2260, 0xa3,   0xb7,
};

static uint32_t in_set(int set, uint32_t ch)
{
	if (set == SET_LINES && ch >= 0x5f && ch <= 0x7e)
		return lines[ch - 0x5f];
	return set == SET_UK && ch == '#' ? 0xa3 : ch;
}

static void put(struct screen *s, uint32_t ch, int width)
{
	struct row *r = screen_row(s, s->y);
	if (mode_is(s, MODE_INSERT)) {
		row_insert(r, s->x, width, s->cols, s->pen.bg);
	} else {
		row_split(r, s->x, s->cols, s->pen.bg);
		row_split(r, s->x + width, s->cols, s->pen.bg);
	}
	struct cell *c = &r->cells[s->x];
	*c = (struct cell){ .ch = ch, .fg = s->pen.fg, .bg = s->pen.bg, .attr = s->pen.attr };
	if (width == 2) {
		c->attr |= CELL_WIDE;
		c[1] = (struct cell){ .fg = s->pen.fg, .bg = s->pen.bg, .attr = s->pen.attr | CELL_TAIL };
	}
	s->x += width;
	if (s->x > r->used)
		r->used = s->x;
	s->last = ch;
	s->printed = true;
}

bool print_char(struct screen *s, uint32_t ch)
{
	if (ch == 0xad || ch == 0xfeff || char_turns(ch)) /* soft hyphens and byte order marks */
		return false;
	ch = in_set(s->sets.g[s->sets.gl], ch);
	int width = char_width(ch);
	if (!width) {
		if (!s->printed || !s->x)
			return false;
		struct row *r = screen_row(s, s->y);
		int x = s->x - 1;
		if (x && (r->cells[x].attr & CELL_TAIL))
			x--;
		cell_combine(s, &r->cells[x], ch);
		return true;
	}
	if (s->x + width > s->cols) {
		if (mode_is(s, MODE_WRAP)) {
			wrap(s);
		} else if (width == 2) {
			return false; /* there is no room for it */
		} else {
			s->x = s->cols - 1;
		}
	}
	put(s, ch, width);
	return true;
}

void print_ascii(struct screen *s, const char *text, size_t n)
{
	if (s->sets.g[s->sets.gl] != SET_ASCII || mode_is(s, MODE_INSERT) || !mode_is(s, MODE_WRAP)) {
		for (size_t i = 0; i < n; i++)
			print_char(s, (unsigned char)text[i]);
		return;
	}
	while (n) {
		if (s->x >= s->cols)
			wrap(s);
		struct row *r = screen_row(s, s->y);
		int room = s->cols - s->x, now = n < (size_t)room ? (int)n : room;
		row_split(r, s->x, s->cols, s->pen.bg);
		row_split(r, s->x + now, s->cols, s->pen.bg);
		struct cell *c = r->cells + s->x;
		struct cell like = { .fg = s->pen.fg, .bg = s->pen.bg, .attr = s->pen.attr };
		for (int i = 0; i < now; i++) {
			like.ch = (unsigned char)text[i];
			c[i] = like;
		}
		s->x += now;
		if (s->x > r->used)
			r->used = s->x;
		s->last = like.ch;
		s->printed = true;
		text += now;
		n -= (size_t)now;
	}
}

bool print_again(struct screen *s, int times)
{
	int x = s->x - 1;
	const struct row *r = screen_row(s, s->y);
	if (!s->printed || x < 0)
		return false;
	if (x && (r->cells[x].attr & CELL_TAIL))
		x--;
	struct cell c = r->cells[x];
	struct cluster k = { .n = 0 };
	if (c.extra)
		k = s->clusters[c.extra];
	for (int i = 0; i < times; i++) {
		print_char(s, c.ch);
		for (int j = 0; j < k.n; j++)
			print_char(s, k.ch[j]);
	}
	return true;
}
