/* The parts of the procedure doctor. */
#ifndef PERRY_AGENT_DOCTOR_H
#define PERRY_AGENT_DOCTOR_H
#include <stdbool.h>

#include "base/json.h"

struct agent;

/* One finding. Takes both texts (may be NULL); mend goes along only with what is wrong. */
void doctor_note(cJSON *checks, const char *what, bool ok, char *take_message, char *take_mend);
/* This machine's Tailscale, and the agent on the tailnet. */
void doctor_tailnet(struct agent *a, cJSON *checks);
/* The workspaces on it. */
void doctor_workspaces(struct agent *a, cJSON *checks);

#endif
