#include "base/quote.h"

#include <string.h>

#include "base/utf8.h"

void shell_quote(struct buf *out, const char *s)
{
	buf_addc(out, '\'');
	for (; *s; s++) {
		if (*s == '\'')
			buf_adds(out, "'\\''");
		else
			buf_addc(out, *s);
	}
	buf_addc(out, '\'');
}

void json_quote(struct buf *out, const char *s, size_t n)
{
	cleanup_buf struct buf clean = { 0 };
	if (!utf8_valid(s, n)) {
		utf8_scrub(&clean, s, n);
		s = clean.data;
		n = clean.len;
	}
	buf_addc(out, '"');
	size_t done = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
		const char *at = c ? strchr(from, c) : NULL;
		buf_add(out, s + done, i - done);
		if (at)
			buf_add(out, (char[]){ '\\', to[at - from] }, 2);
		else
			buf_addf(out, "\\u%04x", c);
		done = i + 1;
	}
	buf_add(out, s + done, n - done);
	buf_addc(out, '"');
}

void json_quote_str(struct buf *out, const char *s)
{
	json_quote(out, s ? s : "", s ? strlen(s) : 0);
}
