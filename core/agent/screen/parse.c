#include "agent/screen/parse.h"

#include <string.h>

#include "agent/screen/control.h"
#include "agent/screen/cell.h"
#include "agent/screen/osc.h"
#include "agent/screen/print.h"

static void show(struct screen *s, const void *bytes, size_t n)
{
	if (s->view)
		buf_add(s->view, bytes, n);
}

static void hold(struct screen *s, uint32_t c)
{
	size_t max = s->state >= PARSE_OSC ? SCREEN_STRING_MAX : CSI_MAX;
	if (s->held.len >= max)
		s->too_long = true;
	else
		utf8_put(&s->held, c);
}

/* No sequence any more. What was held back is dropped, or shown by the caller before. */
static void done(struct screen *s)
{
	s->state = PARSE_TEXT;
	s->too_long = false;
	if (s->held.cap > CSI_MAX)
		buf_free(&s->held);
	s->held.len = 0;
}

static void begin(struct screen *s, int state)
{
	done(s);
	s->state = state;
	s->nargs = 1;
	s->args[0] = 0;
	s->colon = 0;
	s->prefix = 0;
	s->ninter = 0;
	s->inter[0] = s->inter[1] = 0;
	switch (state) {
	case PARSE_ESC:
		buf_adds(&s->held, "\033");
		break;
	case PARSE_CSI:
		buf_adds(&s->held, "\033[");
		break;
	case PARSE_OSC:
		buf_adds(&s->held, "\033]");
		break;
	default:
		break;
	}
}

static void collect(struct screen *s, uint32_t c)
{
	if (s->ninter < 2)
		s->inter[s->ninter] = (char)c;
	s->ninter++;
}

static void argument(struct screen *s, uint32_t c)
{
	if (c == ';' || c == ':') {
		if (s->nargs < ARGS_MAX) {
			s->args[s->nargs] = c == ':' ? -1 : 0;
			if (c == ':')
				s->colon |= 1u << s->nargs;
		}
		s->nargs = s->nargs <= ARGS_MAX ? s->nargs + 1 : s->nargs; /* ARGS_MAX + 1: too many */
		return;
	}
	if (s->nargs > ARGS_MAX)
		return;
	int32_t *a = &s->args[s->nargs - 1];
	*a = (*a < 0 ? 0 : *a) * 10 + (int32_t)(c - '0');
	if (*a > 0xffffff)
		*a = 0xffffff;
}

static void dispatch(struct screen *s, uint32_t final, void (*what)(struct screen *, char))
{
	if (s->too_long || s->nargs > ARGS_MAX || s->ninter > 2) {
		s->printed = false;
		done(s);
		return;
	}
	s->cut = false;
	what(s, (char) final);
	s->printed = false;
	if (!s->cut)
		show(s, s->held.data, s->held.len);
	/* Behind the last column stands who has just written there. If that was erased or has moved, no frame could
	 * bring the cursor there, and terminals differ in whether it still is: it is not. */
	const struct cell *last = &screen_row(s, s->y)->cells[s->cols - 1];
	if (s->x >= s->cols && !last->ch && !(last->attr & CELL_TAIL)) {
		s->x = s->cols - 1;
		if (s->view)
			buf_addf(s->view, "\033[%dG", s->cols);
	}
	done(s);
}

/* A string has ended: by BEL, or by ST. */
static void end_string(struct screen *s, bool bell)
{
	if (s->state == PARSE_OSC && !s->too_long) {
		s->cut = false;
		osc_dispatch(s, bell);
		if (!s->cut) {
			show(s, s->held.data, s->held.len);
			show(s, bell ? "\a" : "\033\\", bell ? 1 : 2);
		}
	}
	if (s->state == PARSE_STRING && !s->too_long)
		dcs_dispatch(s);
	s->printed = false;
	done(s);
}

static void execute(struct screen *s, uint32_t c)
{
	bool seen = control_execute(s, c);
	s->printed = false;
	if (seen && s->view)
		utf8_put(s->view, c);
}

/* The C1 controls and those that end everything. True: it was one. */
static bool anywhere(struct screen *s, uint32_t c)
{
	if (c == 0x1b) {
		if (s->state >= PARSE_OSC)
			end_string(s, false);
		begin(s, PARSE_ESC);
		return true;
	}
	if (c == 0x18 || c == 0x1a) {
		done(s);
		s->printed = false;
		return true;
	}
	if (c < 0x80 || c > 0x9f)
		return false;
	if (c == 0x9c && s->state >= PARSE_OSC) {
		end_string(s, false);
		return true;
	}
	done(s);
	if (c == 0x9b) {
		begin(s, PARSE_CSI);
	} else if (c == 0x9d) {
		begin(s, PARSE_OSC);
	} else if (c == 0x90 || c == 0x98 || c == 0x9e || c == 0x9f) {
		begin(s, PARSE_STRING);
		if (c == 0x90)
			buf_adds(&s->held, "P");
	} else {
		execute(s, c);
	}
	return true;
}

