/* The idle hook of a running agent: a thread around the scheduler (idle.h), and what the scheduler is told of
 * workspaces. The thread sleeps until the next question is due, and for good while no layer has an idle hook and no
 * workspace has a ttl. */
#ifndef PERRY_AGENT_IDLE_AGENT_H
#define PERRY_AGENT_IDLE_AGENT_H
#include <stdbool.h>

#include "agent/idle/idle.h"
#include "agent/stream/setup.h"

struct agent;
struct idle_agent;

int idle_agent_open(struct agent *a, struct perry_err **err);
/* Ends the thread. 1: a hook keeps it, and nothing that it uses may be freed. */
int idle_agent_stop(struct idle_agent *ia);
void idle_agent_free(struct idle_agent *ia);
/* Something of this agent's was opened in a workspace (1) or has ended (-1). Any thread, quick. */
void idle_agent_open_in(struct idle_agent *ia, const char *ws, enum stream_use use, int change);

#endif
