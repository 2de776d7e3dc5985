/* The agent on the tailnet: follows this machine's tailscaled, publishes the agent there, and says what it found.
 * Nothing here fails or holds up the agent: without Tailscale it runs on localhost only. */
#ifndef PERRY_AGENT_TAILNET_H
#define PERRY_AGENT_TAILNET_H
#include "agent/tailnet/node.h"
#include "base/json.h"

struct agent;
struct tailnet;
struct tslocal;

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
void tailnet_node(struct tailnet *t, struct tailnet_node *out);
struct tslocal *tailnet_local(struct tailnet *t); /* its LocalAPI, for calls on threads that may wait */

/* For `perry info`: {"running", "state", "dnsName", "user", "serveActive", "httpsUrl", "url", "signIn", "problem",
 * "mend"}. */
cJSON *tailnet_info(struct tailnet *t);

#endif
