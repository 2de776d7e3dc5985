/* Requests that become WebSockets: who may, and which workspace; the streams do the rest. */
#ifndef PERRY_AGENT_WEBSOCKET_H
#define PERRY_AGENT_WEBSOCKET_H

struct agent;
struct caller;
struct server_req;

void websocket_terminal(struct agent *a, struct server_req *r, const struct caller *c);
/* peer: as whom it is counted. */
void websocket_stranger(struct agent *a, struct server_req *r, const char *peer);
void websocket_stream(struct agent *a, struct server_req *r, const struct caller *c);

#endif
