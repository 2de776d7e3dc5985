/* What listens: taken over from a workspace's report, decided on, announced, and turned into forwards. */
#ifndef PERRY_AGENT_WATCH_PORTS_H
#define PERRY_AGENT_WATCH_PORTS_H
#include "agent/watch/line.h"
#include "agent/watch/state.h"
#include "base/json.h"

void watcher_ports(struct entry *e, const struct watch_line *line);
/* Tells the workspace which forwards to keep, when that has changed. */
void watcher_forwards(struct entry *e);
/* As watchers_look shows it. Any thread; the caller frees. */
cJSON *watcher_listener(const struct seen *s);

#endif
