/* JSON to Lua and back. Reading a Lua value uses raw access only: it cannot raise, call user code or allocate in Lua,
 * so C may own memory meanwhile. */
#ifndef PERRY_POLICY_LUAJSON_H
#define PERRY_POLICY_LUAJSON_H
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/json.h"

#define LJ_MAX_STRING (1u << 20)
#define LJ_MAX_TOTAL  (4u << 20)

/* Makes the metatables of this state. May raise. */
void lj_open(lua_State *L);

/* Pushes a plain value: a list keeps being one when it is empty. opaque: {"$secret": ...}, {"$concat": ...}, {"$key":
 * ...} become opaque values. May raise. */
void lj_push(lua_State *L, const cJSON *j, bool opaque);
/* Pushes a read-only view. path names it in errors ("ws.repo") and finds the fields that there may be
 * (policy/child/facts.h): one that is absent is nil, one that cannot exist is an error naming the nearest. opaque: as
 * above; for what hooks answered, never for what others wrote (labels, environments, events): there such a member is
 * data. May raise. */
void lj_push_facts(lua_State *L, const cJSON *j, bool opaque, const char *path);
/* Replaces the table on top by a read-only view whose unknown members are errors. May raise. */
void lj_protect(lua_State *L, const char *path);
/* Replaces the table on top ({"$secret": ...}) by an opaque value. May raise. */
void lj_seal(lua_State *L);
/* The table behind a view at idx, pushed; or the value itself. Raw. */
void lj_push_real(lua_State *L, int idx);
/* Marks the table at idx as a list. May raise. */
void lj_mark_array(lua_State *L, int idx);

/* The value at idx as JSON, the caller's; NULL with the reason in why ("answer.mounts[2]: ..."). Does not raise. */
cJSON *lj_get(lua_State *L, int idx, const char *path, struct buf *why);

#endif
