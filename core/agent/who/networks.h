/* The networks of workspaces' containers: nobody from there may use the agent, whatever he shows. */
#ifndef PERRY_AGENT_NETWORKS_H
#define PERRY_AGENT_NETWORKS_H
#include <stdbool.h>

struct agent;

/* Is the address in one of them? True too where that cannot be found out. */
bool networks_have(struct agent *a, const char *address);
/* 127.0.0.0/8 or ::1: the caller is on this machine, and in no workspace (those have a loopback of their own). */
bool address_is_loopback(const char *address);

#endif
