#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/secret.h"

void random_bytes(void *out, size_t n)
{
	unsigned char *p = out;
	while (n > 0) {
		ssize_t k = getrandom(p, n, 0);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			abort();
		p += k;
		n -= (size_t)k;
	}
}

void random_hex(char *out, size_t nbytes)
{
	unsigned char *raw = xmalloc(nbytes);
	random_bytes(raw, nbytes);
	hex_encode(out, raw, nbytes);
	wipe(raw, nbytes);
	free(raw);
}

int secret_equal(const char *a, const char *b)
{
	if (!a || !b)
		return 0;
	size_t n = strlen(a), m = strlen(b);
	unsigned char diff = n != m;
	for (size_t i = 0; i < n; i++)
		diff |= (unsigned char)(a[i] ^ b[m ? i % m : 0]);
	return diff == 0;
}
