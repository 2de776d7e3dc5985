/* Sessions that somebody looks at: each is attached once, whoever looks, and its screen kept as long as somebody does.
 */
#ifndef PERRY_AGENT_STREAM_WATCHED_H
#define PERRY_AGENT_STREAM_WATCHED_H
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct screen;
struct streams;
struct watched;

/* One who looks. The members are watched.c's. */
struct look {
	struct look *next;
	struct watched *w;
	const struct look_sink *sink;
	void *owner;
};
/* Never from within a call of the owner's, but view and sized of another's watched_size. After ended the look is
 * closed. */
struct look_sink {
	void (*ready)(void *owner);                                        /* the screen is as it is now */
	void (*view)(void *owner, const char *bytes, size_t n);            /* what continues a frame */
	void (*sized)(void *owner);                                        /* another size: a frame is due */
	void (*room)(void *owner);                                         /* more can be typed than before */
	void (*ended)(void *owner, int code, const struct perry_err *err); /* err NULL: its program ended */
};

/* look is the caller's, until watched_close or ended. */
void watched_open(struct streams *s, const char *container, const char *session, struct look *look,
		  const struct look_sink *sink, void *owner);
void watched_close(struct look *look); /* one that is not open, too */
bool watched_ready(const struct look *look);
bool watched_alone(const struct look *look);            /* nobody else looks */
struct screen *watched_screen(const struct look *look); /* borrowed; NULL until ready */
size_t watched_room(const struct look *look);           /* bytes that can be typed now */
void watched_type(struct look *look, const char *bytes, size_t n);
void watched_size(struct look *look, int cols, int rows); /* of the session, for all who look */

#endif
