#include "agent/screen/cell.h"

static int text_end(const struct row *r)
{
	int end = r->used;
	while (end && (!r->cells[end - 1].ch || r->cells[end - 1].ch == ' ') && !r->cells[end - 1].extra &&
	       !(r->cells[end - 1].attr & CELL_TAIL))
		end--;
	return end;
}

void screen_text(const struct screen *s, struct buf *out)
{
	int last = s->rows;
	while (last && !text_end(&s->g->rows[last - 1]))
		last--;
	for (int y = 0; y < last; y++) {
		const struct row *r = &s->g->rows[y];
		int end = text_end(r);
		for (int x = 0; x < end; x++) {
			const struct cell *c = &r->cells[x];
			if (c->ch)
				cell_utf8(s, c, out);
			else if (!(c->attr & CELL_TAIL))
				buf_addc(out, ' ');
		}
		buf_addc(out, '\n');
	}
}
