/* What a call that waits for an operation gets, which is what operations/get, wait and list show as its "result". */
#ifndef PERRY_AGENT_ANSWER_H
#define PERRY_AGENT_ANSWER_H
#include "base/err.h"
#include "base/json.h"

struct agent;
struct op;

/* Of one that ended well. *out is the caller's. */
int answer_of(struct agent *a, const struct op *op, cJSON **out, struct perry_err **err);
/* Puts the answer of a journalled operation that ended well into its record, in the place of what only the operation
 * knew. */
void answer_into(struct agent *a, cJSON *record);
/* Adds "warnings" when there are some: [{"step","message","mend"}]. */
void answer_add_warnings(cJSON *to, const cJSON *warnings);

#endif
