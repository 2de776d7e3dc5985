/* What hooks there are. Needs no policy process. */
#ifndef PERRY_POLICY_INVENTORY_H
#define PERRY_POLICY_INVENTORY_H
#include "base/json.h"
#include "policy/setup.h"

/* The table of hook points (policy/contract/points.h, an X-macro): [{name, kind, result, on_error, instructions,
 * cpu_ms, deadline_ms, since, summary}]. Caller frees. */
cJSON *policy_points(void);
/* Which files answer what: [{point, kind, layers: [{layer, file, hash, state}]}], and problems (misspelt names, refused
 * files). Needs no process. */
cJSON *policy_inventory(const struct policy_setup *setup);
/* Has any layer but the built-in one a hook for this point? */
bool policy_others_have(const cJSON *inventory, const char *point);

#endif
