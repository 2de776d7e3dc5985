/* libFuzzer: the engine's multiplexed stream gives the same bytes and the same verdict however it is split.
 * clang -g -O1 -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Icore tests/fuzz/demux_fuzz.c core/docker/demux.c \
 *	core/base/{buf,mem,err}.c -lcjson -lm -o /tmp/demux_fuzz */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "docker/demux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct got {
	struct buf of[3];
};

static int take(void *ctx, int fd, const char *bytes, size_t n)
{
	struct got *g = ctx;
	if (fd < 1 || fd > 2 || n == 0)
		abort();
	buf_add(&g->of[fd], bytes, n);
	return 0;
}

static int feed(struct demux *m, struct got *g, const char *bytes, size_t n)
{
	struct perry_err *err = NULL;
	int rc = demux_feed(m, bytes, n, take, g, &err);
	if ((rc == -1) != (err != NULL) || rc > 0)
		abort();
	perry_err_free(err);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct demux whole = { 0 }, parts = { 0 };
	struct got a = { 0 }, b = { 0 };
	if (n < 4)
		return 0;
	/* The first bytes say how to split the rest; the exact copies let the sanitizer see a read beyond an end. */
	const size_t cuts = 4;
	size_t left = n - cuts;
	const uint8_t *p = data + cuts;
	int rc_a = feed(&whole, &a, (const char *)p, left), rc_b = 0;
	for (size_t i = 0; left && rc_b == 0; i++) {
		size_t take_n = (size_t)data[i % cuts] % 24 + 1;
		take_n = take_n < left ? take_n : left;
		char *copy = malloc(take_n);
		if (!copy)
			abort();
		memcpy(copy, p, take_n);
		rc_b = feed(&parts, &b, copy, take_n);
		free(copy);
		p += take_n;
		left -= take_n;
	}
	if (rc_a != rc_b || (rc_a == 0 && (whole.have != parts.have || whole.left != parts.left)))
		abort();
	for (int i = 1; i < 3; i++) {
		if (a.of[i].len != b.of[i].len || (a.of[i].len && memcmp(a.of[i].data, b.of[i].data, a.of[i].len) != 0))
			abort();
		buf_free(&a.of[i]);
		buf_free(&b.of[i]);
	}
	return 0;
}
