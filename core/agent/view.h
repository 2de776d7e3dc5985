/* A workspace as the API shows it: the fields, names and order that existing clients know, then ours when there is
 * something to say. */
#ifndef PERRY_AGENT_VIEW_H
#define PERRY_AGENT_VIEW_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"

struct agent;

/* details: with "startup" and the rest of list and get. Caller frees. */
cJSON *workspace_view(const cJSON *record, bool details);
/* The same as text, malloc's: the fleet keeps it until the record changes. */
char *workspace_view_text(const cJSON *record);
int workspace_get_view(struct agent *a, const char *name, bool details, cJSON **out, struct perry_err **err);
bool workspace_is_running(const cJSON *record);

/* What its container may take, as "limits": of cpus, memory (bytes) and pids those that are limited. */
void workspace_put_limits(cJSON *out, const cJSON *record);

#endif
