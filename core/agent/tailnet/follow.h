/* The connection to tailscaled: made anew as soon as one listens again, without asking every second. */
#ifndef PERRY_AGENT_TAILNET_FOLLOW_H
#define PERRY_AGENT_TAILNET_FOLLOW_H

void *tailnet_follow_main(void *tailnet); /* the thread that holds it */

#endif
