/* A plan, field by field, with the layer that each comes from. */
#ifndef PERRY_POLICY_TOOL_FIELDS_H
#define PERRY_POLICY_TOOL_FIELDS_H
#include "base/json.h"

/* The fields of a plan, [{"field","value","layer"?,"file"?,"line"?,"over"?: {"value","layer"}}]: "image", "join",
 * "hostname", "env.NAME", "container.memory" ... A field is its layer's that last changed it; over: what stood below.
 * rows are the decisions that made the plan. The caller's. */
cJSON *policy_fields(const cJSON *plan, const cJSON *rows);

#endif
