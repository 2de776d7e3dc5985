#include "agent/rejoin.h"

#include <stdlib.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/jobs.h"
#include "agent/view.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "ops/fleet.h"
#include "ops/ops.h"

/* A workspace that has its turn once an operation has ended. */
struct turn {
	struct agent *agent;
	char *name;
};

static void turn_free(struct turn *t)
{
	free(t->name);
	free(t);
}

static void rejoin_one(struct agent *a, const char *name);

static void take_turn(void *turn)
{
	struct turn *t = turn;
	rejoin_one(t->agent, t->name);
	turn_free(t);
}

/* On the thread of the operation, which has let go of its workspace. */
static void operation_ended(void *turn, struct op *op)
{
	struct turn *t = turn;
	(void)op;
	if (!jobs_run(t->agent->jobs, take_turn, t))
		turn_free(t);
}

static void rejoin_after(struct agent *a, const char *name, const char *operation)
{
	struct op *op = ops_find(a->ops, operation);
	if (!op)
		return;
	struct turn *t = xcalloc(1, sizeof *t);
	*t = (struct turn){ a, xstrdup(name) };
	op_on_end(op, operation_ended, t);
	op_unref(op);
}

/* The id of the operation that has the workspace, the caller's, or NULL. */
static char *under_way(struct agent *a, const char *name)
{
	cleanup_json cJSON *running = ops_running(a->ops);
	const cJSON *op;
	cJSON_ArrayForEach(op, running) {
		if (str_eq(json_str(op, "workspace"), name))
			return xstrdup(json_str_or(op, "id", ""));
	}
	return NULL;
}

static void rejoin_one(struct agent *a, const char *name)
{
	cleanup_json cJSON *record = NULL, *input = cJSON_CreateObject(), *caller = cJSON_CreateObject();
	cleanup_err struct perry_err *err = NULL;
	cleanup_free char *other = under_way(a, name);
	struct op *op = NULL;
	if (other) {
		rejoin_after(a, name, other);
		return;
	}
	if (fleet_get(a->fleet, name, &record, NULL) < 0 || !str_eq(json_str(record, "tailnet.state"), "failed") ||
	    !workspace_is_running(record))
		return;
	json_set_str(input, "reason", "tailnet");
	json_set_str(caller, "kind", "agent");
	/* A start of what runs does nothing but this. */
	if (ops_submit(a->ops, "start", name, input, caller, &op, &err) == 0)
		op_unref(op);
	else if (json_str(err->data, "operation"))
		rejoin_after(a, name, json_str(err->data, "operation"));
	else
		log_debug("agent", "%s: not joined again: %s", name, perry_msg(err));
}

static void rejoin_all(void *agent)
{
	struct agent *a = agent;
	cleanup_json cJSON *all = fleet_list(a->fleet);
	const cJSON *record;
	cJSON_ArrayForEach(record, all)
		rejoin_one(a, json_str_or(record, "name", ""));
}

static void config_changed(void *agent, const struct config *before, const struct config *now)
{
	struct agent *a = agent;
	if (!json_equal(config_get(before, "tailscale"), config_get(now, "tailscale")))
		jobs_run(a->jobs, rejoin_all, a);
}

void agent_rejoin_open(struct agent *a)
{
	agent_config_on_change(a, config_changed, a);
}
