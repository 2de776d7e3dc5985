#include "agent/screen/control.h"

#include <string.h>

#include "agent/screen/above.h"
#include "agent/screen/answer.h"
#include "agent/screen/cursor.h"
#include "agent/screen/grid.h"
#include "agent/screen/mode.h"
#include "agent/screen/osc.h"
#include "agent/screen/pen.h"
#include "agent/screen/print.h"
#include "base/mem.h"

/* In place of the sequence at hand. */
static void instead(struct screen *s, const char *text)
{
	s->cut = true;
	if (s->view)
		buf_adds(s->view, text);
}

/* The first argument, at least 1. */
static int count(const struct screen *s)
{
	return s->args[0] > 0 ? s->args[0] : 1;
}

static int second(const struct screen *s)
{
	for (int i = 1; i < s->nargs; i++)
		if (!(s->colon >> i & 1))
			return s->args[i];
	return -1;
}

static void index_down(struct screen *s)
{
	cursor_restrict(s, s->cols - 1);
	if (s->y == s->g->bottom)
		grid_scroll(s, s->g->top, s->g->bottom, 1, s->pen.bg);
	else if (s->y < s->rows - 1)
		s->y++;
	cursor_restrict(s, s->cols - 1);
}

static void index_up(struct screen *s)
{
	cursor_restrict(s, s->cols - 1);
	if (s->y == s->g->top)
		grid_scroll(s, s->g->top, s->g->bottom, -1, s->pen.bg);
	else if (s->y > 0)
		s->y--;
	cursor_restrict(s, s->cols - 1);
}

static void backspace(struct screen *s)
{
	if (!mode_is(s, MODE_REVERSE_WRAP)) {
		cursor_restrict(s, s->cols - 1);
		if (s->x > 0)
			s->x--;
		return;
	}
	cursor_restrict(s, s->cols);
	struct row *r = screen_row(s, s->y);
	if (s->x > 0) {
		s->x--;
	} else if (s->y > s->g->top && s->y <= s->g->bottom && r->wrapped) {
		r->wrapped = false;
		s->y--;
		s->x = s->cols - 1;
	}
	cursor_restrict(s, s->cols - 1);
}

static void tab_set(struct screen *s)
{
	if (s->x < s->cols)
		s->g->tabs[s->x / 8] |= (uint8_t)(1u << (s->x % 8));
}

bool control_execute(struct screen *s, uint32_t c)
{
	switch (c) {
	case '\a':
		return true;
	case '\b':
		backspace(s);
		return true;
	case '\t':
		cursor_tab(s, 1);
		return true;
	case '\n':
	case '\v':
	case '\f':
		line_feed(s);
		return true;
	case '\r':
		s->x = 0;
		return true;
	case 0x0e:
	case 0x0f:
		s->sets.gl = c == 0x0e;
		return true;
	case 0x84:
		index_down(s);
		return true;
	case 0x85:
		s->x = 0;
		index_down(s);
		return true;
	case 0x88:
		tab_set(s);
		return true;
	default:
		return false;
	}
}

static void soft_reset(struct screen *s)
{
	s->g->top = 0;
	s->g->bottom = s->rows - 1;
	s->pen = (struct pen){ 0 };
	s->sets = (struct charsets){ 0 };
	modes_reset(s, false);
	s->g->saved = (struct saved){ .wrap = true };
	if (s->x >= s->cols)
		s->x = s->cols - 1;
	/* What terminals make of it differs. */
	instead(s, "\033[?1;5;6;45;66;1004;2004;2026;2031l\033[?7;25h\033[4l\033[0 q\033>\033[m\033[r");
	if (s->view) {
		sets_write(s->view, &s->sets);
		position_write(s, s->view, s->x, s->y);
	}
}

