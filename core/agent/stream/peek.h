/* The screen of a session as text, for threads that may wait. */
#ifndef PERRY_AGENT_STREAM_PEEK_H
#define PERRY_AGENT_STREAM_PEEK_H
#include "base/buf.h"
#include "base/err.h"

struct docker_cancel;
struct streams;

/* Appends its lines, as they are now (screen_text). Waits some seconds at most. Any thread but the loop's. */
int stream_peek(struct streams *s, const char *container, const char *session, struct docker_cancel *cancel,
		struct buf *out, struct perry_err **err);

#endif
