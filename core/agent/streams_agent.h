/* The streams of a running agent: what they are told of workspaces, rights and configuration. */
#ifndef PERRY_AGENT_STREAMS_AGENT_H
#define PERRY_AGENT_STREAMS_AGENT_H
#include "base/err.h"

struct agent;

/* Opens a->streams; everything that it asks for must stand by then, but for a->idle, and stay until streams_stop. */
int streams_agent_open(struct agent *a, struct perry_err **err);

/* Ends them (streams_stop); a->streams is freed by its owner. */
void streams_agent_close(struct agent *a);

#endif
