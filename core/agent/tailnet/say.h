/* What the agent says about Tailscale. The texts stand in docs/tailscale.md and in what users search for: keep them. */
#ifndef PERRY_AGENT_TAILNET_SAY_H
#define PERRY_AGENT_TAILNET_SAY_H
#include <stdbool.h>
#include <stdint.h>

#include "agent/tailnet/node.h"
#include "base/buf.h"

enum reach {
	REACH_UNKNOWN, /* the first look is not over, or tailscaled is only starting */
	REACH_NOT_INSTALLED,
	REACH_NOT_RUNNING, /* or does not answer */
	REACH_LOGGED_OUT,
	REACH_STOPPED,
	REACH_NOT_APPROVED,
	REACH_RUNNING,
};

enum target { TARGET_NONE, TARGET_SOCKET, TARGET_LOOPBACK };

/* What was made of it. */
struct outcome {
	enum reach reach;
	bool off; /* by the configuration */
	bool operator_missing, no_token, no_port;
	enum target target;
	int port;       /* of the publication */
	bool listening; /* on the tailnet's addresses */
	char why_loopback[160], problem[256];
};

/* The lines about o, those that come before and after "Agent running at"; '\n' after each. */
void outcome_lines(const struct tailnet_node *n, const struct outcome *o, uint16_t port, struct buf *before,
		   struct buf *after);
/* What is wrong in one line, and what mends it; NULL, NULL when nothing is. Static or o's own. */
const char *outcome_problem(const struct tailnet_node *n, const struct outcome *o, const char **mend);
/* What brings certificates, names and approval depends on whose the control server is (as in perry.refusals). */
struct places {
	const char *https; /* NULL: it gives no certificates */
	const char *magic_dns, *approve;
};
const struct places *places_of(const struct tailnet_node *n);
/* Is the control server at url Tailscale's own? */
bool control_is_tailscales(const char *url);
void outcome_url(const struct tailnet_node *n, const struct outcome *o, char url[300]); /* "" when there is none */

#endif
