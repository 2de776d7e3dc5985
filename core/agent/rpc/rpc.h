/* POST /rpc/<procedure>: the envelope of existing clients around the table of procedures. */
#ifndef PERRY_AGENT_RPC_H
#define PERRY_AGENT_RPC_H

struct agent;
struct caller;
struct server_req;

void rpc_handle(struct agent *a, struct server_req *r, const struct caller *c);

#endif
