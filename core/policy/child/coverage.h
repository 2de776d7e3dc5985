/* Which lines of the hooks under test can run, and which did. Only `hooks test` asks for it. */
#ifndef PERRY_POLICY_CHILD_COVERAGE_H
#define PERRY_POLICY_CHILD_COVERAGE_H
#include "policy/child/host.h"

/* The function that was just compiled from file is on top of the stack. */
void coverage_loaded(lua_State *L, const char *file);
void coverage_ran(struct host *h, const char *file, int line);
cJSON *coverage_json(const struct host *h); /* {file: " --+"}, or NULL when nobody asked */
void coverage_free(struct host *h);

#endif
