/* The key, or what else decides how workspaces join the tailnet, has changed: those whose join failed try again. */
#include <string.h>

#include "agent/internal.h"
#include "base/log.h"
#include "base/mem.h"

static void rejoin(void *agent)
{
	struct agent *a = agent;
	cleanup_json cJSON *all = fleet_list(a->fleet), *input = cJSON_CreateObject(), *caller = cJSON_CreateObject();
	const cJSON *record;
	json_set_str(input, "reason", "tailnet");
	json_set_str(caller, "kind", "agent");
	cJSON_ArrayForEach(record, all) {
		cleanup_err struct perry_err *err = NULL;
		struct op *op = NULL;
		const char *name = json_str_or(record, "name", "");
		if (!str_eq(json_str(record, "tailnet.state"), "failed") || !workspace_is_running(record))
			continue;
		/* A start of what runs does nothing but this. One that is busy has it before it. */
		if (ops_submit(a->ops, "start", name, input, caller, &op, &err) == 0)
			op_unref(op);
		else
			log_debug("agent", "%s: not joined again: %s", name, perry_msg(err));
	}
}

void agent_tailnet_changed(struct agent *a, const struct config *before, const struct config *now)
{
	if (!json_equal(config_get(before, "tailscale"), config_get(now, "tailscale")))
		jobs_run(a->jobs, rejoin, a);
}
