/* One frame: the screen as a program that draws it. What it sets first must not change what it draws later, and the
 * cursor comes last: some sequences move it. */
#include "agent/screen/cell.h"
#include "agent/screen/cursor.h"
#include "agent/screen/mode.h"
#include "agent/screen/osc.h"
#include "agent/screen/pen.h"

#define UNKNOWN (-1)

/* Where the terminal that draws has its cursor and its pen. */
struct draw {
	const struct screen *s;
	struct buf *out;
	int x, y; /* x UNKNOWN: somewhere */
	struct pen pen;
};

static void go(struct draw *d, int x, int y)
{
	if (d->x == x && d->y == y)
		return;
	if (d->y == y && d->y != UNKNOWN)
		buf_addf(d->out, "\033[%dG", x + 1);
	else
		buf_addf(d->out, "\033[%d;%dH", y + 1, x + 1);
	d->x = x;
	d->y = y;
}

/* Terminals differ in how many columns it takes. */
static bool is_risky(const struct cell *c)
{
	return c->extra || (c->attr & CELL_WIDE) || (c->ch >= 0x2600 && !(c->ch >= 0x2800 && c->ch < 0x2900));
}

static void draw_char(struct draw *d, const struct cell *c)
{
	pen_change(d->out, &d->pen, pen_of(c));
	cell_utf8(d->s, c, d->out);
	d->x = is_risky(c) ? UNKNOWN : d->x + 1;
	if (d->x == d->s->cols)
		d->x = UNKNOWN;
}

static void draw_blanks(struct draw *d, int x, int end, int y, uint32_t bg)
{
	go(d, x, y);
	pen_change(d->out, &d->pen, (struct pen){ .bg = bg });
	if (end == d->s->cols)
		buf_adds(d->out, "\033[K");
	else
		buf_addf(d->out, "\033[%dX", end - x);
}

/* Does the line go on here by itself, so that it stays one line for who copies it or makes the window wider? */
static bool continues(const struct grid *g, int y, int cols)
{
	if (!y || !g->rows[y].wrapped || !g->rows[y].used || !g->rows[y].cells[0].ch || g->rows[y - 1].used < cols)
		return false;
	const struct cell *last = &g->rows[y - 1].cells[cols - 1];
	return last->ch && !is_risky(last) && !is_risky(&g->rows[y].cells[0]);
}

static void draw_cells(struct draw *d, const struct grid *g)
{
	const struct screen *s = d->s;
	for (int y = 0; y < s->rows; y++) {
		const struct row *r = &g->rows[y];
		bool goes_on = continues(g, y, s->cols);
		for (int x = 0; x < r->used;) {
			const struct cell *c = &r->cells[x];
			if (c->ch) {
				if (x || !goes_on)
					go(d, x, y);
				d->x = x;
				d->y = y;
				draw_char(d, c);
				x += c->attr & CELL_WIDE ? 2 : 1;
				continue;
			}
			int end = x + 1;
			while (end < r->used && !r->cells[end].ch && r->cells[end].bg == c->bg)
				end++;
			if (c->bg && !(c->attr & CELL_TAIL))
				draw_blanks(d, x, end, y, c->bg);
			x = end;
		}
	}
}

static void draw_tabs(struct draw *d, const struct grid *g)
{
	buf_adds(d->out, "\033[3g");
	for (int x = 0; x < d->s->cols; x++)
		if (g->tabs[x / 8] >> (x % 8) & 1)
			buf_addf(d->out, "\033[%dG\033H", x + 1);
	d->x = UNKNOWN;
}

static void draw_grid(struct draw *d, const struct grid *g)
{
	d->x = d->y = UNKNOWN;
	buf_adds(d->out, "\033[r\033[?6l\033[?7h\033[4l\033[0m");
	sets_write(d->out, &(struct charsets){ 0 });
	buf_adds(d->out, "\033[H\033[2J");
	d->pen = (struct pen){ 0 };
	draw_tabs(d, g);
	draw_cells(d, g);
	buf_addf(d->out, "\033[%d;%dr", g->top + 1, g->bottom + 1);
}

/* The cell whose character has brought the cursor to where it is. */
static int before_cursor(const struct screen *s)
{
	int x = s->x - 1;
	return x > 0 && (s->g->rows[s->y].cells[x].attr & CELL_TAIL) ? x - 1 : x;
}

static void draw_cursor(struct draw *d)
{
	const struct screen *s = d->s;
	struct buf *out = d->out;
	bool insert = mode_is(s, MODE_INSERT), again = s->x > 0 && (s->x >= s->cols || s->printed);
	buf_adds(out, mode_is(s, MODE_SYNC) ? "\033[?2026h" : "\033[?2026l");
	if (!again) {
		position_write(s, out, s->x, s->y);
		pen_change(out, &d->pen, s->pen);
		sets_write(out, &s->sets);
	} else {
		/* The last character once more, since REP, a combining one and the end of the line refer to it. */
		int x = before_cursor(s);
		struct cell c = s->g->rows[s->y].cells[x];
		position_write(s, out, x, s->y);
		if (s->printed) {
			sets_write(out, &s->sets);
			buf_adds(out, mode_is(s, MODE_WRAP) ? "\033[?7h" : "\033[?7l");
			if (insert) /* what it pushes to the right again */
				buf_addf(out, "\033[%dP\033[4h", c.attr & CELL_WIDE ? 2 : 1);
			draw_char(d, &c);
			return;
		}
		sets_write(out, &(struct charsets){ 0 });
		draw_char(d, &c);
		pen_change(out, &d->pen, s->pen);
		sets_write(out, &s->sets);
	}
	buf_adds(out, mode_is(s, MODE_WRAP) ? "\033[?7h" : "\033[?7l");
	if (insert)
		buf_adds(out, "\033[4h");
}

void screen_frame(struct screen *s, struct buf *out)
{
	struct draw d = { .s = s, .out = out };
	buf_adds(out, "\033\\\033[?2026h\033[?1047l\033[20l");
	draw_grid(&d, &s->normal);
	if (s->g == &s->alt) {
		buf_adds(out, "\033[0m\033[?1049h");
		draw_grid(&d, &s->alt);
	}
	title_write(s, out);
	modes_write(s, out);
	draw_cursor(&d);
}
