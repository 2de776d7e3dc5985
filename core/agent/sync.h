/* What running workspaces have of the configuration is brought up to date after a change of it. */
#ifndef PERRY_AGENT_SYNC_H
#define PERRY_AGENT_SYNC_H

struct agent;

/* Syncs the running workspaces: once for all changes of a second or two, not once for each. */
void agent_sync_soon(struct agent *a);

#endif
