/* Of the procedure doctor: the workspaces on the tailnet. */
#ifndef PERRY_AGENT_DOCTOR_WORKSPACES_H
#define PERRY_AGENT_DOCTOR_WORKSPACES_H
#include "base/json.h"

struct agent;

void doctor_workspaces(struct agent *a, cJSON *checks);

#endif
