/* The types of the answers of hook points. Both sides check: the child, so that the error names the file that answered
 * wrongly, and the agent, because it believes nothing the child says. */
#ifndef PERRY_POLICY_CONTRACT_RESULT_H
#define PERRY_POLICY_CONTRACT_RESULT_H
#include "base/buf.h"
#include "base/json.h"

/* Checks *answer against a result type of policy/contract/points.h and brings it into its canonical form (sizes in
 * bytes, defaults filled in, lists sorted where order means nothing). 0, or -1 with "answer.memory: expected size, got
 * boolean" in why; *answer is then as it was or half changed. */
int result_check(const char *type, cJSON **answer, struct buf *why);

#endif
