/* Is it text? And what is not, made text. */
#ifndef PERRY_BASE_UTF8_H
#define PERRY_BASE_UTF8_H
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Is [s, s+n) valid UTF-8 (no surrogates, no overlong forms)? */
bool utf8_valid(const char *s, size_t n);
/* Appends [s, s+n) with every byte that is no UTF-8 replaced by U+FFFD. NUL is kept. */
void utf8_scrub(struct buf *out, const char *s, size_t n);

/* The bytes of the character at s (of valid UTF-8, ended by NUL) when it is none that shows: a control character of
 * either table, one that turns text, or one without a width. 0: it shows. */
size_t utf8_unshown(const char *s);

#endif
