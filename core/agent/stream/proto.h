/* perry.v1, the channels of docs/streams.md: the agent's side. */
#ifndef PERRY_AGENT_STREAM_PROTO_H
#define PERRY_AGENT_STREAM_PROTO_H
#include <stddef.h>

#include "base/json.h"

#define STREAM_PROTOCOL "perry.v1" /* the subprotocol of GET /rpc/stream */

struct streams;

/* Any thread: takes a socket after its 101 (server_upgraded: non-blocking; -1 is ignored) with the bytes that came too
 * early. caller is copied. */
void streams_take_perry(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller);

#endif
