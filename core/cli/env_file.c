#include "cli/env_file.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

struct reader {
	const char *name;
	char *at; /* what is left, NULL at the end */
	int line;
};

static char *next_line(struct reader *r)
{
	char *line = strsep(&r->at, "\n");
	if (!line)
		return NULL;
	r->line++;
	size_t n = strlen(line);
	if (n && line[n - 1] == '\r')
		line[n - 1] = 0;
	return line;
}

/* The rest of a value whose quote is still open after its first line, whose blanks at the end belong to it. */
static int read_lines(struct reader *r, const char *first, char quote, struct buf *out, struct perry_err **err)
{
	int began = r->line;
	buf_adds(out, first);
	for (char *line; (line = next_line(r));) {
		buf_addc(out, '\n');
		char *end = strchr(line, quote);
		if (!end) {
			buf_adds(out, line);
			continue;
		}
		buf_add(out, line, (size_t)(end - line));
		if (*str_trim(end + 1))
			return perry_fail(err, PERRY_EINPUT, "%s:%d: nothing may follow the quote that ends a value",
					  r->name, r->line);
		return 0;
	}
	return perry_fail(err, PERRY_EINPUT, "%s:%d: the quote that begins here has no end", r->name, began);
}

static int read_assignment(struct reader *r, char *line, cJSON *into, struct perry_err **err)
{
	char *eq = strchr(line, '=');
	if (!eq || eq == line)
		return perry_fail(err, PERRY_EINPUT, "%s:%d: expected KEY=VALUE", r->name, r->line);
	*eq = 0;
	line = str_trim(line);
	char *value = eq + 1;
	bool quoted = *value == '"' || *value == '\'';
	cleanup_free char *whole = xstrdup(value);
	char *v = str_trim(value);
	size_t n = strlen(v);
	if (quoted && n >= 2 && v[n - 1] == *v) {
		v[n - 1] = 0;
		json_set_str(into, line, v + 1);
		return 0;
	}
	if (!quoted) {
		json_set_str(into, line, v);
		return 0;
	}
	cleanup_buf struct buf lines = { 0 };
	if (read_lines(r, whole + 1, *whole, &lines, err) < 0)
		return -1;
	json_set_str(into, line, buf_str(&lines));
	return 0;
}

int env_file_parse(const char *name, const char *text, size_t n, cJSON *into, struct perry_err **err)
{
	static const char mark[] = "\xef\xbb\xbf"; /* that Windows puts before UTF-8 */
	if (n >= sizeof mark - 1 && memcmp(text, mark, sizeof mark - 1) == 0) {
		text += sizeof mark - 1;
		n -= sizeof mark - 1;
	}
	if (memchr(text, 0, n) || !utf8_valid(text, n))
		return perry_fail(err, PERRY_EINPUT, "%s: expected text in UTF-8", name);
	cleanup_free char *copy = xstrndup(text, n);
	struct reader r = { .name = name, .at = copy };
	for (char *line; (line = next_line(&r));) {
		while (*line == ' ' || *line == '\t')
			line++;
		if (str_starts(line, "export "))
			line += strspn(line + 7, " \t") + 7;
		if (!*line || *line == '#' || !line[strspn(line, " \t")])
			continue;
		if (read_assignment(&r, line, into, err) < 0)
			return -1;
	}
	return 0;
}
