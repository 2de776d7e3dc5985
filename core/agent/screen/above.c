#include "agent/screen/above.h"

#include <string.h>

#include "agent/screen/cell.h"
#include "agent/screen/pen.h"
#include "base/mem.h"

static void drop_oldest(struct screen *s)
{
	struct above *a = &s->above;
	char **line = &a->line[a->first];
	a->bytes -= strlen(*line) + 1;
	free(*line);
	*line = NULL;
	a->first = (a->first + 1) % a->max;
	a->n--;
}

void above_clear(struct screen *s)
{
	while (s->above.n)
		drop_oldest(s);
}

void above_push(struct screen *s, const struct row *r)
{
	struct above *a = &s->above;
	struct buf text = { 0 };
	struct pen pen = { 0 };
	int end = r->used;
	while (end && !r->cells[end - 1].ch && !r->cells[end - 1].bg && !(r->cells[end - 1].attr & CELL_TAIL))
		end--;
	for (int x = 0; x < end; x++) {
		const struct cell *c = &r->cells[x];
		if (c->attr & CELL_TAIL)
			continue;
		pen_change(&text, &pen, pen_of(c));
		if (c->ch)
			cell_utf8(s, c, &text);
		else
			buf_addc(&text, ' ');
	}
	pen_change(&text, &pen, (struct pen){ 0 });
	if (!a->line) {
		a->line = xcalloc((size_t)a->max, sizeof *a->line);
		a->how = xcalloc((size_t)a->max, 1);
	}
	while (a->n && (a->n == a->max || a->bytes + text.len + 1 > SCREEN_ABOVE_MAX))
		drop_oldest(s);
	int i = (a->first + a->n++) % a->max;
	a->bytes += text.len + 1;
	a->line[i] = xstrndup(buf_str(&text), text.len);
	a->how[i] = (uint8_t)((r->wrapped ? ABOVE_WRAPPED : 0) | (end >= s->cols - 1 ? ABOVE_FULL : 0));
	buf_free(&text);
}

size_t screen_above(const struct screen *s, size_t lines, struct buf *out)
{
	const struct above *a = &s->above;
	size_t n = (size_t)a->n < lines ? (size_t)a->n : lines;
	if (!n)
		return 0;
	/* From a terminal in whatever state: its normal screen, empty. */
	buf_adds(out, "\033\\\033[?1047l\033[r\033[?6l\033[?7h\033[4l\033(B\017\033[0m\033[H\033[2J");
	for (size_t i = 0; i < n; i++) {
		size_t at = ((size_t)a->first + (size_t)a->n - n + i) % (size_t)a->max;
		size_t before = (at + (size_t)a->max - 1) % (size_t)a->max;
		if (i && !((a->how[at] & ABOVE_WRAPPED) && (a->how[before] & ABOVE_FULL)))
			buf_adds(out, "\r\n");
		buf_adds(out, a->line[at]);
	}
	/* They stand on the screen, or the last of them do: out at the top. */
	size_t shown = n < (size_t)s->rows ? n : (size_t)s->rows;
	buf_addf(out, "\033[%d;1H", s->rows);
	while (shown--)
		buf_addc(out, '\n');
	return n;
}
