#include "agent/sync.h"

#include <string.h>
#include <time.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/jobs.h"
#include "agent/view.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "ops/fleet.h"
#include "ops/ops.h"

enum { GATHER_MS = 1500 };

static void sync_all(struct agent *a)
{
	cleanup_json cJSON *records = fleet_list(a->fleet), *caller = cJSON_CreateObject(),
			   *nothing = cJSON_CreateObject();
	const cJSON *record;
	json_set_str(caller, "kind", "agent");
	cJSON_ArrayForEach(record, records) {
		const char *name = json_str_or(record, "name", "");
		cleanup_err struct perry_err *e = NULL;
		struct op *op = NULL;
		if (!workspace_is_running(record))
			continue;
		if (ops_submit(a->ops, "sync", name, nothing, caller, &op, &e) < 0)
			log_warn("sync", "%s: %s", name, perry_msg(e));
		if (op)
			op_unref(op);
	}
}

static void gather(void *arg)
{
	struct agent *a = arg;
	struct timespec pause = { GATHER_MS / 1000, (GATHER_MS % 1000) * 1000000L };
	if (!atomic_load(&a->stopping))
		nanosleep(&pause, NULL);
	/* From here on a change asks again. */
	atomic_store(&a->sync_asked, false);
	if (!atomic_load(&a->stopping))
		sync_all(a);
}

void agent_sync_soon(struct agent *a)
{
	if (!atomic_exchange(&a->sync_asked, true) && !jobs_run(a->jobs, gather, a))
		atomic_store(&a->sync_asked, false);
}

/* --- the tailnet --- */

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

static void config_changed(void *agent, const struct config *before, const struct config *now)
{
	struct agent *a = agent;
	if (!json_equal(config_get(before, "tailscale"), config_get(now, "tailscale")))
		jobs_run(a->jobs, rejoin, a);
}

void agent_sync_open(struct agent *a)
{
	agent_config_on_change(a, config_changed, a);
}
