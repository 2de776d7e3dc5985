/* What holds a policy process, tried each time. */
#ifndef PERRY_POLICY_CONFINEMENT_H
#define PERRY_POLICY_CONFINEMENT_H
#include "base/json.h"

struct policy;

/* What is in force: {"seccomp": true, "no_new_privs": true, "forbidden": {"open": true, ...}, ...}; the caller's. */
cJSON *policy_confinement(const struct policy *p);

#endif
