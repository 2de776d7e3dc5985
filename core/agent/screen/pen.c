#include "agent/screen/pen.h"

static bool is_sub(const struct screen *s, int i)
{
	return i < s->nargs && (s->colon >> i & 1);
}

static uint32_t channel(int32_t v)
{
	return v < 0 ? 0 : (uint32_t)v & 0xff;
}

/* 38, 48, 58 at i, as 38;5;N, 38;2;R;G;B, 38:5:N, 38:2:R:G:B or 38:2:SPACE:R:G:B. Returns the last argument of it; the
 * colour is set if it is one. */
static int colour(const struct screen *s, int i, uint32_t *out)
{
	const int32_t *a = s->args;
	int n = 0;
	if (is_sub(s, i + 1)) {
		while (is_sub(s, i + 1 + n))
			n++;
		const int32_t *v = a + i + 1;
		if (v[0] == 5)
			*out = COLOUR_256 | (n > 1 ? channel(v[1]) : 0);
		else if (v[0] == 2) {
			int at = n > 4 ? 2 : 1; /* beside the colour space */
			uint32_t rgb = 0;
			for (int k = 0; k < 3; k++)
				rgb = rgb << 8 | (at + k < n ? channel(v[at + k]) : 0);
			*out = COLOUR_RGB | rgb;
		}
		return i + n;
	}
	int left = s->nargs - i - 1;
	if (left < 1)
		return i;
	if (a[i + 1] == 5) {
		*out = COLOUR_256 | (left > 1 ? channel(a[i + 2]) : 0);
		return i + (left < 2 ? left : 2);
	}
	if (a[i + 1] == 2) {
		uint32_t rgb = 0;
		for (int k = 2; k < 5; k++)
			rgb = rgb << 8 | (k <= left ? channel(a[i + k]) : 0);
		*out = COLOUR_RGB | rgb;
		return i + (left < 4 ? left : 4);
	}
	return i + 1;
}

static void underline(struct pen *p, int32_t style)
{
	if (style < 0 || style > 5)
		style = 1;
	p->attr = (uint16_t)((p->attr & ~ATTR_UNDERLINE) | UNDERLINE(style));
}

static const struct {
	uint8_t code;
	uint16_t set, clear;
} simple[] = {
	{ 1, ATTR_BOLD, 0 },       { 2, ATTR_FAINT, 0 },     { 3, ATTR_ITALIC, 0 },
	{ 5, ATTR_BLINK, 0 },      { 7, ATTR_REVERSE, 0 },   { 8, ATTR_HIDDEN, 0 },
	{ 9, ATTR_STRIKE, 0 },     { 53, ATTR_OVERLINE, 0 }, { 22, 0, ATTR_BOLD | ATTR_FAINT },
	{ 23, 0, ATTR_ITALIC },    { 25, 0, ATTR_BLINK },    { 27, 0, ATTR_REVERSE },
	{ 28, 0, ATTR_HIDDEN },    { 29, 0, ATTR_STRIKE },   { 55, 0, ATTR_OVERLINE },
	{ 24, 0, ATTR_UNDERLINE },
};

void pen_apply(struct screen *s)
{
	struct pen *p = &s->pen;
	for (int i = 0; i < s->nargs; i++) {
		int32_t v = s->args[i];
		uint32_t ignored;
		if (v == 0)
			*p = (struct pen){ 0 };
		else if (v == 4)
			underline(p, is_sub(s, i + 1) ? s->args[i + 1] : 1);
		else if (v == 21)
			underline(p, 2);
		else if (v >= 30 && v <= 37)
			p->fg = COLOUR_16 | (uint32_t)(v - 30);
		else if (v >= 90 && v <= 97)
			p->fg = COLOUR_16 | (uint32_t)(v - 90 + 8);
		else if (v >= 40 && v <= 47)
			p->bg = COLOUR_16 | (uint32_t)(v - 40);
		else if (v >= 100 && v <= 107)
			p->bg = COLOUR_16 | (uint32_t)(v - 100 + 8);
		else if (v == 39)
			p->fg = 0;
		else if (v == 49)
			p->bg = 0;
		else if (v == 38 || v == 48 || v == 58)
			i = colour(s, i, v == 38 ? &p->fg : v == 48 ? &p->bg : &ignored);
		else
			for (size_t k = 0; k < sizeof simple / sizeof *simple; k++)
				if (simple[k].code == v)
					p->attr = (uint16_t)((p->attr | simple[k].set) & ~simple[k].clear);
		while (is_sub(s, i + 1))
			i++;
	}
}

static void write_colour(struct buf *out, uint32_t c, unsigned base)
{
	unsigned v = c & 0xff;
	switch (c & COLOUR_KIND) {
	case COLOUR_16:
		buf_addf(out, ";%u", v < 8 ? base + v : base + 60 + v - 8);
		break;
	case COLOUR_256:
		buf_addf(out, ";%u;5;%u", base + 8, v);
		break;
	case COLOUR_RGB:
		buf_addf(out, ";%u;2;%u;%u;%u", base + 8, c >> 16 & 0xff, c >> 8 & 0xff, v);
		break;
	default:
		break;
	}
}

void pen_write(struct buf *out, const struct pen *p)
{
	buf_adds(out, "\033[0");
	for (size_t k = 0; k < sizeof simple / sizeof *simple; k++)
		if (p->attr & simple[k].set)
			buf_addf(out, ";%u", simple[k].code);
	unsigned style = (p->attr & ATTR_UNDERLINE) >> 8;
	if (style == 1)
		buf_adds(out, ";4");
	else if (style)
		buf_addf(out, ";4:%u", style);
	write_colour(out, p->fg, 30);
	write_colour(out, p->bg, 40);
	buf_addc(out, 'm');
}

void pen_change(struct buf *out, struct pen *was, struct pen pen)
{
	if (was->fg == pen.fg && was->bg == pen.bg && was->attr == pen.attr)
		return;
	pen_write(out, &pen);
	*was = pen;
}
