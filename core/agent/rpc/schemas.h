/* The API's schemas by name, from schemas.json, which travels in the binary. */
#ifndef PERRY_AGENT_SCHEMAS_H
#define PERRY_AGENT_SCHEMAS_H
#include "base/json.h"

#define SCHEMAS_REF "#/components/schemas/" /* what a $ref to one begins with */

/* One schema, with those that it refers to in their places: what schema_apply takes. Borrowed, for good; any thread.
 * The file is read at the first call. Aborts on a name that is not there: names are part of the program. */
const cJSON *schemas_get(const char *name);
/* All as they are written. Caller frees. */
cJSON *schemas_copy(void);

#endif
