/* Which part of the agent answers a request. */
#ifndef PERRY_AGENT_ROUTES_H
#define PERRY_AGENT_ROUTES_H
#include <stdbool.h>

struct agent;
struct auth_request;
struct caller;
struct server_req;

void agent_handle(void *agent, struct server_req *r); /* the server's handler */

void auth_request_of(const struct server_req *r, struct auth_request *out);
/* Does it bring a token, a session or a ticket, or come from our own user? */
bool agent_shows_pass(struct agent *a, struct server_req *r, const struct auth_request *who, struct caller *c);
void agent_handle_known(struct agent *a, struct server_req *r, const struct caller *c);
/* The same, with the rights that the authorize hooks leave to who showed a pass or is our own user. */
void agent_handle_limited(struct agent *a, struct server_req *r, const struct caller *c);
/* http/tailnet_routes.c: a request of the tailnet's that is not for everybody. */
void tailnet_handle(struct agent *a, struct server_req *r);

#endif
