/* The gate that every request comes through: what may be answered at all, who asks, and what he may. */
#ifndef PERRY_AGENT_GATE_H
#define PERRY_AGENT_GATE_H
#include <stdbool.h>

struct agent;
struct auth_request;
struct caller;
struct server_req;

/* Answers a request whose caller is known; c is borrowed for the call. */
typedef void (*gate_then)(struct agent *a, struct server_req *r, const struct caller *c);

/* Takes on a WebSocket for somebody who shows nothing, and will by its first message; peer: as whom it is counted. */
typedef void (*gate_stranger)(struct agent *a, struct server_req *r, const char *peer);

/* Counts it, and asks what even everybody's requests must pass: the agent is not stopping, it comes
 * from no workspace's network, Host is one of our names, Origin is none that may not do this. False: it was answered.
 */
bool gate_admits(struct agent *a, struct server_req *r);
/* Of a request that announces a long body: answers it here where it is refused whatever the body is. */
void gate_screen(void *agent, struct server_req *r);
/* Finds out who asks and calls then, at once or later and on another thread; or answers 401, 403 or 503. stranger (may
 * be NULL) is called instead of a 401 where a WebSocket is asked for and nothing is shown. */
void gate_enter(struct agent *a, struct server_req *r, gate_then then, gate_stranger stranger);
/* The parts of a request that say who it is; borrowed. */
void gate_request_of(const struct server_req *r, struct auth_request *out);

#endif
