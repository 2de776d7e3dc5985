/* The agent's ear in each running workspace: one `perry-step watch` through a long-lived exec, all of them read by one
 * loop. Knows what listens and how the workspace's own tailscaled is, asks (as jobs) what to do about new listeners,
 * and tells the workspace which forwards to keep. Publishes
 * {"kind":"port","workspace","state":"listening"|"closed","port","process","address","label"}. */
#ifndef PERRY_AGENT_WATCHERS_H
#define PERRY_AGENT_WATCHERS_H
#include "agent/watch/setup.h"
#include "base/err.h"
#include "base/json.h"

struct watchers;

/* Starts the loop; it follows the fleet from then on. */
int watchers_open(struct watchers **out, const struct watchers_setup *setup, struct perry_err **err);
/* Ends the loop and all watches. Jobs may still come back. */
void watchers_stop(struct watchers *w);
void watchers_free(struct watchers *w); /* no job of ours runs any more */

/* {"watching":bool, "problem", "listeners":[{number, address, loopback, process, pid, announce, expose, label,
 * decided}], "more":N, "tailnet":{...}, "serve":{...}}: what is known now; problem: why nothing is. Never NULL; caller
 * frees. Any thread. */
cJSON *watchers_look(struct watchers *w, const char *workspace);
/* One sample of its activity, taken now (core/step/activity.h): waits for it, at most some seconds. NULL: it cannot be
 * had. Any thread but the hub's subscribers. */
cJSON *watchers_sample(struct watchers *w, const char *workspace);
/* The record's "serve" (ports with a web address of their own) changed: the workspace is told. Any thread. */
void watchers_serve_changed(struct watchers *w, const char *workspace);

#endif
