/* Sources: what a channel or a terminal is connected to. */
#ifndef PERRY_AGENT_STREAM_SOURCE_H
#define PERRY_AGENT_STREAM_SOURCE_H
#include <stddef.h>

#include "agent/stream/state.h"

/* The owner's side. ended is the last call; the source is gone after it. */
struct stream_sink {
	void (*opened)(void *owner, const cJSON *details);                 /* details: NULL for none */
	size_t (*room)(void *owner);                                       /* bytes of output that may be given now */
	void (*output)(void *owner, int fd, const char *bytes, size_t n);  /* n <= room */
	void (*consumed)(void *owner, size_t n);                           /* bytes of input passed on */
	void (*ended)(void *owner, int code, const struct perry_err *err); /* err NULL: it ended with code */
	void (*resized)(void *owner, int cols, int rows); /* of a session, by another viewer; may be NULL */
};
struct stream_source {
	struct streams *s;
	struct stream_source *next, **prev;
	char workspace[80];
	enum stream_use use; /* set before it is listed */
	const struct stream_sink *sink;
	void *owner; /* NULL: orphaned; it ends itself and nobody is told */
	/* Any of these but kick and end may be NULL: not possible with it. */
	void (*input)(struct stream_source *src, const char *bytes, size_t n);
	void (*eof)(struct stream_source *src);
	void (*resize)(struct stream_source *src, int cols, int rows);
	void (*signal)(struct stream_source *src, const char *name);
	void (*kick)(struct stream_source *src); /* there is room again */
	void (*end)(struct stream_source *src);  /* stop it; ended still comes */
};
void stream_source_list(struct stream_source *src, struct streams *s, const char *workspace,
			const struct stream_sink *sink, void *owner);
void stream_source_unlist(struct stream_source *src);
/* The owner leaves without waiting for the end. */
void stream_source_orphan(struct stream_source *src);
/* All of them are to stop. */
void stream_sources_end(struct streams *s);

#endif
