/* libFuzzer: frames are the same and the verdict is the same however the bytes are split, within their bounds, and
 * written again they are the bytes that were read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int feed(struct frame_reader *r, const uint8_t *bytes, size_t n, struct buf *again)
{
	struct frame f;
	int rc;
	memcpy(frame_room(r, n), bytes, n);
	frame_filled(r, n);
	while ((rc = frame_next(r, &f)) == 1) {
		if (f.n > (f.type == FRAME_OPEN ? FRAME_OPEN_MAX : FRAME_MAX))
			abort();
		if (f.type == FRAME_WINDOW)
			frame_write_window(again, f.stream, frame_window(&f));
		else
			frame_write(again, f.type, f.stream, f.payload, f.n);
	}
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct frame_reader whole = { 0 }, parts = { 0 };
	struct buf a = { 0 }, b = { 0 };
	const size_t cuts = 4; /* the first bytes say how to split the rest */
	if (n < cuts)
		return 0;
	const uint8_t *p = data + cuts;
	size_t left = n - cuts;
	int rc_a = feed(&whole, p, left, &a), rc_b = 0;
	for (size_t i = 0; left && rc_b == 0; i++) {
		size_t take = (size_t)data[i % cuts] % 24 + 1;
		take = take < left ? take : left;
		rc_b = feed(&parts, p, take, &b);
		p += take;
		left -= take;
	}
	if (rc_a != rc_b || a.len != b.len || a.len > n - cuts)
		abort();
	if (a.len && (memcmp(a.data, b.data, a.len) != 0 || memcmp(a.data, data + cuts, a.len) != 0))
		abort();
	frame_reader_free(&whole);
	frame_reader_free(&parts);
	buf_free(&a);
	buf_free(&b);
	return 0;
}