static void hard_reset(struct screen *s)
{
	alternate(s, false);
	for (int y = 0; y < s->rows; y++) {
		row_blank(&s->g->rows[y], 0, s->cols, s->cols, 0);
		s->g->rows[y].wrapped = false;
	}
	s->g->top = 0;
	s->g->bottom = s->rows - 1;
	tabs_init(s->g, 0);
	s->normal.saved = s->alt.saved = (struct saved){ .wrap = true };
	s->x = s->y = 0;
	s->pen = (struct pen){ 0 };
	s->sets = (struct charsets){ 0 };
	modes_reset(s, true);
	above_clear(s);
	instead(s, "\033c\033[20l\033[?12l");
}

static void alignment(struct screen *s)
{
	if (mode_is(s, MODE_ORIGIN)) { /* where it begins then is not agreed upon */
		s->cut = true;
		return;
	}
	cursor_to(s, 0, 0);
	for (int y = s->y; y < s->rows; y++) {
		struct row *r = screen_row(s, y);
		for (int x = 0; x < s->cols; x++)
			r->cells[x] = (struct cell){ .ch = 'E', .fg = s->pen.fg, .bg = s->pen.bg, .attr = s->pen.attr };
		r->used = s->cols;
		r->wrapped = false;
	}
	cursor_to(s, 0, 0);
}

static void charset(struct screen *s, int slot, char final)
{
	s->sets.g[slot] = final == '0' ? SET_LINES : final == 'A' ? SET_UK : SET_ASCII;
	if (s->sets.g[slot] == SET_ASCII && final != 'B') {
		char as_shown[] = { '\033', "()*+"[slot], 'B', '\0' };
		instead(s, as_shown);
	}
}

void escape_dispatch(struct screen *s, char final)
{
	switch (s->ninter ? s->inter[0] : 0) {
	case 0:
		break;
	case '(':
	case ')':
	case '*':
	case '+':
		if (s->ninter == 1)
			charset(s, s->inter[0] - '(', final);
		else
			s->cut = true;
		return;
	case '#':
		if (s->ninter == 1 && final == '8')
			alignment(s);
		else
			s->cut = true;
		return;
	case '%':
		s->sets.gl = 0;
		s->sets.g[0] = SET_ASCII;
		instead(s, "\017\033(B");
		return;
	default:
		s->cut = true;
		return;
	}
	switch (final) {
	case '7':
	case '8':
		s->cut = true;
		if (final == '7')
			cursor_save(s);
		else
			cursor_restore(s);
		break;
	case 'D':
		index_down(s);
		break;
	case 'E':
		s->x = 0;
		index_down(s);
		break;
	case 'H':
		tab_set(s);
		break;
	case 'M':
		index_up(s);
		break;
	case '=':
	case '>':
		mode_turn(s, MODE_KEYPAD, final == '=');
		break;
	case 'c':
		hard_reset(s);
		break;
	case 'n':
	case '}':
		s->sets.gl = 2;
		break;
	case 'o':
	case '|':
		s->sets.gl = 3;
		break;
	case '~':
		s->sets.gl = 1;
		break;
	case 'Z':
		answer_device(s);
		break;
	default:
		s->cut = true;
		break;
	}
}

static void erase(struct screen *s, int y, int from, int to)
{
	struct row *r = screen_row(s, y);
	to = to < s->cols ? to : s->cols;
	if (from >= to)
		return;
	row_split(r, from, s->cols, s->pen.bg);
	row_split(r, to, s->cols, s->pen.bg);
	row_blank(r, from, to, s->cols, s->pen.bg);
}

static void erase_line(struct screen *s)
{
	cursor_restrict(s, s->cols);
	switch (s->args[0]) {
	case 0:
		erase(s, s->y, s->x, s->cols);
		if (!s->x)
			screen_row(s, s->y)->wrapped = false;
		break;
	case 1:
		erase(s, s->y, 0, s->x + 1);
		break;
	case 2:
		erase(s, s->y, 0, s->cols);
		screen_row(s, s->y)->wrapped = false;
		break;
	default:
		break;
	}
}

static void erase_rows(struct screen *s, int from, int to)
{
	for (int y = from; y < to; y++) {
		erase(s, y, 0, s->cols);
		screen_row(s, y)->wrapped = false;
	}
}

