/* The agent in tailscaled's Serve configuration: ours goes in and out, what others have there stays as it is. */
#ifndef PERRY_AGENT_TAILNET_PUBLISH_H
#define PERRY_AGENT_TAILNET_PUBLISH_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "tailscale/local.h"

struct publication {
	const char *name; /* the node's DNS name, no dot at its end */
	bool https;
	const char *session; /* of a watch, at whose end the entry goes; NULL: it stays until it is withdrawn */
	const char *target;  /* "unix:/path" or "http://127.0.0.1:7391" */
};

/* Is a handler with this target one of this agent's, from now or from a run before? */
typedef bool (*publication_ours)(void *ctx, const char *target);

/* Puts it into the configuration instead of what is ours there; the port: 443, 8443 or 10443 (80, 8080 or 8081 without
 * https), the first that nobody else uses. 0: none is free, and the configuration only lost what was ours. */
int publication_put(cJSON *config, const struct publication *p, publication_ours ours, void *ctx);
void publication_remove(cJSON *config, publication_ours ours, void *ctx);

/* The same at tailscaled, again when somebody else changes it at the same moment. *port 0 is no failure. */
int publication_apply(struct tslocal *t, const struct publication *p, publication_ours ours, void *ctx, int *port,
		      struct perry_err **err);
int publication_withdraw(struct tslocal *t, publication_ours ours, void *ctx, struct perry_err **err);

#endif
