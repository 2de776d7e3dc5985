/* Frames of the channel into a workspace (docs/channel.md): four bytes of length (big-endian, of all that follows), a
 * byte of type, four bytes of stream number (big-endian), the payload. */
#ifndef PERRY_BASE_FRAME_H
#define PERRY_BASE_FRAME_H
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* As in docs/streams.md. */
enum frame_type {
	FRAME_OPEN = 1,
	FRAME_OPENED,
	FRAME_STDIN,
	FRAME_STDOUT,
	FRAME_STDERR,
	FRAME_EOF,
	FRAME_RESIZE,
	FRAME_EXIT,
	FRAME_ERROR,
	FRAME_WINDOW,
	FRAME_SIGNAL,
	FRAME_CLOSE
};

#define FRAME_HEAD     9
#define FRAME_MAX      (64u << 10)  /* bytes of payload */
#define FRAME_OPEN_MAX (4u << 20)   /* of an OPEN */
#define FRAME_AHEAD    (256u << 10) /* bytes that may be sent on a stream before WINDOW grants more */

struct frame {
	enum frame_type type;
	uint32_t stream;
	const char *payload; /* borrowed, see frame_next; never NULL */
	size_t n;
};

/* Frames out of bytes that come in any pieces; starts as all zeros. It holds what was put in and not taken out yet: the
 * reader takes out what there is before it puts more in, and so holds no more than a frame and a piece. */
struct frame_reader {
	struct buf in;
	size_t at; /* of in: taken out already */
	int bad;
};
/* Room for n bytes from outside, of which frame_filled says how many came. */
char *frame_room(struct frame_reader *r, size_t n);
void frame_filled(struct frame_reader *r, size_t n);
/* 1: *out is the next one, its payload good until the next frame_room. 0: more bytes are needed. -1: malformed (an
 * unknown type, a length out of bounds, a WINDOW that has no number), now and for good. */
int frame_next(struct frame_reader *r, struct frame *out);
void frame_reader_free(struct frame_reader *r);

/* What stands before n bytes of payload. */
void frame_head(char out[FRAME_HEAD], enum frame_type type, uint32_t stream, size_t n);
/* Appends one. n is within the bounds above. */
void frame_write(struct buf *out, enum frame_type type, uint32_t stream, const void *payload, size_t n);
/* Appends the bytes as frames of this type (one of the three streams of bytes), as many as it takes. */
void frame_write_bytes(struct buf *out, enum frame_type type, uint32_t stream, const void *bytes, size_t n);
void frame_write_window(struct buf *out, uint32_t stream, uint32_t n);
uint32_t frame_window(const struct frame *f); /* the number of a WINDOW */

#endif