static void erase_display(struct screen *s)
{
	cursor_restrict(s, s->cols);
	switch (s->args[0]) {
	case 0:
		erase_line(s);
		erase_rows(s, s->y + 1, s->rows);
		break;
	case 1:
		erase(s, s->y, 0, s->x + 1);
		screen_row(s, s->y)->wrapped = false;
		erase_rows(s, 0, s->y);
		break;
	case 2:
		erase_rows(s, 0, s->rows);
		break;
	case 3:
		above_clear(s);
		break;
	default:
		break;
	}
}

/* n < 0: deletes. */
static void insert_lines(struct screen *s, int n)
{
	cursor_restrict(s, s->cols - 1);
	if (s->y < s->g->top || s->y > s->g->bottom)
		return;
	int max = s->above.max;
	s->above.max = 0; /* what is deleted does not go above the screen */
	grid_scroll(s, s->y, s->g->bottom, -n, s->pen.bg);
	s->above.max = max;
	s->x = 0;
}

/* Shifts what is right of x in every line of the scroll region. */
static void shift_columns(struct screen *s, int x, int n, bool insert)
{
	if (s->y < s->g->top || s->y > s->g->bottom || x >= s->cols) {
		s->cut = true;
		return;
	}
	for (int y = s->g->top; y <= s->g->bottom; y++) {
		struct row *r = screen_row(s, y);
		if (insert)
			row_insert(r, x, n, s->cols, s->pen.bg);
		else
			row_delete(r, x, n, s->cols, s->pen.bg);
		r->wrapped = false;
	}
}

static void scroll_region(struct screen *s)
{
	int top = count(s), bottom = second(s);
	if (bottom <= 0 || bottom > s->rows)
		bottom = s->rows;
	if (bottom <= top)
		return;
	s->g->top = top - 1;
	s->g->bottom = bottom - 1;
	cursor_to(s, 0, 0);
}

static void tab_clear(struct screen *s)
{
	if (s->args[0] == 0 && s->x < s->cols)
		s->g->tabs[s->x / 8] &= (uint8_t) ~(1u << (s->x % 8));
	else if (s->args[0] == 3)
		for (size_t i = 0; i < sizeof s->g->tabs; i++)
			s->g->tabs[i] = 0;
}

/* More than two lines of one character are nothing but work for everybody. */
static void repeat(struct screen *s, int n)
{
	int most = 2 * s->cols;
	s->cut = !print_again(s, n < most ? n : most);
	if (n > most && !s->cut) {
		s->cut = true;
		if (s->view)
			buf_addf(s->view, "\033[%db", most);
	}
}

static void window(struct screen *s)
{
	s->cut = true;
	int what = second(s);
	if (s->args[0] == 18)
		answer_size(s);
	else if (s->args[0] == 22 && what != 1)
		title_push(s);
	else if (s->args[0] == 23 && what != 1)
		title_pop(s);
}

