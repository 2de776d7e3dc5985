/* The grammar is checked here, with positions and limits; cJSON is lenient and says little, it only makes the tree. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

struct scan {
	const char *text, *p, *end;
	const char *what;
	struct perry_err **err;
	int depth;
};

struct place {
	int line, column; /* columns count characters, as editors do */
};

static struct place place_of(const char *text, const char *at)
{
	struct place place = { 1, 1 };
	for (const char *p = text; p < at; p++) {
		if (*p == '\n') {
			place.line++;
			place.column = 1;
		} else if (((unsigned char)*p & 0xc0) != 0x80) {
			place.column++;
		}
	}
	return place;
}

__attribute__((format(printf, 3, 4))) static int fail_at(struct scan *s, const char *at, const char *fmt, ...)
{
	struct place place = place_of(s->text, at);
	va_list ap;
	va_start(ap, fmt);
	cleanup_free char *msg = xvasprintf(fmt, ap);
	va_end(ap);
	return perry_fail(s->err, PERRY_EINPUT, "%s:%d:%d: %s", s->what, place.line, place.column, msg);
}

static int unexpected(struct scan *s, const char *expected)
{
	if (s->p >= s->end)
		return fail_at(s, s->p, "unexpected end, expected %s", expected);
	unsigned char c = (unsigned char)*s->p;
	if (c == '/' || c == '#')
		return fail_at(s, s->p, "expected %s (JSON has no comments)", expected);
	if (c == '\'')
		return fail_at(s, s->p, "expected %s (strings need double quotes)", expected);
	if (c > 0x20 && c < 0x7f)
		return fail_at(s, s->p, "unexpected '%c', expected %s", c, expected);
	return fail_at(s, s->p, "unexpected byte 0x%02x, expected %s", c, expected);
}

static void skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static bool take(struct scan *s, char c)
{
	if (s->p >= s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

/* The four hex digits after \u, or -1. */
static int hex4(struct scan *s)
{
	int v = 0;
	if (s->end - s->p < 4)
		return -1;
	for (int i = 0; i < 4; i++, s->p++) {
		int c = (unsigned char)*s->p;
		if (!isxdigit(c))
			return -1;
		v = v * 16 + (isdigit(c) ? c - '0' : (c | 32) - 'a' + 10);
	}
	return v;
}

static int scan_escape(struct scan *s)
{
	const char *start = s->p++;
	if (s->p >= s->end)
		return fail_at(s, s->p, "unexpected end in a string");
	char c = *s->p++;
	if (c != 'u')
		return c && strchr("\"\\/bfnrt", c) ? 0 : fail_at(s, start, "unknown escape in a string");
	int v = hex4(s);
	if (v < 0)
		return fail_at(s, start, "\\u needs four hexadecimal digits");
	if (v == 0)
		return fail_at(s, start, "\\u0000 is not allowed in a string");
	if (v < 0xd800 || v > 0xdfff)
		return 0;
	if (v < 0xdc00 && take(s, '\\') && take(s, 'u')) {
		int low = hex4(s);
		if (low >= 0xdc00 && low <= 0xdfff)
			return 0;
	}
	return fail_at(s, start, "half of a surrogate pair in a string");
}

static int scan_string(struct scan *s)
{
	const char *start = s->p++;
	while (s->p < s->end) {
		unsigned char c = (unsigned char)*s->p;
		if (c == '"') {
			s->p++;
			return 0;
		}
		if (c == '\\') {
			if (scan_escape(s) < 0)
				return -1;
		} else if (c < 0x20) {
			return fail_at(s, s->p, "%s in a string, write it as an escape",
				       c == '\n' ? "line break" : "control character");
		} else {
			s->p++;
		}
	}
	return fail_at(s, start, "string without an end");
}

static bool scan_digits(struct scan *s)
{
	const char *start = s->p;
	while (s->p < s->end && isdigit((unsigned char)*s->p))
		s->p++;
	return s->p > start;
}

static int scan_number(struct scan *s)
{
	const char *start = s->p;
	take(s, '-');
	const char *first = s->p;
	if (!scan_digits(s))
		return unexpected(s, "a digit");
	if (*first == '0' && s->p > first + 1)
		return fail_at(s, start, "a number may not start with 0");
	if (take(s, '.') && !scan_digits(s))
		return unexpected(s, "a digit");
	if (take(s, 'e') || take(s, 'E')) {
		if (!take(s, '-'))
			take(s, '+');
		if (!scan_digits(s))
			return unexpected(s, "a digit");
	}
	/* cJSON reads at most 63 characters of a number, and takes infinity for one. */
	char text[64];
	size_t n = (size_t)(s->p - start);
	if (n >= sizeof text)
		return fail_at(s, start, "number of more than %zu characters", sizeof text - 1);
	memcpy(text, start, n);
	text[n] = '\0';
	if (!isfinite(strtod(text, NULL)))
		return fail_at(s, start, "number out of range");
	return 0;
}

static int scan_word(struct scan *s)
{
	static const char *const words[] = { "true", "false", "null" };
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i]);
		if ((size_t)(s->end - s->p) >= n && memcmp(s->p, words[i], n) == 0) {
			s->p += n;
			return 0;
		}
	}
	return unexpected(s, "a value");
}

