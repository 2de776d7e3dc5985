#include "agent/sync.h"

#include <time.h>

#include "agent/internal.h"
#include "agent/jobs.h"
#include "agent/view.h"
#include "base/json.h"
#include "base/log.h"
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
