#include "agent/screen/screen.h"

#include "agent/screen/above.h"
#include "agent/screen/grid.h"
#include "agent/screen/mode.h"
#include "agent/screen/parse.h"
#include "base/mem.h"

struct screen *screen_new(int cols, int rows, int lines)
{
	struct screen *s = xcalloc(1, sizeof *s);
	s->cols = cols < 2 ? 2 : cols > SCREEN_COLS_MAX ? SCREEN_COLS_MAX : cols;
	s->rows = rows < 1 ? 1 : rows > SCREEN_ROWS_MAX ? SCREEN_ROWS_MAX : rows;
	s->above.max = lines < 0 ? 0 : lines > SCREEN_LINES_MAX ? SCREEN_LINES_MAX : lines;
	grid_init(&s->normal, s->cols, s->rows);
	s->g = &s->normal;
	s->normal.saved.wrap = s->alt.saved.wrap = true;
	s->colour_fg = 0xe5e5e5;
	modes_reset(s, true);
	return s;
}

void screen_free(struct screen *s)
{
	if (!s)
		return;
	above_clear(s);
	free(s->above.line);
	free(s->above.how);
	grid_free(&s->normal, s->rows);
	grid_free(&s->alt, s->rows);
	free(s->clusters);
	for (int i = 0; i < s->ntitles; i++)
		free(s->titles[i]);
	buf_free(&s->held);
	free(s);
}

void screen_feed(struct screen *s, const char *bytes, size_t n, struct buf *view, struct buf *reply)
{
	s->view = view;
	s->reply = reply;
	s->reply_start = reply ? reply->len : 0;
	parse_feed(s, bytes, n);
	s->view = s->reply = NULL;
}

void screen_size(const struct screen *s, int *cols, int *rows)
{
	*cols = s->cols;
	*rows = s->rows;
}

const char *screen_title(const struct screen *s)
{
	return s->title;
}

void screen_colours(struct screen *s, uint32_t fg, uint32_t bg)
{
	s->colour_fg = fg;
	s->colour_bg = bg;
}
