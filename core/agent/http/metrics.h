/* GET /metrics, in Prometheus' text form. */
#ifndef PERRY_AGENT_METRICS_H
#define PERRY_AGENT_METRICS_H

struct agent;
struct caller;
struct server_req;

void metrics_handle(struct agent *a, struct server_req *r, const struct caller *c);

#endif
