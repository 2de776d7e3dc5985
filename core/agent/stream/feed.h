/* Logs, copy_in and copy_out: blocking engine calls on a thread of their own, with bounded queues. */
#ifndef PERRY_AGENT_STREAM_FEED_H
#define PERRY_AGENT_STREAM_FEED_H
#include "agent/stream/source.h"

/* open is what OPEN said, checked; it and caller are copied. Never NULL: what goes wrong is told to the sink. */
struct stream_source *stream_feed_new(struct streams *s, const cJSON *open, const cJSON *caller,
				      const struct stream_sink *sink, void *owner);

#endif
