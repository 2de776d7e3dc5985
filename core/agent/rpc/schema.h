/* The part of JSON Schema that the API's inputs use, and its complaints in the form that existing clients read (zod's
 * issues: codes, messages, paths). Understood: type, enum, const, anyOf, properties, required, additionalProperties,
 * items, default, minimum, maximum, minLength, maxLength, minItems, maxItems, pattern, and the formats
 * "workspace-name", "workspace-name-or-host" and "clone-url" (no credentials in it). References were followed before
 * (schemas.h). */
#ifndef PERRY_AGENT_SCHEMA_H
#define PERRY_AGENT_SCHEMA_H
#include "base/json.h"

/* Checks value (NULL: undefined) and gives what the handler gets: unknown keys left out, keys in the schema's order,
 * names trimmed, defaults put in. Complaints are pushed to issues (array); without one the result is valid (NULL for an
 * undefined that may be). Caller frees. */
cJSON *schema_apply(const cJSON *schema, const cJSON *value, cJSON *issues);

#endif
