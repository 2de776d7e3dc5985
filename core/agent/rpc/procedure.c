#include "agent/rpc/procedure.h"

#include <stdatomic.h>
#include <string.h>

#include "agent/rpc/handlers.h"
#include "agent/rpc/procedures.h"
#include "agent/rpc/schema.h"

#define ROW(path, class, right, input, output, fn, summary) \
	{ path, PROCEDURE_##class, RIGHT_##right, input, output, proc_##fn, summary },
const struct procedure procedures[] = { PROCEDURES(ROW){ 0 } };

#define ONE(...) +1
enum { N_PROCEDURES = 0 PROCEDURES(ONE) };
static _Atomic(cJSON *) inputs[N_PROCEDURES];

const struct procedure *procedure_find(const char *path)
{
	for (const struct procedure *p = procedures; p->path; p++)
		if (strcmp(p->path, path) == 0)
			return p;
	return NULL;
}

const cJSON *procedure_input(const struct procedure *p)
{
	_Atomic(cJSON *) *slot = &inputs[p - procedures];
	cJSON *known = atomic_load(slot);
	if (known || !p->input)
		return known;
	cJSON *fresh = schema_text(p->input), *none = NULL;
	if (atomic_compare_exchange_strong(slot, &none, fresh))
		return fresh;
	cJSON_Delete(fresh); /* another thread was quicker */
	return none;
}
