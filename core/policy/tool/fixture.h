/* A made-up workspace for checks and tests: every field of the facts is there. */
#ifndef PERRY_POLICY_TOOL_FIXTURE_H
#define PERRY_POLICY_TOOL_FIXTURE_H
#include "base/json.h"

/* The facts, and the further argument of the point. Caller frees both. */
cJSON *policy_fixture_facts(void);
cJSON *policy_fixture_extra(const char *point);

#endif
