#include "cli/out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "cli/args.h"
#include "cli/text.h"

static ssize_t write_out(void *fd, const char *bytes, size_t n)
{
	return fd_write_all(*(const int *)fd, bytes, n) < 0 ? 0 : (ssize_t)n;
}

void out_begin(void)
{
	static const int numbers[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (fcntl(numbers[i], F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0)
			abort();
	/* stdio takes "would block" for an error and drops what it holds. */
	for (int i = 1; i <= 2; i++) {
		int flags = fcntl(i, F_GETFL);
		if (flags < 0 || !(flags & O_NONBLOCK))
			continue;
		FILE *f = fopencookie((void *)&numbers[i], "w", (cookie_io_functions_t){ .write = write_out });
		if (!f)
			abort();
		setvbuf(f, NULL, i == 2 ? _IONBF : isatty(i) ? _IOLBF : _IOFBF, 4096);
		if (i == 1)
			stdout = f;
		else
			stderr = f;
	}
}

static int broken; /* errno of the first failure of out_flush */

int out_flush(struct perry_err **err)
{
	char text[128];
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	if (!broken)
		broken = errno ? errno : EIO;
	return perry_fail(err, PERRY_EINTERNAL, "cannot write the output: %s", strerror_r(broken, text, sizeof text));
}

bool out_unread(void)
{
	return broken == EPIPE;
}

bool out_is_tty(void)
{
	return isatty(STDOUT_FILENO);
}

bool err_is_tty(void)
{
	const char *term = getenv("TERM");
	return isatty(STDERR_FILENO) && !str_eq(term, "dumb");
}

bool in_is_tty(void)
{
	return isatty(STDIN_FILENO);
}

void table_add(struct table *t, const char *cell)
{
	t->cells = xrealloc(t->cells, (size_t)(t->n + 1) * sizeof *t->cells);
	t->cells[t->n++] = printable(cell);
}

void table_addf(struct table *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	cleanup_free char *s = xvasprintf(fmt, ap);
	va_end(ap);
	table_add(t, s);
}

/* Columns that a text takes: code points, which is right for all but wide characters. */
static int width(const char *s)
{
	int n = 0;
	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

void table_print(struct table *t)
{
	int rows = t->n / t->columns;
	bool tty = out_is_tty();
	int *widths = xcalloc((size_t)t->columns, sizeof *widths);
	for (int c = 0; c < t->columns; c++)
		widths[c] = width(t->heads[c]);
	for (int i = 0; i < rows * t->columns; i++)
		if (width(t->cells[i]) > widths[i % t->columns])
			widths[i % t->columns] = width(t->cells[i]);
	for (int r = tty ? -1 : 0; r < rows; r++) {
		for (int c = 0; c < t->columns; c++) {
			const char *cell = r < 0 ? t->heads[c] : t->cells[r * t->columns + c];
			if (!tty) {
				printf("%s%s", c ? "\t" : "", cell);
				continue;
			}
			printf("%s%s", c ? "  " : "", cell);
			if (c + 1 < t->columns)
				printf("%*s", widths[c] - width(cell), "");
		}
		putchar('\n');
	}
	for (int i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	free(widths);
	*t = (struct table){ .heads = t->heads, .columns = t->columns };
}

static int pick(const cJSON *row, const char *fields, cJSON **out, struct perry_err **err)
{
	cleanup_free char *list = xstrdup(fields);
	char *save = NULL;
	cleanup_json cJSON *picked = cJSON_CreateObject();
	for (char *f = strtok_r(list, ",", &save); f; f = strtok_r(NULL, ",", &save)) {
		f = str_trim(f);
		const cJSON *v = json_at(row, f);
		if (!v) {
			cleanup_buf struct buf names = { 0 };
			const cJSON *k;
			cJSON_ArrayForEach(k, row)
				buf_addf(&names, "%s%s", names.len ? ", " : "", k->string);
			/* A field that only some rows have is null in the others. */
			if (strcmp(f, "repo") && strcmp(f, "tailscale") && strcmp(f, "startup") && strcmp(f, "error") &&
			    strcmp(f, "branch") && strcmp(f, "warnings"))
				return perry_fail(err, PERRY_EUSAGE,
						  "--json: there is no field \"%s\"\n  there are: %s", f,
						  buf_str(&names));
		}
		json_set(picked, f, v ? cJSON_Duplicate(v, 1) : cJSON_CreateNull());
	}
	*out = take_ptr(picked);
	return 0;
}

void out_data(const char *text)
{
	cleanup_free char *clean = out_is_tty() ? printable_lines(text, "") : NULL;
	fputs(clean ? clean : text, stdout);
	if (!str_ends(text, "\n"))
		putchar('\n');
}

int out_json(const struct args *a, const cJSON *value, struct perry_err **err)
{
	const char *fields = args_str(a, "json");
	cleanup_json cJSON *chosen = NULL;
	if (fields && cJSON_IsArray(value)) {
		const cJSON *row;
		chosen = cJSON_CreateArray();
		cJSON_ArrayForEach(row, value) {
			cJSON *one;
			if (pick(row, fields, &one, err) < 0)
				return -1;
			json_push(chosen, one);
		}
	} else if (fields && pick(value, fields, &chosen, err) < 0) {
		return -1;
	}
	cleanup_free char *text =
		out_is_tty() ? json_pretty(chosen ? chosen : value) : json_print(chosen ? chosen : value);
	out_data(text);
	return 0;
}

int out_answer(const struct args *a, const cJSON *value, void (*print)(const cJSON *value), struct perry_err **err)
{
	if (args_has(a, "json"))
		return out_json(a, value, err);
	print(value);
	return 0;
}

char *ask_line(const char *question, const char *dflt)
{
	char *line = NULL;
	size_t cap = 0;
	if (dflt && *dflt)
		fprintf(stderr, "%s [%s]: ", question, dflt);
	else
		fprintf(stderr, "%s: ", question);
	fflush(stderr);
	if (getline(&line, &cap, stdin) < 0) {
		free(line);
		fputc('\n', stderr);
		return NULL;
	}
	cleanup_free char *whole = line;
	char *s = str_trim(whole);
	return xstrdup(*s ? s : dflt ? dflt : "");
}

bool ask_yes(const struct args *a, const char *question)
{
	if (a && args_has(a, "yes"))
		return true;
	if (!in_is_tty())
		return false;
	cleanup_free char *q = xasprintf("%s [y/N]", question);
	cleanup_free char *line = ask_line(q, NULL);
	return line && (line[0] == 'y' || line[0] == 'Y');
}

char *read_stdin_line(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n = getline(&line, &cap, stdin);
	if (n < 0) {
		free(line);
		return xstrdup("");
	}
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = '\0';
	return line;
}
