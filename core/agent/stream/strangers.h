/* Strangers: terminals of clients that show the token by their first message, and nothing before. Few may wait at
 * once, in all and of one peer, so that nobody fills the streams with silence. Any thread. */
#ifndef PERRY_AGENT_STREAM_STRANGERS_H
#define PERRY_AGENT_STREAM_STRANGERS_H
#include <pthread.h>
#include <stdbool.h>

enum { STRANGERS_MAX = 32, STRANGERS_OF_PEER = 8, STRANGER_MESSAGE = 4096 /* bytes */, STRANGER_MS = 10000 };

struct strangers {
	pthread_mutex_t lock;
	char peers[STRANGERS_MAX][64]; /* "": free */
};

void strangers_init(struct strangers *s);
bool strangers_enter(struct strangers *s, const char *peer); /* false: too many wait; peer is not empty */
void strangers_leave(struct strangers *s, const char *peer); /* once for each that entered */

#endif
