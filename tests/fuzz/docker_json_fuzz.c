/* libFuzzer: what the engine sends as JSON, before and after big integers became text.
 * clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Icore tests/fuzz/docker_json_fuzz.c
 *core/docker/util.c core/net/http*.c \ core/base/{json*,quote,utf8,number,str,buf,mem,err,clock}.c -lcurl -lcjson -lm
 *-o /tmp/docker_json_fuzz */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "docker/priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool has_long_number(const uint8_t *data, size_t n)
{
	size_t run = 0;
	for (size_t i = 0; i < n; i++) {
		run = data[i] >= '0' && data[i] <= '9' ? run + 1 : 0;
		if (run > 14)
			return true;
	}
	return false;
}

static int take_line(void *ctx, const char *line, size_t n)
{
	if (n == 0 || line[n] != '\0' || memchr(line, '\n', n))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_err struct perry_err *err = NULL, *plain_err = NULL;
	cleanup_json cJSON *j = docker_json((const char *)data, n, "fuzz", &err);
	if (!j != !!err)
		abort();
	cleanup_json cJSON *plain = json_parse((const char *)data, n, "fuzz", &plain_err);
	if (plain && !j)
		abort(); /* nothing that was JSON is refused */
	if (plain && !has_long_number(data, n) && !json_equal(j, plain))
		abort();
	struct docker_lines l = { .fn = take_line };
	for (size_t half = n / 2, i = 0; i < 2; i++)
		docker_lines_feed(&l, (const char *)data + i * half, i ? n - half : half);
	docker_lines_end(&l);
	return 0;
}
