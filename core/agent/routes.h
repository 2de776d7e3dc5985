/* Which part of the agent answers a request, and what everybody may see. */
#ifndef PERRY_AGENT_ROUTES_H
#define PERRY_AGENT_ROUTES_H

struct server_req;

void routes_handle(void *agent, struct server_req *r); /* the server's handler */

#endif
