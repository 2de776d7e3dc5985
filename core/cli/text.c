#include "cli/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"

/* The bytes of a character (of valid UTF-8) that a terminal would act on, 0: it is harmless. */
static size_t acts(const unsigned char *s)
{
	if (s[0] < 0x20 || s[0] == 0x7f)
		return 1;
	if (s[0] == 0xc2 && s[1] < 0xa0) /* C1 controls */
		return 2;
	if (s[0] == 0xd8 && s[1] == 0x9c) /* U+061C */
		return 2;
	if (s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xaa && s[2] <= 0xae)))
		return 3; /* U+200E, U+200F, U+202A to U+202E */
	if (s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9)
		return 3; /* U+2066 to U+2069 */
	return 0;
}

/* indent: what stands before each line but the first, NULL: all on one line. mark: what is left out shows as its bytes.
 */
static char *filter(const char *text, const char *indent, bool mark)
{
	cleanup_buf struct buf valid = { 0 };
	struct buf out = { 0 };
	utf8_scrub(&valid, text ? text : "", text ? strlen(text) : 0);
	for (const unsigned char *s = (const unsigned char *)buf_str(&valid); *s;) {
		size_t n = acts(s);
		if (indent && *s == '\n')
			buf_addf(&out, "\n%s", indent);
		else if (!n || (indent && *s == '\t'))
			buf_addc(&out, (char)*s);
		else if (!mark)
			buf_addc(&out, ' ');
		else
			for (size_t i = 0; i < n; i++)
				buf_addf(&out, "<%02x>", s[i]);
		s += n ? n : 1;
	}
	return buf_take(&out);
}

char *printable(const char *text)
{
	return filter(text, NULL, false);
}

char *printable_lines(const char *text, const char *indent)
{
	return filter(text, indent, false);
}

char *printable_marked(const char *text)
{
	return filter(text, "", true);
}

void text_printf(FILE *to, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	cleanup_free char *text = xvasprintf(fmt, ap);
	va_end(ap);
	cleanup_free char *clean = printable_lines(text, "");
	/* No line but the first begins as one of ours does. */
	for (const char *p = clean, *end; *p; p = end) {
		end = strchrnul(p, '\n');
		end += *end == '\n';
		if (p != clean && !strchr(" \t\n", *p))
			fputs("  ", to);
		fwrite(p, 1, (size_t)(end - p), to);
	}
}
