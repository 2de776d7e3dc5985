/* Of the procedure doctor: this machine's Tailscale, and the agent on the tailnet. The agent's half of the
 * troubleshooting in docs/tailscale.md, as checks. */
#ifndef PERRY_AGENT_DOCTOR_TAILNET_H
#define PERRY_AGENT_DOCTOR_TAILNET_H
#include "base/json.h"

struct agent;

void doctor_tailnet(struct agent *a, cJSON *checks);

#endif
