/* States whose hooks find only what is allowed. */
#ifndef PERRY_POLICY_CHILD_SANDBOX_H
#define PERRY_POLICY_CHILD_SANDBOX_H
#include "policy/child/host.h"

/* Pushes nothing. NULL without memory. */
lua_State *sandbox_new(struct host *h, struct layer *layer);
/* Gives the function on top an environment of its own. May raise. */
void sandbox_environment(lua_State *L);

#endif