static void in_escape(struct screen *s, uint32_t c)
{
	if (c > 0x7e) {
		if (c != 0x7f)
			done(s);
		return;
	}
	if (s->state == PARSE_ESC && c == '[') {
		begin(s, PARSE_CSI);
		return;
	}
	if (s->state == PARSE_ESC && c == ']') {
		begin(s, PARSE_OSC);
		return;
	}
	if (s->state == PARSE_ESC && (c == 'P' || c == 'X' || c == '^' || c == '_')) {
		begin(s, PARSE_STRING);
		if (c == 'P')
			buf_adds(&s->held, "P");
		return;
	}
	hold(s, c);
	if (c < 0x30) {
		collect(s, c);
		s->state = PARSE_ESC_MORE;
	} else {
		dispatch(s, c, escape_dispatch);
	}
}

static void in_csi(struct screen *s, uint32_t c)
{
	if (c > 0x7e) {
		if (c != 0x7f && s->state != PARSE_CSI_IGNORE)
			done(s);
		return;
	}
	bool first = s->held.len == 2;
	hold(s, c);
	if (c >= 0x40) {
		if (s->state == PARSE_CSI_IGNORE)
			done(s);
		else
			dispatch(s, c, csi_dispatch);
	} else if (s->state == PARSE_CSI_IGNORE) {
		return;
	} else if (c < 0x30) {
		collect(s, c);
		s->state = PARSE_CSI_MORE;
	} else if (s->state == PARSE_CSI_MORE || (c >= 0x3c && !first)) {
		s->state = PARSE_CSI_IGNORE;
	} else if (c >= 0x3c) {
		s->prefix = (char)c;
	} else {
		argument(s, c);
	}
}

static void take(struct screen *s, uint32_t c)
{
	if (anywhere(s, c))
		return;
	if (s->state == PARSE_OSC) {
		if (c == '\a')
			end_string(s, true);
		else if (c >= 0x20)
			hold(s, c);
		return;
	}
	if (s->state == PARSE_STRING) {
		hold(s, c);
		return;
	}
	if (c < 0x20) {
		execute(s, c); /* also in the middle of a sequence */
		return;
	}
	if (s->state == PARSE_TEXT) {
		if (c != 0x7f && print_char(s, c) && s->view)
			utf8_put(s->view, c);
	} else if (s->state <= PARSE_ESC_MORE) {
		in_escape(s, c);
	} else {
		in_csi(s, c);
	}
}

/* A byte of a character of several. What is no UTF-8 is on nobody's screen. */
static void multibyte(struct screen *s, uint8_t b)
{
	if (b < 0xc0) {
		if (s->u8_have)
			s->u8[s->u8_have++] = b;
	} else {
		s->u8_need = b >= 0xf5 || b < 0xc2 ? 0 : b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : 2;
		s->u8[0] = b;
		s->u8_have = s->u8_need ? 1 : 0;
	}
	if (!s->u8_have || s->u8_have < s->u8_need)
		return;
	uint32_t c = s->u8[0] & (0xffu >> (s->u8_need + 1));
	for (int i = 1; i < s->u8_need; i++)
		c = c << 6 | (s->u8[i] & 0x3f);
	int need = s->u8_need;
	s->u8_have = 0;
	if ((need == 3 && c < 0x800) || (need == 4 && c < 0x10000) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return;
	take(s, c);
}

void parse_feed(struct screen *s, const char *bytes, size_t n)
{
	const char *p = bytes, *end = bytes + n;
	while (p < end) {
		uint8_t b = (uint8_t)*p;
		if (b >= 0x80) {
			multibyte(s, b);
			p++;
			continue;
		}
		s->u8_have = 0;
		if (s->state != PARSE_TEXT || b < 0x20 || b == 0x7f) {
			take(s, b);
			p++;
			continue;
		}
		const char *run = p;
		while (p < end && (uint8_t)*p >= 0x20 && (uint8_t)*p < 0x7f)
			p++;
		print_ascii(s, run, (size_t)(p - run));
		show(s, run, (size_t)(p - run));
	}
}
