#include "step/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

#define MAX_DEPTH 64

static const char *blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* Each of these gives the place behind what begins at p, or NULL. */
static const char *string_end(const char *p, const char *end)
{
	if (p == end || *p++ != '"')
		return NULL;
	for (; p < end && *p != '"'; p++) {
		if ((unsigned char)*p < ' ')
			return NULL;
		if (*p == '\\' && (++p == end || !*p || !strchr("\"\\/bfnrtu", *p)))
			return NULL;
		if (*p == 'u' && p[-1] == '\\') {
			for (int i = 0; i < 4; i++)
				if (++p >= end || !isxdigit((unsigned char)*p))
					return NULL;
		}
	}
	return p < end ? p + 1 : NULL;
}

static const char *digits(const char *p, const char *end)
{
	const char *from = p;
	while (p < end && isdigit((unsigned char)*p))
		p++;
	return p > from ? p : NULL;
}

static const char *number_end(const char *p, const char *end)
{
	if (p < end && *p == '-')
		p++;
	bool zero = p < end && *p == '0';
	const char *q = digits(p, end);
	if (!q || (zero && q != p + 1))
		return NULL;
	if (q < end && *q == '.' && !(q = digits(q + 1, end)))
		return NULL;
	if (q < end && (*q == 'e' || *q == 'E')) {
		q++;
		if (q < end && (*q == '+' || *q == '-'))
			q++;
		q = digits(q, end);
	}
	return q;
}

static const char *value_end(const char *p, const char *end, int depth);

static const char *members_end(const char *p, const char *end, int depth)
{
	char close = *p == '{' ? '}' : ']';
	p = blanks(p + 1, end);
	if (p < end && *p == close)
		return p + 1;
	for (;;) {
		if (close == '}') {
			p = string_end(blanks(p, end), end);
			p = p ? blanks(p, end) : NULL;
			if (!p || p == end || *p++ != ':')
				return NULL;
		}
		p = value_end(blanks(p, end), end, depth + 1);
		p = p ? blanks(p, end) : NULL;
		if (!p || p == end)
			return NULL;
		if (*p == close)
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

static const char *value_end(const char *p, const char *end, int depth)
{
	static const char *const words[] = { "true", "false", "null" };
	if (p == end || depth > MAX_DEPTH)
		return NULL;
	if (*p == '{' || *p == '[')
		return members_end(p, end, depth);
	if (*p == '"')
		return string_end(p, end);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if ((size_t)(end - p) >= strlen(words[i]) && !memcmp(p, words[i], strlen(words[i])))
			return p + strlen(words[i]);
	return number_end(p, end);
}

struct span json_check(const char *text, size_t n)
{
	const char *end = text + n, *p = blanks(text, end), *q = value_end(p, end, 0);
	return q && blanks(q, end) == end ? (struct span){ p, (size_t)(q - p) } : (struct span){ NULL, 0 };
}

bool json_next(struct span in, size_t *at, struct span *key, struct span *value)
{
	if (!in.s || (*in.s != '{' && *in.s != '['))
		return false;
	const char *end = in.s + in.n, *p = blanks(in.s + (*at ? *at : 1), end);
	if (*p == ',')
		p = blanks(p + 1, end);
	if (*p == '}' || *p == ']')
		return false;
	if (key)
		*key = (struct span){ NULL, 0 };
	if (*in.s == '{') {
		const char *q = string_end(p, end);
		if (key)
			*key = (struct span){ p, (size_t)(q - p) };
		p = blanks(blanks(q, end) + 1, end);
	}
	const char *q = value_end(p, end, 0);
	*value = (struct span){ p, (size_t)(q - p) };
	*at = (size_t)(q - in.s);
	return true;
}

struct span json_get(struct span obj, const char *key)
{
	struct span found = { NULL, 0 }, k, v;
	size_t at = 0;
	if (!obj.s || *obj.s != '{')
		return found;
	while (json_next(obj, &at, &k, &v)) {
		char *name = json_text(k);
		if (!strcmp(name, key))
			found = v;
		free(name);
	}
	return found;
}

static unsigned hex4(const char *p)
{
	char four[5] = { p[0], p[1], p[2], p[3], 0 };
	return (unsigned)strtoul(four, NULL, 16);
}

static size_t put_utf8(char *out, unsigned c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* What stands behind "\u", surrogate pairs included; *p ends on its last digit. */
static unsigned code_point(const char **p, const char *end)
{
	unsigned c = hex4(*p + 1);
	*p += 4;
	if (c >= 0xd800 && c < 0xdc00 && end - *p > 6 && (*p)[1] == '\\' && (*p)[2] == 'u') {
		unsigned low = hex4(*p + 3);
		if (low >= 0xdc00 && low < 0xe000) {
			*p += 6;
			return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	return c >= 0xd800 && c < 0xe000 ? 0xfffd : c;
}

char *json_text(struct span v)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	if (!v.s || *v.s != '"')
		return NULL;
	char *out = xmalloc(v.n), *o = out; /* decoding never makes it longer */
	for (const char *p = v.s + 1, *end = v.s + v.n - 1; p < end; p++) {
		if (*p != '\\') {
			*o++ = *p;
		} else if (*++p == 'u') {
			o += put_utf8(o, code_point(&p, end));
		} else {
			const char *known = strchr(from, *p);
			*o++ = known ? to[known - from] : *p;
		}
	}
	*o = 0;
	return out;
}

bool json_int(struct span v, long long min, long long max, long long *out)
{
	char copy[24], *end;
	if (!v.s || v.n == 0 || v.n >= sizeof copy)
		return false;
	memcpy(copy, v.s, v.n);
	copy[v.n] = 0;
	long long n = strtoll(copy, &end, 10);
	if (*end || n < min || n > max)
		return false;
	*out = n;
	return true;
}

long long json_time(struct span v)
{
	struct tm t = { 0 };
	char *s = json_text(v);
	bool ok = s &&
		  sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min,
			 &t.tm_sec) == 6 &&
		  t.tm_year > 1970;
	free(s);
	t.tm_year -= 1900;
	t.tm_mon--;
	return ok ? (long long)timegm(&t) * 1000 : 0;
}

bool json_is(struct span v, const char *text)
{
	return v.s && v.n == strlen(text) && !memcmp(v.s, text, v.n);
}
