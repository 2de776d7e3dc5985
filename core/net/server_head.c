/* Judging request heads before libmicrohttpd sees them. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "net/server_priv.h"

#define MAX_LINES 100

static bool is_token(unsigned char c)
{
	return c < 0x80 && (isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c)));
}

static int bad(const char **text, const char *what)
{
	*text = what;
	return 400;
}

/* "METHOD SP target SP HTTP/1.x", without its line end. */
static int judge_request_line(const char *line, size_t n, const char **text)
{
	const char *end = line + n, *p = line;
	while (p < end && is_token((unsigned char)*p))
		p++;
	if (p == line || p == end || *p != ' ' || p - line > 32)
		return bad(text, "malformed request line");
	const char *target = ++p;
	while (p < end && (unsigned char)*p > ' ' && *p != 0x7f)
		p++;
	if (p == target || p == end || *p != ' ')
		return bad(text, "malformed request line");
	size_t len = (size_t)(p - target);
	if (*target != '/' && !(len == 1 && *target == '*') && !(len > 7 && strncasecmp(target, "http://", 7) == 0))
		return bad(text, "malformed request target");
	p++;
	if (end - p == 8 && (memcmp(p, "HTTP/1.1", 8) == 0 || memcmp(p, "HTTP/1.0", 8) == 0))
		return 0;
	return bad(text, "unsupported HTTP version");
}

static int judge_header_line(const char *line, size_t n, const char **text)
{
	size_t name = 0;
	while (name < n && is_token((unsigned char)line[name]))
		name++;
	if (!name || name == n || line[name] != ':')
		return bad(text, "malformed header line");
	for (size_t i = name + 1; i < n; i++)
		if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
			return bad(text, "control character in a header");
	if (name == 14 && strncasecmp(line, "content-length", 14) == 0) {
		size_t at = name + 1, end = n;
		while (at < end && (line[at] == ' ' || line[at] == '\t'))
			at++;
		while (end > at && (line[end - 1] == ' ' || line[end - 1] == '\t'))
			end--;
		if (at == end || end - at > 18 || strspn(line + at, "0123456789") < end - at)
			return bad(text, "malformed Content-Length");
	}
	return 0;
}

int head_judge(const char *bytes, size_t n, size_t max_head, const char **text)
{
	int lines = 0;
	size_t at = 0;
	*text = NULL;
	/* What cannot begin a method is no HTTP at all (TLS, HTTP/2, noise): no reason to wait for a line end. */
	if (n && !is_token((unsigned char)bytes[0]))
		return bad(text, "not an HTTP/1 request");
	for (;;) {
		const char *nl = at < n ? memchr(bytes + at, '\n', n - at) : NULL;
		if (!nl || (size_t)(nl + 1 - bytes) > max_head) {
			if (n <= max_head && !nl)
				return 0;
			*text = "request header too large";
			return 431;
		}
		size_t len = (size_t)(nl - bytes) - at;
		if (!len || bytes[at + len - 1] != '\r')
			return bad(text, "line without CR LF");
		len--;
		if (lines && !len)
			return 1;
		int status =
			lines ? judge_header_line(bytes + at, len, text) : judge_request_line(bytes + at, len, text);
		if (status)
			return status;
		if (++lines > MAX_LINES) {
			*text = "too many header lines";
			return 431;
		}
		at = (size_t)(nl + 1 - bytes);
	}
}

void head_target(const char *text, struct target *out)
{
	*out = (struct target){ 0 };
	/* A proxy's form. What follows the authority may be a query without a path. */
	if (strncasecmp(text, "http://", 7) == 0) {
		out->authority = text + 7;
		out->authority_len = strcspn(out->authority, "/?#");
		text = out->authority + out->authority_len;
	}
	out->path = text;
	out->path_len = strcspn(text, "?#");
	text += out->path_len;
	if (*text == '?') {
		out->query = text + 1;
		out->query_len = strcspn(out->query, "#");
	}
}

bool head_has_token(const char *value, const char *token)
{
	size_t len = strlen(token);
	for (const char *p = value; p && *p;) {
		p += strspn(p, " \t,");
		size_t n = strcspn(p, ","), item = n;
		while (item && (p[item - 1] == ' ' || p[item - 1] == '\t'))
			item--;
		if (item == len && strncasecmp(p, token, len) == 0)
			return true;
		p += n;
	}
	return false;
}
