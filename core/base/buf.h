/* A growing byte buffer. */
#ifndef PERRY_BASE_BUF_H
#define PERRY_BASE_BUF_H
#include <stddef.h>

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

#endif
