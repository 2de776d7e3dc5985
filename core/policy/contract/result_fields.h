/* Closed tables: which members an answer may have, and of which types. */
#ifndef PERRY_POLICY_CONTRACT_RESULT_FIELDS_H
#define PERRY_POLICY_CONTRACT_RESULT_FIELDS_H
#include "base/buf.h"
#include "base/json.h"

struct field {
	const char *name;
	const char *type; /* "string", "boolean", "number", "size", "count", "list", "map", "any" */
};
/* Every member is in fields (ends with name NULL) and of its type; sizes become bytes; an empty object where a list is
 * expected becomes a list. */
int result_fields(cJSON *obj, const char *path, const struct field *fields, struct buf *why);
int result_wrong(struct buf *why, const char *path, const char *expected, const cJSON *got);
/* An empty Lua table is a list or a map, as the place wants it. */
void result_as_list(cJSON *j);
void result_as_map(cJSON *j);

#endif
