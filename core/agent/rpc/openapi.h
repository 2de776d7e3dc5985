/* GET /openapi.json: the table of procedures, as OpenAPI 3.1. */
#ifndef PERRY_AGENT_OPENAPI_H
#define PERRY_AGENT_OPENAPI_H

struct agent;
struct caller;
struct server_req;

void openapi_handle(struct agent *a, struct server_req *r, const struct caller *c);

#endif
