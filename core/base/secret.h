/* A secret value: no printf takes it, it is zeroed when freed, and its text is known to the log's redaction. */
#ifndef PERRY_BASE_SECRET_H
#define PERRY_BASE_SECRET_H
#include <stddef.h>

struct secret;

#define SECRET_MASK "********" /* stands for a secret's text in answers and logs; written back it means: keep */

struct secret *secret_new(const char *text, size_t n); /* copies; the caller wipes its own copy */
const char *secret_reveal(const struct secret *s);     /* borrowed; only where it leaves for its destination */
size_t secret_len(const struct secret *s);
void secret_free(struct secret *s);
void wipe(void *p, size_t n); /* zeroes memory; not optimised away */

static inline void cleanup_secret_fn(struct secret **s)
{
	secret_free(*s);
}
#define cleanup_secret __attribute__((cleanup(cleanup_secret_fn)))

#endif
