/* What the hooks decided, beside what came of it. */
#ifndef PERRY_AGENT_PROC_POLICY_H
#define PERRY_AGENT_PROC_POLICY_H
#include "base/json.h"

struct call;

/* Adds "fields" to into: the plan field by field, with who decided each. into has the "decisions"; their environment is
 * hidden like the plan's. */
void call_explain(const struct call *c, cJSON *into, const cJSON *plan);

#endif
