#include "base/frame.h"

#include <stdbool.h>
#include <stdlib.h>

#define KEEP (FRAME_MAX * 4) /* what a reader keeps allocated between frames */

static uint32_t get32(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put32(char *p, uint32_t n)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(n >> (24 - 8 * i));
}

char *frame_room(struct frame_reader *r, size_t n)
{
	buf_consume(&r->in, r->at);
	r->at = 0;
	if (!r->in.len && r->in.cap > KEEP)
		buf_free(&r->in);
	return buf_reserve(&r->in, n);
}

void frame_filled(struct frame_reader *r, size_t n)
{
	r->in.len += n;
}

/* Of the bytes after the length. */
static bool good_length(uint32_t length, unsigned char type)
{
	if (type < FRAME_OPEN || type > FRAME_CLOSE || length < FRAME_HEAD - 4)
		return false;
	length -= FRAME_HEAD - 4;
	return type == FRAME_WINDOW ? length == 4 : length <= (type == FRAME_OPEN ? FRAME_OPEN_MAX : FRAME_MAX);
}

int frame_next(struct frame_reader *r, struct frame *out)
{
	size_t have = r->in.len - r->at;
	if (r->bad)
		return -1;
	if (have < 5)
		return 0;
	const char *p = r->in.data + r->at;
	uint32_t length = get32(p);
	if (!good_length(length, (unsigned char)p[4])) {
		r->bad = 1;
		return -1;
	}
	if (have - 4 < length)
		return 0;
	*out = (struct frame){ .type = (enum frame_type)(unsigned char)p[4],
			       .stream = get32(p + 5),
			       .payload = p + FRAME_HEAD,
			       .n = length - (FRAME_HEAD - 4) };
	r->at += 4 + (size_t)length;
	return 1;
}

void frame_reader_free(struct frame_reader *r)
{
	buf_free(&r->in);
	*r = (struct frame_reader){ 0 };
}

void frame_head(char out[FRAME_HEAD], enum frame_type type, uint32_t stream, size_t n)
{
	if (n > (type == FRAME_OPEN ? FRAME_OPEN_MAX : FRAME_MAX))
		abort();
	put32(out, (uint32_t)n + FRAME_HEAD - 4);
	out[4] = (char)type;
	put32(out + 5, stream);
}

void frame_write(struct buf *out, enum frame_type type, uint32_t stream, const void *payload, size_t n)
{
	char head[FRAME_HEAD];
	frame_head(head, type, stream, n);
	buf_add(out, head, sizeof head);
	buf_add(out, payload, n);
}

void frame_write_bytes(struct buf *out, enum frame_type type, uint32_t stream, const void *bytes, size_t n)
{
	for (const char *p = bytes; n > 0;) {
		size_t k = n < FRAME_MAX ? n : FRAME_MAX;
		frame_write(out, type, stream, p, k);
		p += k;
		n -= k;
	}
}

void frame_write_window(struct buf *out, uint32_t stream, uint32_t n)
{
	char number[4];
	put32(number, n);
	frame_write(out, FRAME_WINDOW, stream, number, sizeof number);
}

uint32_t frame_window(const struct frame *f)
{
	return get32(f->payload);
}
