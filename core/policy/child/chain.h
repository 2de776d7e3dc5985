/* The chain of a hook point: which hooks answer, in which order, and what comes of it. */
#ifndef PERRY_POLICY_CHILD_CHAIN_H
#define PERRY_POLICY_CHILD_CHAIN_H
#include "policy/child/host.h"

/* Answers one point. each: all layers separately, for `hooks run`. 0 with *answer (caller's), or -1 with *record
 * (caller's). */
int chain_ask(struct host *h, const struct point *point, const cJSON *extra, bool each, cJSON **answer, cJSON **record);
int chain_plan(struct host *h, cJSON **plan, cJSON **record);
/* Compiles the hooks that a layer has for a point and runs their chunks, without calling them. */
int chain_load(struct host *h, const char *layer, const struct point *point, cJSON **record);
/* What the first file of a layer returns, no function: the cases of a test file. */
int chain_table(struct host *h, const char *layer, cJSON **answer, cJSON **record);

#endif
