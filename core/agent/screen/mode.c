#include "agent/screen/mode.h"

#include "agent/screen/cursor.h"
#include "agent/screen/grid.h"
#include "base/mem.h"

static const struct {
	int number, mode;
	bool dec;
} known[] = {
	{ 1, MODE_CURSOR_KEYS, true },   { 5, MODE_REVERSE_SCREEN, true }, { 6, MODE_ORIGIN, true },
	{ 7, MODE_WRAP, true },          { 12, MODE_CURSOR_BLINK, true },  { 25, MODE_CURSOR_VISIBLE, true },
	{ 45, MODE_REVERSE_WRAP, true }, { 66, MODE_KEYPAD, true },        { 1004, MODE_FOCUS, true },
	{ 2004, MODE_PASTE, true },      { 2026, MODE_SYNC, true },        { 2031, MODE_SCHEME, true },
	{ 4, MODE_INSERT, false },       { 20, MODE_NEWLINE, false },
};

void mode_turn(struct screen *s, int mode, bool on)
{
	s->modes = on ? s->modes | 1u << mode : s->modes & ~(1u << mode);
}

void alternate(struct screen *s, bool on)
{
	if (on == (s->g == &s->alt))
		return;
	if (on) {
		grid_init(&s->alt, s->cols, s->rows);
		s->alt.saved = (struct saved){ .wrap = true };
		s->g = &s->alt;
		for (int y = 0; y < s->rows; y++)
			row_blank(&s->alt.rows[y], 0, s->cols, s->cols, s->pen.bg);
	} else {
		s->g = &s->normal;
		grid_free(&s->alt, s->rows);
	}
}

/* False: it is none of those that viewers know, or they have been told. */
static bool apply(struct screen *s, int number, bool on)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].dec && known[i].number == number) {
			mode_turn(s, known[i].mode, on);
			if (number == 6)
				cursor_to(s, 0, 0);
			return true;
		}
	switch (number) {
	case 9:
	case 1000:
	case 1002:
	case 1003:
		s->mouse = on ? number : 0;
		break;
	case 1006:
	case 1016:
		s->mouse_coded = on ? number : 0;
		break;
	case 1048:
		if (on)
			cursor_save(s);
		else
			cursor_restore(s);
		return false;
	case 47:
	case 1047:
	case 1049:
		if (number == 1049 && on)
			cursor_save(s);
		alternate(s, on);
		if (s->view)
			buf_adds(s->view, on ? "\033[?1049h" : "\033[?1047l");
		if (mode_is(s, MODE_ORIGIN)) { /* each screen has its own scroll region */
			cursor_restrict(s, s->cols - 1);
			if (s->view)
				position_write(s, s->view, s->x, s->y);
		}
		if (number == 1049 && !on)
			cursor_restore(s);
		return false;
	default:
		return false;
	}
	return true;
}

void modes_apply(struct screen *s, bool on)
{
	s->cut = true;
	for (int i = 0; i < s->nargs; i++) {
		int number = s->args[i];
		bool is_known = false;
		if (s->colon >> i & 1)
			continue;
		if (s->prefix) {
			is_known = apply(s, number, on);
		} else if (number == 4 || number == 20) {
			mode_turn(s, number == 4 ? MODE_INSERT : MODE_NEWLINE, on);
			is_known = true;
		}
		if (is_known && s->view)
			buf_addf(s->view, "\033[%s%d%c", s->prefix ? "?" : "", number, on ? 'h' : 'l');
	}
}

void modes_reset(struct screen *s, bool hard)
{
	s->modes = MODES_INITIAL | (hard ? 0 : s->modes & (1u << MODE_NEWLINE | 1u << MODE_CURSOR_BLINK));
	s->cursor_shape = 0;
	if (hard)
		s->mouse = s->mouse_coded = 0;
}

int mode_report(const struct screen *s, bool dec, int number)
{
	if (dec) {
		switch (number) {
		case 9:
		case 1000:
		case 1002:
		case 1003:
			return s->mouse == number ? 1 : 2;
		case 1006:
		case 1016:
			return s->mouse_coded == number ? 1 : 2;
		case 47:
		case 1047:
		case 1049:
			return s->g == &s->alt ? 1 : 2;
		case 1048:
			return 1;
		case 8:
			return 3;
		case 67:
		case 1005:
		case 1015:
			return 4;
		default:
			break;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].dec == dec && known[i].number == number)
			return mode_is(s, known[i].mode) ? 1 : 2;
	return 0;
}

void modes_write(const struct screen *s, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].mode != MODE_ORIGIN && known[i].mode != MODE_WRAP && known[i].mode != MODE_INSERT &&
		    known[i].mode != MODE_SYNC)
			buf_addf(out, "\033[%s%d%c", known[i].dec ? "?" : "", known[i].number,
				 mode_is(s, known[i].mode) ? 'h' : 'l');
	buf_adds(out, "\033[?9l\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?1016l");
	if (s->mouse)
		buf_addf(out, "\033[?%dh", s->mouse);
	if (s->mouse_coded)
		buf_addf(out, "\033[?%dh", s->mouse_coded);
	buf_addf(out, "\033[%d q", s->cursor_shape);
	buf_adds(out, mode_is(s, MODE_KEYPAD) ? "\033=" : "\033>");
}
