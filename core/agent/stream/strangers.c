#include "agent/stream/strangers.h"

#include <stdio.h>
#include <string.h>

void strangers_init(struct strangers *s)
{
	memset(s, 0, sizeof *s);
	pthread_mutex_init(&s->lock, NULL);
}

bool strangers_enter(struct strangers *s, const char *peer)
{
	char *free_place = NULL, key[sizeof s->peers[0]];
	int of_peer = 0;
	snprintf(key, sizeof key, "%s", peer);
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < STRANGERS_MAX; i++) {
		of_peer += strcmp(s->peers[i], key) == 0;
		if (!free_place && !s->peers[i][0])
			free_place = s->peers[i];
	}
	bool in = free_place && of_peer < STRANGERS_OF_PEER;
	if (in)
		memcpy(free_place, key, sizeof key);
	pthread_mutex_unlock(&s->lock);
	return in;
}

void strangers_leave(struct strangers *s, const char *peer)
{
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < STRANGERS_MAX; i++) {
		if (strncmp(s->peers[i], peer, sizeof s->peers[i] - 1) == 0) {
			s->peers[i][0] = 0;
			break;
		}
	}
	pthread_mutex_unlock(&s->lock);
}
