/* A text as one word of another language. */
#ifndef PERRY_BASE_QUOTE_H
#define PERRY_BASE_QUOTE_H
#include <stddef.h>

#include "base/buf.h"

/* Appends s quoted for a POSIX shell. */
void shell_quote(struct buf *out, const char *s);
/* Appends the JSON string literal of [s, s+n), NUL and invalid bytes included (NUL as \u0000, invalid ones as U+FFFD).
 */
void json_quote(struct buf *out, const char *s, size_t n);
void json_quote_str(struct buf *out, const char *s); /* up to its NUL; NULL is an empty one */

#endif
