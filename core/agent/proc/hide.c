#include "agent/proc/hide.h"

#include "agent/rpc/call.h"
#include "base/secret.h"

void call_hide_values(const struct call *c, cJSON *env)
{
	cJSON *v;
	cJSON_ArrayForEach(v, env)
		if (!c->caller.owner && cJSON_IsString(v))
			cJSON_SetValuestring(v, SECRET_MASK);
}
