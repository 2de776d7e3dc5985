#include "agent/screen/osc.h"

#include <string.h>

#include "agent/screen/answer.h"
#include "agent/screen/width.h"
#include "base/mem.h"

void title_write(const struct screen *s, struct buf *out)
{
	buf_addf(out, "\033]2;%s\033\\", s->title);
}

static void title_shown(struct screen *s)
{
	s->cut = true;
	if (s->view)
		title_write(s, s->view);
}

/* What is held is characters already; of them, those that are no controls and turn no text. */
static void title_set(struct screen *s, const char *text, size_t n)
{
	size_t have = 0;
	for (size_t i = 0; i < n;) {
		unsigned char b = (unsigned char)text[i];
		size_t len = b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
		if (i + len > n || have + len >= TITLE_MAX)
			break;
		const unsigned char *p = (const unsigned char *)text + i;
		uint32_t c = b;
		if (len > 1) {
			c = b & (0xffu >> (len + 1));
			for (size_t k = 1; k < len; k++)
				c = c << 6 | (p[k] & 0x3f);
		}
		if (c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) && !char_turns(c)) {
			memcpy(s->title + have, p, len);
			have += len;
		}
		i += len;
	}
	s->title[have] = '\0';
	title_shown(s);
}

void title_push(struct screen *s)
{
	if (s->ntitles == TITLES_MAX) {
		free(s->titles[0]);
		memmove(s->titles, s->titles + 1, (TITLES_MAX - 1) * sizeof *s->titles);
		s->ntitles--;
	}
	s->titles[s->ntitles++] = xstrdup(s->title);
}

void title_pop(struct screen *s)
{
	if (!s->ntitles)
		return;
	cleanup_free char *was = s->titles[--s->ntitles];
	memcpy(s->title, was, strlen(was) + 1);
	title_shown(s);
}

static bool number(const char **p, const char *end, int *out)
{
	const char *start = *p;
	int v = 0;
	while (*p < end && **p >= '0' && **p <= '9' && *p - start < 6)
		v = v * 10 + (*(*p)++ - '0');
	*out = v;
	return *p > start && (*p == end || **p == ';');
}

/* Colours, as SPEC;SPEC;... or, of the palette, INDEX;SPEC;INDEX;SPEC;...: a SPEC of "?" asks. */
static void colours(struct screen *s, int osc, const char *p, const char *end, bool bell)
{
	bool asked = false;
	while (p < end) {
		int index = 0;
		if (osc == 4) {
			if (!number(&p, end, &index) || p == end)
				break;
			p++;
		}
		const char *semi = memchr(p, ';', (size_t)(end - p)), *stop = semi ? semi : end;
		if (stop - p == 1 && *p == '?') {
			asked = true;
			if ((osc == 4 && index < 256) || (osc >= 10 && osc <= 12))
				answer_colour(s, osc, index, bell);
		}
		p = semi ? semi + 1 : end;
		if (osc != 4)
			osc++;
	}
	/* Colours that are set are for those who are there; a mixture of both is for nobody. */
	s->cut = asked;
}

void osc_dispatch(struct screen *s, bool bell)
{
	const char *p = buf_str(&s->held) + 2, *end = buf_str(&s->held) + s->held.len;
	int osc;
	s->cut = true;
	if (!number(&p, end, &osc))
		return;
	if (p < end)
		p++;
	switch (osc) {
	case 0:
	case 2:
		title_set(s, p, (size_t)(end - p));
		break;
	case 4:
	case 10:
	case 11:
	case 12:
		colours(s, osc, p, end, bell);
		break;
	case 52: /* the clipboard may be written, and never read */
		s->cut = end > p && end[-1] == '?';
		break;
	case 7:   /* the folder */
	case 8:   /* links */
	case 9:   /* attention */
	case 104: /* colours as they were */
	case 110:
	case 111:
	case 112:
	case 133: /* where prompts and commands are */
	case 633:
	case 777:
		s->cut = false;
		break;
	default:
		break;
	}
}

void dcs_dispatch(struct screen *s)
{
	const char *p = buf_str(&s->held);
	size_t n = s->held.len;
	if (n >= 3 && !memcmp(p, "P$q", 3))
		answer_setting(s, p + 3, n - 3);
	else if (n >= 3 && !memcmp(p, "P+q", 3))
		answer(s, "\033P0+r\033\\");
}
