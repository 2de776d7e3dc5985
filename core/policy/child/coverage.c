#include "policy/child/coverage.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Lua says which lines of a function have code only when that function exists; one that no test calls never does. So
 * the lines are read from what lua_dump writes of the whole file (Lua 5.4's ldump.c), of text that we have just
 * compiled ourselves. */
#define MAX_LINES 20000
#define NO_CODE   ' '
#define NOT_RUN   '-'
#define RUN       '+'

struct cover {
	struct cover *next;
	char *file;
	char *lines; /* one character for each line; line 1 is lines[1] */
	size_t n;
};

static struct cover *cover_of(struct host *h, const char *file, bool make)
{
	struct cover *c = h->cover;
	while (c && strcmp(c->file, file) != 0)
		c = c->next;
	if (c || !make)
		return c;
	c = xcalloc(1, sizeof *c);
	c->file = xstrdup(file);
	c->next = h->cover;
	h->cover = c;
	return c;
}

static void mark(struct cover *c, int line, char how)
{
	if (line <= 0 || line >= MAX_LINES)
		return;
	if ((size_t)line >= c->n) {
		c->lines = xrealloc(c->lines, (size_t)line + 2);
		memset(c->lines + c->n, NO_CODE, (size_t)line + 1 - c->n);
		c->n = (size_t)line + 1;
		c->lines[c->n] = 0;
	}
	if (c->lines[line] != RUN)
		c->lines[line] = how;
}

/* -- what lua_dump writes -- */

struct dump {
	struct buf bytes;
	size_t at;
	bool short_of; /* not as expected: nothing more is read */
	struct cover *to;
};

static int writer(lua_State *L, const void *p, size_t n, void *to)
{
	(void)L;
	buf_add(to, p, n);
	return 0;
}

static const unsigned char *take(struct dump *d, size_t n)
{
	if (d->short_of || n > d->bytes.len - d->at) {
		d->short_of = true;
		return NULL;
	}
	const unsigned char *p = (const unsigned char *)d->bytes.data + d->at;
	d->at += n;
	return p;
}

static int byte(struct dump *d)
{
	const unsigned char *p = take(d, 1);
	return p ? *p : 0;
}

/* Seven bits a byte, the highest first; the last has bit 8. */
static size_t number(struct dump *d)
{
	size_t v = 0;
	for (int i = 0; i < 10 && !d->short_of; i++) {
		int b = byte(d);
		v = v << 7 | (size_t)(b & 0x7f);
		if (b & 0x80)
			return v;
	}
	d->short_of = true;
	return 0;
}

static void text(struct dump *d)
{
	size_t n = number(d);
	if (n > 1)
		take(d, n - 1);
}

static void constants(struct dump *d)
{
	for (size_t n = number(d); n && !d->short_of; n--) {
		int type = byte(d) & 0x0f;
		if (type == LUA_TNUMBER)
			take(d, sizeof(lua_Number));
		else if (type == LUA_TSTRING)
			text(d);
	}
}

#define OP_TAILCALL 69 /* lopcodes.h of Lua 5.4 */

/* The first instruction of a function with "...", the return at its end and those behind tail calls are the compiler's
 * own. */
static bool compilers_own(const unsigned char *code, size_t i, size_t n, bool vararg)
{
	return (vararg && i == 0) || i + 1 == n || (i && (code[4 * (i - 1)] & 0x7f) == OP_TAILCALL);
}

static void lines(struct dump *d, const unsigned char *code, size_t size, int defined, bool vararg)
{
	size_t n = number(d);
	const unsigned char *info = take(d, n);
	size_t absolute = number(d);
	int line = defined;
	for (size_t i = 0, next = d->at; i < n && info && code && n == size; i++) {
		if ((signed char)info[i] == -0x80 &&
		    absolute) { /* too far for a byte: the next pair of the other list */
			d->at = next;
			number(d);
			line = (int)number(d);
			next = d->at;
			absolute--;
		} else {
			line += (signed char)info[i];
		}
		if (!compilers_own(code, i, n, vararg))
			mark(d->to, line, NOT_RUN);
		d->at = next;
	}
	for (; absolute && !d->short_of; absolute--) {
		number(d);
		number(d);
	}
	for (n = number(d); n && !d->short_of; n--) { /* local variables */
		text(d);
		number(d);
		number(d);
	}
	for (n = number(d); n && !d->short_of; n--) /* upvalues */
		text(d);
}

static void function(struct dump *d, int depth)
{
	if (depth > 100)
		d->short_of = true;
	text(d); /* source */
	int defined = (int)number(d);
	number(d);
	byte(d);
	bool vararg = byte(d) != 0;
	byte(d);
	size_t size = number(d);
	const unsigned char *code = take(d, size * 4);
	constants(d);
	size_t n = number(d);
	take(d, n * 3);
	for (n = number(d); n && !d->short_of; n--)
		function(d, depth + 1);
	if (!d->short_of)
		lines(d, code, size, defined, vararg);
}

/* The function that was just compiled from file is on top of the stack. */
void coverage_loaded(lua_State *L, const char *file)
{
	const struct layer *layer = layer_of(L);
	struct host *h = layer->host;
	static const size_t header = 4 + 1 + 1 + 6 + 3 + sizeof(lua_Integer) + sizeof(lua_Number);
	if (!h->coverage || strcmp(h->coverage, layer->name) != 0 || cover_of(h, file, false))
		return;
	struct dump d = { .to = cover_of(h, file, true) };
	if (lua_dump(L, writer, &d.bytes, 0) == 0 && d.bytes.len > header + 1) {
		d.at = header + 1; /* and the number of its upvalues */
		function(&d, 0);
	}
	buf_free(&d.bytes);
}

void coverage_ran(struct host *h, const char *file, int line)
{
	struct cover *c = cover_of(h, file, false);
	if (c && line > 0 && (size_t)line < c->n && c->lines[line] == NOT_RUN)
		c->lines[line] = RUN;
}

/* {file: " --+"}, or NULL when nobody asked. */
cJSON *coverage_json(const struct host *h)
{
	cJSON *out = h->coverage ? cJSON_CreateObject() : NULL;
	for (const struct cover *c = h->cover; out && c; c = c->next)
		json_set_str(out, c->file, c->n ? c->lines : "");
	return out;
}

void coverage_free(struct host *h)
{
	while (h->cover) {
		struct cover *c = h->cover;
		h->cover = c->next;
		free(c->file);
		free(c->lines);
		free(c);
	}
}
