/* What the files of `perry-step watch` share. */
#ifndef PERRY_STEP_WATCH_H
#define PERRY_STEP_WATCH_H
#include <stdbool.h>
#include <sys/types.h>

#include "step/json.h"
#include "step/sockets.h"

#define WATCH_PORTS 256 /* listeners in one report; the agent takes lines of that size */

/* A listening TCP socket of this network namespace. */
struct listener {
	unsigned char addr[16]; /* 4 bytes of it unless v6, network order */
	bool v6, looked_up;
	unsigned short port;
	unsigned long long inode;
	pid_t pid;     /* 0: nobody that we can see holds it */
	char name[32];
};
struct ports {
	struct listener *v;
	size_t n;
	struct sockets sockets;
};
void ports_open(struct ports *p);
bool ports_look(struct ports *p); /* true when the set is another one than before */
void ports_print(const struct ports *p, struct text *out); /* {"ports":[...]} */
bool listener_is_loopback(const struct listener *l);

#endif
