#include "base/utf8.h"

#include <stdint.h>

/* Length of the valid UTF-8 sequence at s, 0 when there is none. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
	if (n == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	size_t k;
	uint32_t cp, min;
	if ((s[0] & 0xe0) == 0xc0) {
		k = 2, cp = s[0] & 0x1fu, min = 0x80;
	} else if ((s[0] & 0xf0) == 0xe0) {
		k = 3, cp = s[0] & 0x0fu, min = 0x800;
	} else if ((s[0] & 0xf8) == 0xf0) {
		k = 4, cp = s[0] & 0x07u, min = 0x10000;
	} else {
		return 0;
	}
	if (n < k)
		return 0;
	for (size_t i = 1; i < k; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (s[i] & 0x3fu);
	}
	if (cp < min || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	return k;
}

bool utf8_valid(const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t k = utf8_len((const unsigned char *)s + i, n - i);
		if (k == 0)
			return false;
		i += k;
	}
	return true;
}

void utf8_scrub(struct buf *out, const char *s, size_t n)
{
	size_t good = 0, i = 0;
	if (n == 0)
		return;
	while (i < n) {
		size_t k = utf8_len((const unsigned char *)s + i, n - i);
		if (k) {
			i += k;
			continue;
		}
		buf_add(out, s + good, i - good);
		buf_add(out, "\xef\xbf\xbd", 3);
		good = ++i;
	}
	buf_add(out, s + good, n - good);
}

size_t utf8_unshown(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	if (*p && (*p < ' ' || *p == 0x7f))
		return 1;
	if ((p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xd8 && p[1] == 0x9c)) /* U+0080 to U+009F, U+061C */
		return 2;
	/* U+200B to U+200F, U+2028 to U+202E, U+2060 to U+206F, U+FEFF */
	if (p[0] == 0xe2 && p[1] == 0x80 && ((p[2] >= 0x8b && p[2] <= 0x8f) || (p[2] >= 0xa8 && p[2] <= 0xae)))
		return 3;
	if ((p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa0 && p[2] <= 0xaf) ||
	    (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf))
		return 3;
	return 0;
}
