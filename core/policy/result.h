/* The types of the answers of hook points. Both sides check: the child, so that the error names the file that answered
 * wrongly, and the agent, because it believes nothing the child says. */
#ifndef PERRY_POLICY_RESULT_H
#define PERRY_POLICY_RESULT_H
#include "base/buf.h"
#include "base/json.h"

/* Checks *answer against a result type of policy/points.h and brings it into its canonical form (sizes in bytes,
 * defaults filled in, lists sorted where order means nothing). 0, or -1 with "answer.memory: expected size, got
 * boolean" in why; *answer is then as it was or half changed. */
int result_check(const char *type, cJSON **answer, struct buf *why);

/* For the types with a shape of their own (result_container.c). */
int result_container(cJSON *spec, struct buf *why);

/* Shared: closed tables. */
struct field {
	const char *name;
	const char *type; /* "string", "boolean", "number", "size", "count", "list", "map", "any" */
};
/* Every member is in fields (ends with name NULL) and of its type; sizes become bytes; an empty object where a list is
 * expected becomes a list. */
int result_fields(cJSON *obj, const char *path, const struct field *fields, struct buf *why);
int result_wrong(struct buf *why, const char *path, const char *expected, const cJSON *got);

#endif
