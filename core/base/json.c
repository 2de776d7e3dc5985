#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define MAX_EXACT 0x1p53 /* up to here a double holds every whole number */

/* cJSON gives NULL when memory ends; here that ends the process, as everywhere else. */
__attribute__((constructor)) static void abort_without_memory(void)
{
	cJSON_Hooks hooks = { .malloc_fn = xmalloc, .free_fn = free };
	cJSON_InitHooks(&hooks);
}

static void write_number(struct buf *out, double v)
{
	char text[40];
	if (!isfinite(v)) {
		buf_adds(out, "null");
		return;
	}
	if (v == floor(v) && fabs(v) <= MAX_EXACT) {
		buf_addf(out, "%lld", (long long)v);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back as the same */
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	for (char *p = text; *p; p++)
		if (*p == ',') /* a locale's decimal point */
			*p = '.';
	buf_adds(out, text);
}

struct style {
	bool sorted, pretty;
};

struct keyed {
	const cJSON *member;
	size_t place; /* equal keys keep their order */
};

static int by_key(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	int d = strcmp(x->member->string ? x->member->string : "", y->member->string ? y->member->string : "");
	return d ? d : (x->place > y->place) - (x->place < y->place);
}

static void write_value(struct buf *out, const cJSON *j, struct style style, int level);

static void new_line(struct buf *out, struct style style, int level)
{
	if (!style.pretty)
		return;
	buf_addc(out, '\n');
	for (int i = 0; i < level; i++)
		buf_adds(out, "  ");
}

static void write_member(struct buf *out, const cJSON *m, bool named, struct style style, int level, bool first)
{
	if (!first)
		buf_addc(out, ',');
	new_line(out, style, level);
	if (named) {
		json_quote_str(out, m->string);
		buf_adds(out, style.pretty ? ": " : ":");
	}
	write_value(out, m, style, level);
}

static void write_members(struct buf *out, const cJSON *j, bool named, struct style style, int level)
{
	buf_addc(out, named ? '{' : '[');
	if (named && style.sorted && j->child) {
		size_t n = 0;
		for (const cJSON *m = j->child; m; m = m->next)
			n++;
		cleanup_free struct keyed *sorted = xcalloc(n, sizeof *sorted);
		n = 0;
		for (const cJSON *m = j->child; m; m = m->next, n++)
			sorted[n] = (struct keyed){ m, n };
		qsort(sorted, n, sizeof *sorted, by_key);
		for (size_t i = 0; i < n; i++)
			write_member(out, sorted[i].member, named, style, level + 1, i == 0);
	} else {
		for (const cJSON *m = j->child; m; m = m->next)
			write_member(out, m, named, style, level + 1, m == j->child);
	}
	if (j->child)
		new_line(out, style, level);
	buf_addc(out, named ? '}' : ']');
}

static void write_value(struct buf *out, const cJSON *j, struct style style, int level)
{
	switch (j ? j->type & 0xff : cJSON_NULL) {
	case cJSON_True:
		buf_adds(out, "true");
		break;
	case cJSON_False:
		buf_adds(out, "false");
		break;
	case cJSON_Number:
		write_number(out, j->valuedouble);
		break;
	case cJSON_String:
		json_quote_str(out, j->valuestring);
		break;
	case cJSON_Array:
		write_members(out, j, false, style, level);
		break;
	case cJSON_Object:
		write_members(out, j, true, style, level);
		break;
	default: /* null, and cJSON's raw text, which nobody vouches for */
		buf_adds(out, "null");
	}
}

static char *print(const cJSON *j, struct style style)
{
	struct buf out = { 0 };
	write_value(&out, j, style, 0);
	if (style.pretty)
		buf_addc(&out, '\n');
	return buf_take(&out);
}

char *json_print(const cJSON *j)
{
	return print(j, (struct style){ 0 });
}

char *json_canonical(const cJSON *j)
{
	return print(j, (struct style){ .sorted = true });
}

char *json_pretty(const cJSON *j)
{
	return print(j, (struct style){ .pretty = true });
}

bool json_equal(const cJSON *a, const cJSON *b)
{
	if (!a || !b)
		return a == b;
	cleanup_free char *x = json_canonical(a); /* cJSON_Compare takes 2^53 and 2^53 - 1 for equal */
	cleanup_free char *y = json_canonical(b);
	return strcmp(x, y) == 0;
}
