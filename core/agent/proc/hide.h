/* What was asked for may hold secrets in its environment: only the owner sees the values. */
#ifndef PERRY_AGENT_HIDE_H
#define PERRY_AGENT_HIDE_H
#include "base/json.h"

struct call;

void call_hide_values(const struct call *c, cJSON *env); /* {name: value}, or NULL */

#endif
