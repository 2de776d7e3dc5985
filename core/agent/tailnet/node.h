/* This machine's node on the tailnet, as tailscaled described it last. */
#ifndef PERRY_AGENT_TAILNET_NODE_H
#define PERRY_AGENT_TAILNET_NODE_H
#include <stdbool.h>
#include <sys/types.h>

struct tailnet_node {
	bool running;
	char id[64];       /* the control server's stable one */
	char name[256];    /* DNS name without the dot at its end */
	char login[128];   /* its user; "" when it is tagged */
	char control[256]; /* URL of a control server that is not Tailscale's; "" for Tailscale's own */
	bool tagged;
	bool userspace; /* every peer reaches 127.0.0.1 */
	bool https;     /* the tailnet has HTTPS certificates */
	char ips[8][46];
	int nips;
	uid_t daemon_uid; /* who identity headers are believed from */
	unsigned epoch;   /* another one whenever tailscaled has said anything */
};

#endif