static int scan_value(struct scan *s);

static int scan_member(struct scan *s, bool named)
{
	if (!named)
		return scan_value(s);
	if (s->p >= s->end || *s->p != '"')
		return unexpected(s, "a key in double quotes");
	if (scan_string(s) < 0)
		return -1;
	skip_space(s);
	if (!take(s, ':'))
		return unexpected(s, "':'");
	return scan_value(s);
}

static int scan_members(struct scan *s, bool named)
{
	char close = named ? '}' : ']';
	if (++s->depth > JSON_MAX_DEPTH) {
		fail_at(s, s->p, "more than %d levels", JSON_MAX_DEPTH);
		if (s->err)
			(*s->err)->code = PERRY_ETOOLARGE;
		return -1;
	}
	s->p++;
	skip_space(s);
	if (take(s, close)) {
		s->depth--;
		return 0;
	}
	for (;;) {
		if (scan_member(s, named) < 0)
			return -1;
		skip_space(s);
		if (take(s, close))
			break;
		const char *comma = s->p;
		if (!take(s, ','))
			return unexpected(s, named ? "',' or '}'" : "',' or ']'");
		skip_space(s);
		if (s->p < s->end && *s->p == close)
			return fail_at(s, comma, "comma after the last %s", named ? "member" : "element");
	}
	s->depth--;
	return 0;
}

static int scan_value(struct scan *s)
{
	skip_space(s);
	if (s->p >= s->end)
		return unexpected(s, "a value");
	switch (*s->p) {
	case '{':
		return scan_members(s, true);
	case '[':
		return scan_members(s, false);
	case '"':
		return scan_string(s);
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return scan_number(s);
	default:
		return scan_word(s);
	}
}

static int scan_utf8(struct scan *s)
{
	if (utf8_valid(s->p, (size_t)(s->end - s->p)))
		return 0;
	const char *p = s->p;
	while (p < s->end) { /* the first byte that starts no valid sequence */
		size_t left = (size_t)(s->end - p), k = 1;
		while (k <= 4 && k <= left && !utf8_valid(p, k))
			k++;
		if (k > 4 || k > left)
			break;
		p += k;
	}
	return fail_at(s, p, "invalid UTF-8");
}

/* Of the byte order mark, which some editors leave. */
static size_t bom_len(const char *text, size_t n)
{
	return n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

cJSON *json_parse(const char *text, size_t n, const char *what, struct perry_err **err)
{
	size_t bom = bom_len(text, n);
	n -= bom;
	text = n ? text + bom : "";
	struct scan s = { .text = text, .p = text, .end = text + n, .what = what ? what : "JSON", .err = err };
	if (scan_utf8(&s) < 0 || scan_value(&s) < 0)
		return NULL;
	skip_space(&s);
	if (s.p < s.end) {
		fail_at(&s, s.p, "text after the end of the value");
		return NULL;
	}
	cJSON *j = cJSON_ParseWithLength(text, n);
	if (!j)
		perry_fail(err, PERRY_EINPUT, "%s: not JSON", s.what);
	return j;
}

/* To the value of a key, or of a place in a list; false when there is none. */
static bool enter_key(struct scan *s, const char *key, size_t n)
{
	for (bool in = take(s, '{'); in; in = take(s, ',')) {
		skip_space(s);
		const char *name = s->p;
		if (name >= s->end || *name != '"' || scan_string(s) < 0)
			return false;
		bool same = (size_t)(s->p - name) == n + 2 && memcmp(name + 1, key, n) == 0;
		skip_space(s);
		if (!take(s, ':'))
			return false;
		skip_space(s);
		if (same)
			return true;
		if (scan_value(s) < 0)
			return false;
		skip_space(s);
	}
	return false;
}

static bool enter_place(struct scan *s, long place)
{
	for (bool in = take(s, '['); in; in = take(s, ','), place--) {
		skip_space(s);
		if (s->p >= s->end || *s->p == ']')
			return false;
		if (place == 0)
			return true;
		if (scan_value(s) < 0)
			return false;
		skip_space(s);
	}
	return false;
}

int json_line(const char *text, size_t n, const char *path)
{
	size_t bom = bom_len(text, n);
	struct scan s = { .text = text, .p = text + bom, .end = text + n };
	skip_space(&s);
	const char *at = s.p;
	while (*path) {
		bool place = *path == '[';
		path += place || *path == '.';
		size_t len = strcspn(path, place ? "]" : ".[");
		if (!(place ? enter_place(&s, strtol(path, NULL, 10)) : enter_key(&s, path, len)))
			break;
		at = s.p;
		path += len + (path[len] == ']');
	}
	return place_of(text, at).line;
}
