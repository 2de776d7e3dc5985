/* What the authorize hooks leave of a caller's rights. Their answers are remembered until the configuration or a hook
 * is another one. Any thread; what is said to wait waits for the policy process. */
#ifndef PERRY_AGENT_DECISIONS_H
#define PERRY_AGENT_DECISIONS_H
#include <stdbool.h>

#include "base/json.h"

struct agent;
struct caller;
struct decisions;

struct decisions *decisions_new(struct agent *a);
void decisions_free(struct decisions *d);
/* Looks at the files; another number than before: what was decided then may not hold any more. */
unsigned decisions_epoch(struct decisions *d);

/* A caller on the tailnet, as facts {"req":{"caller","node"}} have it (req.kind is put in): sets its rights, and why
 * not more. Waits. */
void decisions_find(struct decisions *d, cJSON *facts, struct caller *c);

/* A caller who needs no tailscaled ("local", "token", "session"): takes away what the hooks do not leave; the built-in
 * one leaves all. From memory; false: ask decisions_limit_find, which waits. */
bool decisions_limit_known(struct decisions *d, struct caller *c);
void decisions_limit_find(struct decisions *d, struct caller *c);

#endif
