/* What the files of `perry-step watch` share. */
#ifndef PERRY_STEP_WATCH_H
#define PERRY_STEP_WATCH_H
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "step/json.h"
#include "step/sockets.h"

#define WATCH_PORTS 256 /* listeners in one report; the agent takes lines of that size */

/* A listening TCP socket of this network namespace. */
struct listener {
	unsigned char addr[16]; /* 4 bytes of it unless v6, network order */
	bool v6, looked_up;
	bool tailscaled; /* on the node's own address, where it serves: no server of the workspace */
	unsigned short port;
	unsigned long long inode;
	pid_t pid; /* 0: nobody that we can see holds it */
	char name[32];
};
struct ports {
	struct listener *v;
	size_t n;
	struct sockets sockets;
};
void ports_open(struct ports *p);
bool ports_look(struct ports *p);                         /* true when the set is another one than before */
void ports_print(const struct ports *p, struct buf *out); /* {"ports":[...]} */
bool listener_is_loopback(const struct listener *l);

/* The workspace's own tailscaled (watch_tailnet.c). */
struct tailnet {
	int bus;         /* its notifications, or -1 */
	bool headed;     /* their HTTP head is read */
	struct buf line; /* of a notification that is not whole yet: its beginning */
	long long open_at, ask_at, asked;
	bool running, tun; /* as it said last */
	char *dns_name;    /* or NULL */
	bool certificates; /* for that name, to be had */
	struct buf told;   /* as printed last */
};
/* Hears from it, if there is one; asks for its state when something has changed. True: there is a line to print,
 * {"tailnet":{...}}. */
bool tailnet_turn(struct tailnet *t, bool readable);
void tailnet_print(const struct tailnet *t, struct buf *out);

/* Our part of its serve configuration (watch_serve.c). */
#define SERVE_MAX 256
struct serve_web {
	unsigned short port, target;
};
struct serve {
	bool wanted; /* the agent has said what it wants */
	unsigned short tcp[SERVE_MAX];
	size_t ntcp;
	struct serve_web web[16];
	size_t nweb;
	struct buf ours; /* what of it is ours: the entries of the last change, as the marker file has them */
	bool read_marker;
	long long again_at; /* after a failure; 0: none */
	struct buf told;
};
void serve_take(struct serve *s, struct span command);
/* Makes the configuration what is wanted of what listens now. True: there is a line to print, {"serve":{...}}. */
bool serve_turn(struct serve *s, const struct tailnet *t, const struct ports *p);
void serve_print(const struct serve *s, struct buf *out);

#endif
