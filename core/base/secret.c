#include "base/secret.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"

struct secret {
	size_t len;
	char text[];
};

struct secret *secret_new(const char *text, size_t n)
{
	struct secret *s = xmalloc(sizeof *s + n + 1);
	s->len = n;
	if (n > 0)
		memcpy(s->text, text, n);
	s->text[n] = '\0';
	redact_hold(s->text);
	return s;
}

const char *secret_reveal(const struct secret *s)
{
	return s->text;
}

size_t secret_len(const struct secret *s)
{
	return s->len;
}

void secret_free(struct secret *s)
{
	if (!s)
		return;
	redact_release(s->text);
	wipe(s->text, s->len);
	free(s);
}

void wipe(void *p, size_t n)
{
	if (n > 0)
		explicit_bzero(p, n);
}
