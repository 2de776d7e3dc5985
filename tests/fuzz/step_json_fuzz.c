/* perry-step's JSON: whatever is taken for a value agrees with cJSON, and walking through it stays inside. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "step/json.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* perry-step is no module: the two helpers that its JSON uses, as util.c has them. */
void die(int code, const char *fmt, ...)
{
	(void)fmt;
	exit(code);
}
void *xrealloc(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);
	if (!q)
		abort();
	return q;
}

static void walk(struct span v, int depth)
{
	struct span key, value;
	size_t at = 0;
	struct text out = { 0 };
	char *s = json_str(v);
	long long n;
	if (s) {
		text_quote(&out, s);
		struct span again = json_check(out.s, out.n);
		char *t = json_str(again);
		if (!t)
			abort();
		free(t);
	}
	free(s);
	free(out.s);
	json_int(v, -1000, 1000, &n);
	while (json_next(v, &at, &key, &value)) {
		if (value.s < v.s || value.s + value.n > v.s + v.n || value.n == 0)
			abort();
		if (key.s) {
			char *name = json_str(key);
			if (!json_get(v, name).s)
				abort();
			free(name);
		}
		if (depth < 4)
			walk(value, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xrealloc(NULL, size + 1);
	memcpy(text, data, size);
	text[size] = 0;
	struct span v = json_check(text, size);
	if (v.s) {
		cJSON *j = cJSON_ParseWithLength(text, size + 1);
		/* cJSON is laxer in most, but refuses lone surrogates and reads a number of at most 63 characters. */
		if (!j && !strstr(text, "\\u") && size < 60)
			abort();
		cJSON_Delete(j);
		walk(v, 0);
	}
	free(text);
	return 0;
}
