/* libFuzzer: what json_parse takes, json_print and json_pretty give back unchanged, and its text is valid; json_line
 * stays inside of any bytes.
 * clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Icore tests/fuzz/json_fuzz.c \
 *	core/base/{json*,quote,utf8,number,str,buf,mem,err}.c -lcjson -lm -o /tmp/json_fuzz */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same(const cJSON *j, char *text)
{
	cleanup_err struct perry_err *err = NULL;
	size_t n = strlen(text);
	cleanup_json cJSON *again = json_parse(text, n, "again", &err);
	if (!again || err || !json_equal(j, again) || !utf8_valid(text, n))
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *j = json_parse((const char *)data, n, "fuzz", &err);
	if (!j != !!err)
		abort(); /* a value or an error */
	static const char *const paths[] = { "", "a", "[0]", "[1].a", "a[0].a", "a.a" };
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (json_line((const char *)data, n, paths[i]) < 1)
			abort();
	if (j) {
		same(j, json_print(j));
		same(j, json_canonical(j));
		same(j, json_pretty(j));
	}
	/* Any bytes make a string literal that parses, except for NUL, which json_parse refuses. */
	if (n == 0 || !memchr(data, 0, n)) {
		cleanup_buf struct buf quoted = { 0 };
		json_quote(&quoted, (const char *)data, n);
		cleanup_json cJSON *s = json_parse(quoted.data, quoted.len, "quoted", NULL);
		if (!cJSON_IsString(s) || (utf8_valid((const char *)data, n) && memcmp(s->valuestring, data, n) != 0))
			abort();
	}
	return 0;
}
