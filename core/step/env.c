/* The environment of a workspace: /run/perry/env, which a shell can source and we can read without one. */
#include "step/step.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/quote.h"

static size_t name_length(const char *s)
{
	size_t n = 0;
	while (isalnum((unsigned char)s[n]) || s[n] == '_')
		n++;
	return isdigit((unsigned char)s[0]) ? 0 : n;
}

static size_t find(const struct vars *e, const char *name, size_t len)
{
	size_t i = 0;
	while (i < e->n && (strncmp(e->v[i], name, len) || e->v[i][len] != '='))
		i++;
	return i;
}

static void put(struct vars *e, char *take, size_t name_len)
{
	size_t i = find(e, take, name_len);
	if (i < e->n) {
		free(e->v[i]);
		e->v[i] = take;
		return;
	}
	e->v = xrealloc(e->v, (e->n + 2) * sizeof *e->v);
	e->v[e->n++] = take;
	e->v[e->n] = NULL;
}

void vars_copy(struct vars *e, char **from)
{
	if (!e->v) {
		e->v = xmalloc(sizeof *e->v);
		e->v[0] = NULL;
	}
	for (; *from; from++)
		if (strchr(*from, '='))
			put(e, xstrdup(*from), strcspn(*from, "="));
}

void vars_set(struct vars *e, const char *name, const char *value)
{
	put(e, xasprintf("%s=%s", name, value), strlen(name));
}

const char *vars_get(const struct vars *e, const char *name)
{
	size_t len = strlen(name), i = find(e, name, len);
	return i < e->n ? e->v[i] + len + 1 : NULL;
}

/* One word of shell text up to its newline: 'quoted' parts, \x outside of them, other bytes as they are. Unquotes in
 * place; NULL when a quote stays open. */
static char *unquote(char *s, char **end)
{
	char *out = s;
	bool quoted = false;
	for (; *s && (quoted || *s != '\n'); s++) {
		if (*s == '\'')
			quoted = !quoted;
		else if (*s == '\\' && !quoted && s[1])
			*out++ = *++s;
		else
			*out++ = *s;
	}
	if (quoted)
		return NULL;
	*end = *s ? s + 1 : s;
	*out = 0;
	return out;
}

static int line_of(const char *text, const char *at)
{
	int line = 1;
	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

int vars_load(struct vars *e, const char *path, char **problem)
{
	size_t len;
	char *text = read_file(path, &len), *next = text;
	*problem = NULL;
	if (!text && errno == ENOENT)
		return 0;
	if (!text) {
		*problem = xasprintf("%s: %s", path, strerror(errno));
		return -1;
	}
	if (strlen(text) != len) {
		*problem = xasprintf("%s:%d: a NUL byte", path, line_of(text, text + strlen(text)));
		free(text);
		return -1;
	}
	char *whole = xstrdup(text); /* unquoting writes into the other copy; lines are counted in this one */
	for (char *p = text; *p; p = next) {
		if (*p == '\n' || *p == '#') {
			next = p + strcspn(p, "\n");
			next += *next == '\n';
			continue;
		}
		size_t n = name_length(p);
		if (n == 0 || p[n] != '=')
			*problem = xasprintf("%s:%d: expected NAME='value'", path, line_of(whole, whole + (p - text)));
		else if (!unquote(p + n + 1, &next))
			*problem = xasprintf("%s:%d: a quote is not closed", path, line_of(whole, whole + (p - text)));
		if (*problem)
			break;
		put(e, xstrdup(p), n);
	}
	free(whole);
	free(text);
	return *problem ? -1 : 0;
}

int vars_save(const struct vars *e, const char *path, mode_t mode)
{
	struct buf text = { 0 };
	for (size_t i = 0; i < e->n; i++) {
		size_t len = name_length(e->v[i]);
		if (len == 0 || e->v[i][len] != '=')
			continue; /* no shell could take it */
		buf_add(&text, e->v[i], len + 1);
		shell_quote(&text, e->v[i] + len + 1);
		buf_addc(&text, '\n');
	}
	int rc = put_file(path, buf_str(&text), mode);
	buf_free(&text);
	return rc;
}
