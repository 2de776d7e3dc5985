/* Which sessions each running workspace has: heard from the workspace itself, over its channel, whenever it changes.
 * Any thread. */
#ifndef PERRY_AGENT_STREAM_SESSIONS_H
#define PERRY_AGENT_STREAM_SESSIONS_H
#include <stdbool.h>

#include "base/json.h"

struct streams;

/* The workspace runs now, or does not any more: looked up by setup.running. While it runs its channel is open, and what
 * it tells of its sessions is told to setup.sessions. */
void sessions_follow(struct streams *s, const char *workspace);
/* [{id, name, command, program, created, input, output (seconds), cols, rows, attached, busy, bell}], as told last: the
 * workspace's word, bounded. Never NULL; caller frees. */
cJSON *sessions_look(struct streams *s, const char *workspace);

/* The same list out of what a workspace says; NULL: it is none. */
cJSON *sessions_parse(const char *line, size_t n);
/* May what a workspace says be a session's id: 1 to 31 letters, digits, - and _? NULL is none. */
bool sessions_id_ok(const char *id);

#endif
