/* One sample of what goes on in the workspace. Taken when somebody asks and at no other time; the agent makes rates of
 * two samples. */
#ifndef PERRY_STEP_ACTIVITY_H
#define PERRY_STEP_ACTIVITY_H
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Adds one line, {"activity":{...}}; what cannot be known here is left out:
 * cpuUsec, ioBytes    of the whole workspace since its container started (cgroup)
 * netRx, netTx        bytes through its network, without loopback, its inner containers' networks and the tailnet's
 * interface tailnetRx           bytes that came from peers on the tailnet; "tailnetUnseen":true when tailscaled runs
 * and does not tell accepted            TCP connections that were ever accepted, of the workspace itself too
 * connections         [{"port","count"}]: TCP connections to servers of the workspace, without its own (an app and its
 * database) typed, printed      seconds since a terminal was last read from, and written to ssh, sshEnded       SSH
 * sessions, and a number that changes when one has ended agents              ["claude"]: coding agents that run builds
 * [{"name","seconds"}]: builds, downloads, tests that run, with the age of the youngest of each name processes names of
 * all processes, interpreters by their script; without perry's own */
void activity_print(struct buf *out);

/* activity_procs.c: ssh, sshEnded, agents, builds, processes, the first members of an object. True: tailscaled runs. */
bool activity_processes(struct buf *out);
/* Inodes of the sockets that processes of this name hold, for as many as may be looked into. The caller frees *out. */
size_t activity_sockets_of(const char *name, unsigned long long **out);

#endif
