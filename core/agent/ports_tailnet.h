/* A workspace's own tailscaled says that something changed: the record and the events follow. */
#ifndef PERRY_AGENT_PORTS_TAILNET_H
#define PERRY_AGENT_PORTS_TAILNET_H
#include "base/json.h"

/* For watchers_setup. */
void agent_tailnet_state(void *agent, const char *workspace, const cJSON *state);

#endif
