/* Procedures on what listens in workspaces. */
#include <string.h>

#include "agent/handlers.h"
#include "agent/ports.h"
#include "agent/watchers.h"
#include "base/mem.h"

int proc_ports_list(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	if (call_workspace(c, "name", &record, err) < 0)
		return -1;
	*out = agent_ports(c->a, record);
	return 0;
}
