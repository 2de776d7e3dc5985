/* A growing byte buffer, and small string helpers. */
#ifndef PERRY_BASE_STR_H
#define PERRY_BASE_STR_H
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

/* Always NUL-terminated after data[len] once anything was added; data is NULL while empty. */
struct buf {
	char *data;
	size_t len, cap;
};

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *buf_reserve(struct buf *b,
		  size_t n); /* room for n more bytes; returns the place; add to len and put a NUL there yourself */
void buf_consume(struct buf *b, size_t n); /* drops the first n bytes */
char *buf_take(struct buf *b);             /* the text, "" for an empty buffer; the caller frees it; b is empty after */
const char *buf_str(const struct buf *b);  /* never NULL; borrowed */
void buf_free(struct buf *b);
#define cleanup_buf __attribute__((cleanup(buf_free)))

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
char *str_trim(char *s);                   /* in place; returns the first non-blank */
/* The candidate nearest to word (edit distance at most 1/3 of its length, at least 1 and at most 3), or NULL.
 * candidates ends with NULL. */
const char *str_nearest(const char *word, const char *const *candidates);
/* 0 when all of text is a decimal number within [min, max]; else -1 and *out untouched. */
int str_to_int(const char *text, long long min, long long max, long long *out);
/* "4GiB", "512m", "1.5g", "1024" to bytes; -1 when it is no size. */
int str_to_bytes(const char *text, long long *out);
/* Is [s, s+n) valid UTF-8 (no surrogates, no overlong forms)? */
bool utf8_valid(const char *s, size_t n);
/* Appends [s, s+n) with every byte that is no UTF-8 replaced by U+FFFD. NUL is kept. */
void utf8_scrub(struct buf *out, const char *s, size_t n);
void base64_encode(struct buf *out, const void *bytes, size_t n);
int base64_decode(struct buf *out, const char *text, size_t n);   /* -1: not base64, out is as before */
void hex_encode(char *out, const unsigned char *bytes, size_t n); /* out has 2n+1 bytes */
/* Appends s quoted for a POSIX shell. */
void shell_quote(struct buf *out, const char *s);

#endif
