/* perry.*: what hooks can ask. Requests to the agent are values in and values out; the agent checks each again and does
 * it. */
#ifndef PERRY_POLICY_CHILD_PRIMS_H
#define PERRY_POLICY_CHILD_PRIMS_H
#include "policy/child/host.h"

/* Pushes the table of perry's functions. May raise. */
void prims_push(lua_State *L);

extern const char refused_key; /* error objects of perry.refuse are {[this]=reason} */

#endif
