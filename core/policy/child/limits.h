/* Limits of a hook, twice: here in Lua for a good message, and by signals for what Lua cannot interrupt. */
#ifndef PERRY_POLICY_CHILD_LIMITS_H
#define PERRY_POLICY_CHILD_LIMITS_H
#include "policy/child/host.h"

#define HOST_MEMORY (32u << 20)

/* For the signal handlers: whose hooks they end. Once, before anything runs. */
void limits_signals(struct host *h);
void *limits_alloc(void *host, void *p, size_t old, size_t wanted);
void limits_begin(struct host *h, const struct point *point);
void limits_watch(lua_State *L);
void limits_end(void);
const char *limits_text(const struct host *h, char out[160]); /* NULL when none was hit */

#endif
