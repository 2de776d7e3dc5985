/* A login shell of this machine on a pseudo-terminal. */
#ifndef PERRY_AGENT_STREAM_HOST_H
#define PERRY_AGENT_STREAM_HOST_H
#include "agent/stream/source.h"

/* caller is copied. Never NULL: what goes wrong is told to the sink. */
struct stream_source *stream_host_new(struct streams *s, int cols, int rows, const cJSON *caller,
				      const struct stream_sink *sink, void *owner);

#endif
