/* perry-step's JSON: whatever is taken for a value agrees with cJSON, and walking through it stays inside. */
#include <stdint.h>

#include <cjson/cJSON.h>

/* perry-step is no module. */
#include "step/json.c"

#include "base/quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct span v, int depth)
{
	struct span key, value;
	size_t at = 0;
	struct buf out = { 0 };
	char *s = json_text(v);
	long long n;
	if (s) {
		json_quote_str(&out, s);
		struct span again = json_check(out.data, out.len);
		char *t = json_text(again);
		if (!t)
			abort();
		free(t);
	}
	free(s);
	buf_free(&out);
	json_int(v, -1000, 1000, &n);
	while (json_next(v, &at, &key, &value)) {
		if (value.s < v.s || value.s + value.n > v.s + v.n || value.n == 0)
			abort();
		if (key.s) {
			char *name = json_text(key);
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
	char *text = xmalloc(size + 1);
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
