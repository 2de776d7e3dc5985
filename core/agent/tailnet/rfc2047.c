#include "agent/tailnet/rfc2047.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/percent.h"
#include "base/utf8.h"

static bool decode_q(struct buf *out, const char *p, const char *end)
{
	for (; p < end; p++) {
		if (*p != '=') {
			buf_addc(out, *p == '_' ? ' ' : *p);
			continue;
		}
		int high = end - p > 2 ? hex_value(p[1]) : -1, low = end - p > 2 ? hex_value(p[2]) : -1;
		if (high < 0 || low < 0 || high + low == 0)
			return false;
		buf_addc(out, (char)(high * 16 + low));
		p += 2;
	}
	return true;
}

/* One "=?utf-8?q?...?=" at p; its end, or NULL when there is none. */
static const char *decode_word(struct buf *out, const char *p)
{
	if (strncasecmp(p, "=?utf-8?", 8) != 0 || !p[8] || p[9] != '?')
		return NULL;
	const char *text = p + 10, *end = strstr(text, "?=");
	if (!end || memchr(text, ' ', (size_t)(end - text)))
		return NULL;
	size_t before = out->len;
	bool ok = p[8] == 'q' || p[8] == 'Q'   ? decode_q(out, text, end)
		  : p[8] == 'b' || p[8] == 'B' ? base64_decode(out, text, (size_t)(end - text)) == 0
					       : false;
	if (ok && utf8_valid(buf_str(out) + before, out->len - before) &&
	    !memchr(buf_str(out) + before, 0, out->len - before))
		return end + 2;
	if (out->data) {
		out->len = before;
		out->data[before] = 0;
	}
	return NULL;
}

char *rfc2047_decode(const char *text)
{
	struct buf out = { 0 };
	bool after_word = false;
	for (const char *p = text; *p;) {
		/* Blanks between two encoded words are no text: a long name is cut into several. */
		const char *q = p + strspn(p, " \t"), *end = decode_word(&out, after_word ? q : p);
		after_word = end;
		if (end)
			p = end;
		else
			buf_addc(&out, *p++);
	}
	return buf_take(&out);
}
