#include "agent/rpc/procedure.h"

#include <string.h>

#include "agent/rpc/handlers.h"
#include "agent/rpc/procedures.h"
#include "agent/rpc/schemas.h"

#define ROW(path, class, right, input, output, fn, summary) \
	{ path, PROCEDURE_##class, RIGHT_##right, input, output, proc_##fn, summary },
const struct procedure procedures[] = { PROCEDURES(ROW){ 0 } };

const struct procedure *procedure_find(const char *path)
{
	for (const struct procedure *p = procedures; p->path; p++)
		if (strcmp(p->path, path) == 0)
			return p;
	return NULL;
}

const cJSON *procedure_input(const struct procedure *p)
{
	return p->input ? schemas_get(p->input) : NULL;
}
