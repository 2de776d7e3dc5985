#include "agent/screen/cursor.h"

#include "agent/screen/pen.h"

void cursor_restrict(struct screen *s, int most)
{
	int low = mode_is(s, MODE_ORIGIN) ? s->g->top : 0, high = mode_is(s, MODE_ORIGIN) ? s->g->bottom : s->rows - 1;
	s->x = s->x < 0 ? 0 : s->x > most ? most : s->x;
	s->y = s->y < low ? low : s->y > high ? high : s->y;
}

void cursor_to(struct screen *s, int x, int y)
{
	s->x = x;
	s->y = mode_is(s, MODE_ORIGIN) ? s->g->top + y : y;
	cursor_restrict(s, s->cols - 1);
}

void cursor_by(struct screen *s, int dx, int dy)
{
	cursor_restrict(s, s->cols - 1);
	s->x += dx;
	s->y += dy;
	cursor_restrict(s, s->cols - 1);
}

void cursor_up(struct screen *s, int n)
{
	int room = s->y - s->g->top;
	cursor_by(s, 0, room >= 0 && n > room ? -room : -n);
}

void cursor_down(struct screen *s, int n)
{
	int room = s->g->bottom - s->y;
	cursor_by(s, 0, room >= 0 && n > room ? room : n);
}

static bool is_stop(const struct screen *s, int x)
{
	return s->g->tabs[x / 8] >> (x % 8) & 1;
}

void cursor_tab(struct screen *s, int n)
{
	if (s->x >= s->cols)
		return;
	for (; n > 0 && s->x < s->cols - 1; n--)
		do
			s->x++;
		while (s->x < s->cols - 1 && !is_stop(s, s->x));
	for (; n < 0 && s->x > 0; n++)
		do
			s->x--;
		while (s->x > 0 && !is_stop(s, s->x));
}

void cursor_save(struct screen *s)
{
	s->g->saved = (struct saved){
		.x = s->x < s->cols ? s->x : s->cols - 1,
		.y = s->y,
		.pen = s->pen,
		.sets = s->sets,
		.origin = mode_is(s, MODE_ORIGIN),
		.wrap = mode_is(s, MODE_WRAP),
	};
}

static void set_mode(struct screen *s, int mode, bool on)
{
	s->modes = on ? s->modes | 1u << mode : s->modes & ~(1u << mode);
}

void sets_write(struct buf *out, const struct charsets *sets)
{
	static const char *const gl[] = { "\017", "\016", "\033n", "\033o" };
	for (int i = 0; i < 4; i++)
		buf_addf(out, "\033%c%c", "()*+"[i], "B0A"[sets->g[i]]);
	buf_adds(out, gl[sets->gl & 3]);
}

void position_write(const struct screen *s, struct buf *out, int x, int y)
{
	bool origin = mode_is(s, MODE_ORIGIN);
	if (origin)
		y = y > s->g->top ? y - s->g->top : 0;
	buf_addf(out, "\033[?6%c\033[%d;%dH", origin ? 'h' : 'l', y + 1, x + 1);
}

void cursor_restore(struct screen *s)
{
	const struct saved *v = &s->g->saved;
	s->x = v->x;
	s->y = v->y;
	s->pen = v->pen;
	s->sets = v->sets;
	set_mode(s, MODE_ORIGIN, v->origin);
	set_mode(s, MODE_WRAP, v->wrap);
	cursor_restrict(s, s->cols - 1);
	if (!s->view)
		return;
	position_write(s, s->view, s->x, s->y);
	buf_adds(s->view, mode_is(s, MODE_WRAP) ? "\033[?7h" : "\033[?7l");
	pen_write(s->view, &s->pen);
	sets_write(s->view, &s->sets);
}
