/* What the watchers are given by the agent, which they do not know. */
#ifndef PERRY_AGENT_WATCH_SETUP_H
#define PERRY_AGENT_WATCH_SETUP_H
#include "base/err.h"
#include "base/json.h"
#include "docker/docker.h"

struct channels;
struct fleet;
struct hub;
struct jobs;

/* The callbacks run as jobs. All borrowed until watchers_stop, jobs until watchers_free. */
struct watchers_setup {
	struct docker *docker;
	struct channels *channels; /* where there is none in a workspace, an exec of the engine is its ear */
	struct fleet *fleet;
	struct hub *hub;
	struct jobs *jobs;
	/* What to do about listeners [{number, address, loopback, process}]: a list of as many {announce, label,
	 * expose}. */
	int (*decide)(void *ctx, const char *workspace, const cJSON *ports, cJSON **answers, struct perry_err **err);
	/* What the workspace's own tailscaled says of itself, when that has changed; one call at a time for a
	 * workspace. */
	void (*tailnet)(void *ctx, const char *workspace, const cJSON *state);
	void *ctx;
};

#endif
