/* Workspaces whose join failed try again when what decides how they join the tailnet has changed. */
#ifndef PERRY_AGENT_REJOIN_H
#define PERRY_AGENT_REJOIN_H

struct agent;

/* From now on. One whose operation is under way, perhaps a join with what was there before, has its turn after it. */
void agent_rejoin_open(struct agent *a);

#endif
