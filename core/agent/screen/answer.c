#include "agent/screen/answer.h"

#include <stdarg.h>
#include <string.h>

#include "agent/screen/mode.h"
#include "agent/screen/pen.h"
#include "base/mem.h"

void answer(struct screen *s, const char *fmt, ...)
{
	s->cut = true;
	if (!s->reply)
		return;
	va_list ap;
	va_start(ap, fmt);
	cleanup_free char *text = xvasprintf(fmt, ap);
	va_end(ap);
	size_t n = strlen(text);
	if (s->reply->len - s->reply_start + n <= SCREEN_REPLY_MAX)
		buf_add(s->reply, text, n);
}

void answer_device(struct screen *s)
{
	s->cut = true;
	if (s->args[0] > 0)
		return;
	answer(s, "%s", s->prefix ? "\033[>0;276;0c" : "\033[?1;2c");
}

void answer_status(struct screen *s)
{
	s->cut = true;
	if (s->args[0] == 5 && !s->prefix)
		answer(s, "\033[0n");
	if (s->args[0] == 6)
		answer(s, "\033[%s%d;%dR", s->prefix ? "?" : "", s->y + 1, (s->x < s->cols ? s->x : s->cols - 1) + 1);
}

void answer_mode(struct screen *s)
{
	bool dec = s->prefix == '?';
	answer(s, "\033[%s%d;%d$y", dec ? "?" : "", (int)s->args[0], mode_report(s, dec, s->args[0]));
}

void answer_size(struct screen *s)
{
	answer(s, "\033[8;%d;%dt", s->rows, s->cols);
}

void answer_version(struct screen *s)
{
	s->cut = true;
	if (s->args[0] <= 0)
		answer(s, "\033P>|perry(" PERRY_VERSION ")\033\\");
}

void answer_setting(struct screen *s, const char *what, size_t n)
{
	cleanup_buf struct buf text = { 0 };
	if (n == 1 && *what == 'm') {
		pen_write(&text, &s->pen);
		answer(s, "\033P1$r%s\033\\", text.data + 2);
	} else if (n == 1 && *what == 'r') {
		answer(s, "\033P1$r%d;%dr\033\\", s->g->top + 1, s->g->bottom + 1);
	} else if (n == 2 && !memcmp(what, " q", 2)) {
		answer(s, "\033P1$r%d q\033\\", s->cursor_shape ? s->cursor_shape : 1);
	} else if (n == 2 && !memcmp(what, "\"p", 2)) {
		answer(s, "\033P1$r61;1\"p\033\\");
	} else {
		answer(s, "\033P0$r\033\\");
	}
}

/* Of the 256: xterm's. */
static uint32_t palette(int i)
{
	static const uint32_t sixteen[] = { 0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd,
					    0x00cdcd, 0xe5e5e5, 0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00,
					    0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff };
	static const uint8_t level[] = { 0, 95, 135, 175, 215, 255 };
	if (i < 16)
		return sixteen[i];
	if (i >= 232)
		return (uint32_t)(8 + 10 * (i - 232)) * 0x10101;
	i -= 16;
	return (uint32_t)level[i / 36] << 16 | (uint32_t)level[i / 6 % 6] << 8 | level[i % 6];
}

void answer_colour(struct screen *s, int osc, int index, bool bell)
{
	uint32_t c = osc == 4 ? palette(index) : osc == 11 ? s->colour_bg : s->colour_fg;
	unsigned r = c >> 16 & 0xff, g = c >> 8 & 0xff, b = c & 0xff;
	const char *end = bell ? "\a" : "\033\\";
	if (osc == 4)
		answer(s, "\033]4;%d;rgb:%02x%02x/%02x%02x/%02x%02x%s", index, r, r, g, g, b, b, end);
	else
		answer(s, "\033]%d;rgb:%02x%02x/%02x%02x/%02x%02x%s", osc, r, r, g, g, b, b, end);
}
