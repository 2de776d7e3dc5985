/* pairs and next in a fixed order: Lua's own differs from state to state, and with it every answer that is built in a
 * loop. */
#ifndef PERRY_POLICY_CHILD_LUAPAIRS_H
#define PERRY_POLICY_CHILD_LUAPAIRS_H
#include <lua.h>

/* Numbers first, then texts, then booleans. */
int lj_pairs(lua_State *L);
int lj_next(lua_State *L);

#endif