/* Those without a prefix and without intermediates. */
static void plain(struct screen *s, char final)
{
	int n = count(s), col = s->cols - 1;
	struct row *r;
	switch (final) {
	case '@':
	case 'P':
		cursor_restrict(s, col);
		r = screen_row(s, s->y);
		if (final == '@')
			row_insert(r, s->x, n, s->cols, s->pen.bg);
		else
			row_delete(r, s->x, n, s->cols, s->pen.bg);
		break;
	case 'A':
	case 'F':
		cursor_up(s, n);
		if (final == 'F')
			s->x = 0;
		break;
	case 'B':
	case 'E':
		cursor_down(s, n);
		if (final == 'E')
			s->x = 0;
		break;
	case 'C':
	case 'a':
		cursor_by(s, n, 0);
		break;
	case 'D':
		cursor_by(s, -n, 0);
		break;
	case 'G':
	case '`':
		s->x = n - 1;
		cursor_restrict(s, col);
		break;
	case 'H':
	case 'f':
		cursor_to(s, second(s) > 0 ? second(s) - 1 : 0, n - 1);
		break;
	case 'd':
		cursor_to(s, s->x, n - 1);
		break;
	case 'e':
		cursor_by(s, 0, n);
		break;
	case 'I':
		cursor_tab(s, n);
		break;
	case 'Z':
		cursor_tab(s, -n);
		break;
	case 'J':
		erase_display(s);
		break;
	case 'K':
		erase_line(s);
		break;
	case 'L':
		insert_lines(s, n);
		break;
	case 'M':
		insert_lines(s, -n);
		break;
	case 'S':
		grid_scroll(s, s->g->top, s->g->bottom, n, s->pen.bg);
		break;
	case '^': /* not known to all */
		instead(s, "");
		if (s->view)
			buf_addf(s->view, "\033[%dT", n);
		grid_scroll(s, s->g->top, s->g->bottom, -n, 0);
		break;
	case 'T':
		grid_scroll(s, s->g->top, s->g->bottom, -n, 0);
		break;
	case 'X':
		cursor_restrict(s, col);
		erase(s, s->y, s->x, n < s->cols ? s->x + n : s->cols);
		break;
	case 'b':
		repeat(s, n);
		break;
	case 'c':
		answer_device(s);
		break;
	case 'g':
		tab_clear(s);
		break;
	case 'h':
	case 'l':
		modes_apply(s, final == 'h');
		break;
	case 'm':
		pen_apply(s);
		break;
	case 'n':
		answer_status(s);
		break;
	case 'r':
		scroll_region(s);
		break;
	case 's':
	case 'u':
		s->cut = true;
		if (final == 's')
			cursor_save(s);
		else
			cursor_restore(s);
		break;
	case 't':
		window(s);
		break;
	default:
		s->cut = true;
		break;
	}
}

static void with_intermediate(struct screen *s, char final)
{
	if (s->inter[0] == ' ' && final == 'q') {
		if (s->args[0] <= 6)
			s->cursor_shape = s->args[0];
		else
			s->cut = true;
	} else if (s->inter[0] == ' ' && (final == '@' || final == 'A')) {
		shift_columns(s, 0, count(s), final == 'A');
	} else if (s->inter[0] == '\'' && (final == '}' || final == '~')) {
		shift_columns(s, s->x, count(s), final == '}');
	} else if (s->inter[0] == '!' && final == 'p') {
		soft_reset(s);
	} else if (s->inter[0] == '$' && final == 'p') {
		answer_mode(s);
	} else {
		s->cut = true;
	}
}

void csi_dispatch(struct screen *s, char final)
{
	if (s->ninter > 1) {
		s->cut = true;
	} else if (s->ninter && !s->prefix) {
		with_intermediate(s, final);
	} else if (s->ninter) {
		if (s->prefix == '?' && s->inter[0] == '$' && final == 'p')
			answer_mode(s);
		else
			s->cut = true;
	} else if (!s->prefix) {
		plain(s, final);
		/* With DECOM terminals disagree about where these go. */
		if (!s->cut && mode_is(s, MODE_ORIGIN) && strchr("ABCDEFGade`", final)) {
			s->cut = true;
			if (s->view)
				position_write(s, s->view, s->x, s->y);
		}
	} else if (s->prefix == '?') {
		if (final == 'h' || final == 'l')
			modes_apply(s, final == 'h');
		else if (final == 'J')
			erase_display(s);
		else if (final == 'K')
			erase_line(s);
		else if (final == 'n')
			answer_status(s);
		else
			s->cut = true;
	} else if (s->prefix == '>' && final == 'c') {
		answer_device(s);
	} else if (s->prefix == '>' && final == 'q') {
		answer_version(s);
	} else {
		/* How keys are coded (kitty, xterm): for terminals that know it. */
		s->cut = !(s->prefix == '>' && (final == 'm' || final == 'u')) && !(s->prefix == '<' && final == 'u') &&
			 !(s->prefix == '=' && final == 'u');
	}
}
