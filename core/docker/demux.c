#include "docker/demux.h"

#include <string.h>

#include "base/err.h"

#define HEAD_SIZE  8
#define STREAM_MAX 3 /* 0 to 2 as descriptors, 3: a message of the engine itself */

static int take_head(struct demux *m, struct perry_err **err)
{
	const unsigned char *h = m->head;
	if (h[0] > STREAM_MAX || h[1] || h[2] || h[3])
		return perry_fail(
			err, PERRY_EINTERNAL,
			"the engine's stream is not multiplexed as announced (a frame starts with %02x %02x %02x %02x)",
			h[0], h[1], h[2], h[3]);
	m->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	return 0;
}

int demux_feed(struct demux *m, const char *bytes, size_t n, docker_output_fn fn, void *ctx, struct perry_err **err)
{
	while (n) {
		if (m->have < HEAD_SIZE) {
			size_t take = HEAD_SIZE - m->have < n ? HEAD_SIZE - m->have : n;
			memcpy(m->head + m->have, bytes, take);
			m->have += (unsigned)take;
			bytes += take;
			n -= take;
			if (m->have < HEAD_SIZE)
				return 0;
			if (take_head(m, err) != 0) {
				m->have = 0;
				return -1;
			}
		}
		size_t take = m->left < n ? m->left : n;
		int rc = take && fn ? fn(ctx, m->head[0] >= 2 ? 2 : 1, bytes, take) : 0;
		bytes += take;
		n -= take;
		m->left -= (uint32_t)take;
		if (m->left == 0)
			m->have = 0;
		if (rc != 0)
			return rc;
	}
	return 0;
}
