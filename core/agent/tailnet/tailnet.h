/* The agent on the tailnet: follows this machine's tailscaled, publishes the agent there, and says what it found.
 * Nothing here fails or holds up the agent: without Tailscale it runs on localhost only. */
#ifndef PERRY_AGENT_TAILNET_H
#define PERRY_AGENT_TAILNET_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/json.h"
#include "tailscale/local.h"

struct agent;
struct tailnet;

/* Begins to follow. The agent's configuration must be there, nothing else yet. */
struct tailnet *tailnet_open(struct agent *a);
/* The server runs: the agent is published from now on. Prints the lines of a start, "Agent running at ..." among them;
 * waits at most so long for what is to be said about Tailscale, which otherwise is said when it is known. */
void tailnet_announce(struct tailnet *t, int wait_ms);
/* Takes the publication back and ends. Before the server is stopped. No caller of the others may be left; tailnet_free
 * comes when none can come. */
void tailnet_stop(struct tailnet *t);
void tailnet_free(struct tailnet *t);

/* This machine's node, as of now. */
struct tailnet_node {
	bool running;
	char id[64];     /* the control server's stable one */
	char name[256];  /* DNS name without the dot at its end */
	char login[128]; /* its user; "" when it is tagged */
	bool tagged;
	bool userspace; /* every peer reaches 127.0.0.1 */
	bool https;     /* the tailnet has HTTPS certificates */
	char ips[8][46];
	int nips;
	uid_t daemon_uid; /* who identity headers are believed from */
	unsigned epoch;   /* another one whenever tailscaled has said anything */
};
void tailnet_node(struct tailnet *t, struct tailnet_node *out);
struct tslocal *tailnet_local(struct tailnet *t); /* its LocalAPI, for calls on threads that may wait */

/* For `perry info`: {"running", "state", "dnsName", "user", "serveActive", "httpsUrl", "url", "signIn", "problem",
 * "mend"}. */
cJSON *tailnet_info(struct tailnet *t);

#endif
