#include "agent/screen/grid.h"

#include <string.h>

#include "agent/screen/above.h"
#include "base/mem.h"

struct row *rows_new(int cols, int rows)
{
	struct row *r = xcalloc((size_t)rows, sizeof *r);
	for (int y = 0; y < rows; y++)
		r[y].cells = xcalloc((size_t)cols, sizeof *r[y].cells);
	return r;
}

void tabs_init(struct grid *g, int from)
{
	for (int x = from; x < SCREEN_COLS_MAX; x++)
		if (x % 8 == 0)
			g->tabs[x / 8] |= (uint8_t)(1u << (x % 8));
		else
			g->tabs[x / 8] &= (uint8_t) ~(1u << (x % 8));
}

void grid_init(struct grid *g, int cols, int rows)
{
	g->rows = rows_new(cols, rows);
	g->top = 0;
	g->bottom = rows - 1;
	tabs_init(g, 0);
}

void grid_free(struct grid *g, int rows)
{
	for (int y = 0; g->rows && y < rows; y++)
		free(g->rows[y].cells);
	free(g->rows);
	g->rows = NULL;
}

void row_blank(struct row *r, int from, int to, int cols, uint32_t bg)
{
	if (!bg && to >= r->used) {
		if (from < r->used) {
			memset(r->cells + from, 0, (size_t)(r->used - from) * sizeof *r->cells);
			r->used = from;
		}
		return;
	}
	for (int x = from; x < to; x++)
		r->cells[x] = (struct cell){ .bg = bg };
	if (to > r->used)
		r->used = to;
}

void row_split(struct row *r, int x, int cols, uint32_t bg)
{
	if (x <= 0 || x >= cols || !(r->cells[x].attr & CELL_TAIL))
		return;
	for (int i = x - 1; i <= x; i++)
		r->cells[i] = (struct cell){ .bg = bg };
}

void row_insert(struct row *r, int x, int n, int cols, uint32_t bg)
{
	n = n < cols - x ? n : cols - x;
	row_split(r, x, cols, bg);
	row_split(r, cols - n, cols, bg); /* what loses its second half at the right end */
	memmove(r->cells + x + n, r->cells + x, (size_t)(cols - x - n) * sizeof *r->cells);
	r->used = cols;
	row_blank(r, x, x + n, cols, bg);
}

void row_delete(struct row *r, int x, int n, int cols, uint32_t bg)
{
	n = n < cols - x ? n : cols - x;
	row_split(r, x, cols, bg);
	row_split(r, x + n, cols, bg);
	memmove(r->cells + x, r->cells + x + n, (size_t)(cols - x - n) * sizeof *r->cells);
	r->used = cols;
	row_blank(r, cols - n, cols, cols, bg);
}

void grid_scroll(struct screen *s, int top, int bottom, int n, uint32_t bg)
{
	struct row *rows = s->g->rows;
	int height = bottom - top + 1, by = n < 0 ? -n : n;
	by = by < height ? by : height;
	for (int i = 0; i < by; i++) {
		struct row moved;
		int blank;
		if (n > 0) {
			if (top == 0 && s->g == &s->normal && s->above.max)
				above_push(s, &rows[top]);
			moved = rows[top];
			memmove(rows + top, rows + top + 1, (size_t)(height - 1) * sizeof *rows);
			blank = bottom;
		} else {
			moved = rows[bottom];
			memmove(rows + top + 1, rows + top, (size_t)(height - 1) * sizeof *rows);
			blank = top;
		}
		rows[blank] = moved;
		row_blank(&rows[blank], 0, s->cols, s->cols, bg);
		rows[blank].wrapped = false;
	}
}
