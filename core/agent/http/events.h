/* GET /events: what happens, as server-sent events. First what the store still has (after Last-Event-ID, or ?since=),
 * then live. ?workspace=NAME: of one workspace; ?follow=0: ends after what is stored. ?stats=1: with what
 * workspaces take of the machine, ?stats=only: nothing else. */
#ifndef PERRY_AGENT_EVENTS_H
#define PERRY_AGENT_EVENTS_H

struct agent;
struct caller;
struct server_req;

void events_handle(struct agent *a, struct server_req *r, const struct caller *c);

#endif
