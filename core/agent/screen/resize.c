#include <string.h>

#include "agent/screen/above.h"
#include "agent/screen/grid.h"
#include "base/mem.h"

/* Rows that are being made, of a width. */
struct made {
	struct row *rows;
	int n, cap, cols;
};

static struct row *made_row(struct made *m, bool wrapped)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		m->rows = xrealloc(m->rows, (size_t)m->cap * sizeof *m->rows);
	}
	m->rows[m->n] = (struct row){ .cells = xcalloc((size_t)m->cols, sizeof(struct cell)), .wrapped = wrapped };
	return &m->rows[m->n++];
}

static int content_end(const struct row *r)
{
	int end = r->used;
	while (end && !r->cells[end - 1].ch && !(r->cells[end - 1].attr & CELL_TAIL))
		end--;
	return end;
}

/* Wraps the rows anew, down to the last with something in it, and the cursor's. x, y: the cursor, there and then here.
 */
static void rewrap(const struct screen *s, const struct grid *g, struct made *m, int *x, int *y)
{
	int last = s->rows - 1, cx = *x, cy = *y;
	while (last > cy && !content_end(&g->rows[last]))
		last--;
	struct row *to = NULL;
	int col = 0;
	for (int r = 0; r <= last; r++) {
		const struct row *from = &g->rows[r];
		bool more = r < last && g->rows[r + 1].wrapped;
		int end = content_end(from);
		if (more && end < s->cols - 1)
			end = s->cols;
		if (!to || !from->wrapped) {
			to = made_row(m, false);
			col = 0;
		}
		for (int i = 0; i < end; i++) {
			const struct cell *c = &from->cells[i];
			int width = c->attr & CELL_WIDE ? 2 : 1;
			if (!(c->attr & CELL_TAIL) && col + width > m->cols) {
				to = made_row(m, true);
				col = 0;
			}
			if (r == cy && i == cx) {
				*x = col;
				*y = m->n - 1;
			}
			to->cells[col++] = *c;
			to->used = col;
		}
		if (r == cy && cx >= end) {
			*x = col + cx - end < m->cols          ? col + cx - end
			     : cx >= s->cols && end == s->cols ? col
							       : m->cols - 1;
			*y = m->n - 1;
		}
	}
}

/* Takes the rows that were made, the last of them; what does not fit goes out at the top, as long as the cursor stays.
 */
static void settle(struct screen *s, struct grid *g, struct made *m, int rows, int *y, bool keep)
{
	int out = m->n > rows ? m->n - rows : 0;
	out = out < *y ? out : *y;
	for (int i = 0; i < out; i++)
		if (keep && s->above.max)
			above_push(s, &m->rows[i]);
	struct row *fresh = xcalloc((size_t)rows, sizeof *fresh);
	for (int i = 0; i < m->n; i++)
		if (i >= out && i - out < rows)
			fresh[i - out] = m->rows[i];
		else
			free(m->rows[i].cells);
	for (int i = 0; i < rows; i++)
		if (!fresh[i].cells)
			fresh[i].cells = xcalloc((size_t)m->cols, sizeof(struct cell));
	free(m->rows);
	grid_free(g, s->rows);
	g->rows = fresh;
	g->top = 0;
	g->bottom = rows - 1;
	*y -= out;
}

/* The alternate screen's programs draw it anew: it is cut, and padded. */
static void cut(const struct screen *s, const struct grid *g, struct made *m)
{
	for (int r = 0; r < s->rows; r++) {
		const struct row *from = &g->rows[r];
		struct row *to = made_row(m, false);
		to->used = from->used < m->cols ? from->used : m->cols;
		memcpy(to->cells, from->cells, (size_t)to->used * sizeof *to->cells);
		if (m->cols < s->cols && (to->cells[m->cols - 1].attr & CELL_WIDE))
			to->cells[m->cols - 1] = (struct cell){ 0 };
	}
}

static int within(int v, int low, int high)
{
	return v < low ? low : v > high ? high : v;
}

void screen_resize(struct screen *s, int cols, int rows)
{
	cols = within(cols, 2, SCREEN_COLS_MAX);
	rows = within(rows, 1, SCREEN_ROWS_MAX);
	if (cols == s->cols && rows == s->rows)
		return;
	bool alternate = s->g == &s->alt;
	struct made normal = { .cols = cols }, alt = { .cols = cols };
	int *x = alternate ? &s->normal.saved.x : &s->x, *y = alternate ? &s->normal.saved.y : &s->y;
	*y = within(*y, 0, s->rows - 1);
	rewrap(s, &s->normal, &normal, x, y);
	int was_cols = s->cols;
	if (alternate)
		cut(s, &s->alt, &alt);
	s->cols = cols; /* for the lines that go above the screen */
	settle(s, &s->normal, &normal, rows, y, true);
	if (alternate)
		settle(s, &s->alt, &alt, rows, &s->y, false);
	s->rows = rows;
	s->x = within(s->x, 0, cols - (s->x < was_cols));
	s->y = within(s->y, 0, rows - 1);
	const struct cell *last = &screen_row(s, s->y)->cells[cols - 1];
	if (s->x == cols && !last->ch && !(last->attr & CELL_TAIL))
		s->x--;
	s->printed = false;
	s->normal.saved.x = within(s->normal.saved.x, 0, cols - 1);
	s->normal.saved.y = within(s->normal.saved.y, 0, rows - 1);
	s->alt.saved.x = within(s->alt.saved.x, 0, cols - 1);
	s->alt.saved.y = within(s->alt.saved.y, 0, rows - 1);
}
