/* Ports of workspaces, as the API shows them. */
#ifndef PERRY_AGENT_PORTS_H
#define PERRY_AGENT_PORTS_H
#include "base/err.h"
#include "base/json.h"

struct agent;

/* Starts the watchers of this agent. */
int agent_open_watchers(struct agent *a, struct perry_err **err);
/* {"name","running","watching","problem","hostname","dnsName","listeners":[{"port","address","loopback","process","pid","label","announce","expose","url",
 * "reachable","why","web"}],"more","forwards":[]}: a row for each port, by number. Caller frees. */
cJSON *agent_ports(struct agent *a, const cJSON *record);
/* Adds "listeners", those that are announced, when there are any. */
void agent_put_listeners(struct agent *a, const cJSON *record, cJSON *view);
/* The same as text for a list of workspaces: "\"listeners\":[...]", malloc's, or NULL. Any thread, under the fleet's
 * lock, too. agent is a struct agent. */
char *agent_listeners_text(void *agent, const cJSON *record);
char *ports_web_url(const cJSON *web, const char *dns_name); /* of {"port","scheme"}; caller frees */

#endif
