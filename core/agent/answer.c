#include "agent/answer.h"

#include <string.h>

#include "agent/internal.h"
#include "agent/view.h"
#include "base/mem.h"
#include "ops/kinds.h"
#include "ops/ops.h"

void answer_add_warnings(cJSON *to, const cJSON *warnings)
{
	if (warnings && warnings->child)
		json_set(to, "warnings", cJSON_Duplicate(warnings, 1));
}

/* own: what only the operation knows, or NULL. */
static int make(struct agent *a, const struct op_kind *kind, const char *workspace, const cJSON *own,
		const cJSON *warnings, cJSON **out, struct perry_err **err)
{
	if (kind->answer == ANSWER_VIEW) {
		if (workspace_get_view(a, workspace, false, out, err) < 0)
			return -1;
	} else {
		*out = cJSON_CreateObject();
		if (kind->answer == ANSWER_SUCCESS)
			json_set_bool(*out, "success", true);
		if (own)
			json_merge(*out, own);
	}
	answer_add_warnings(*out, warnings);
	return 0;
}

int answer_of(struct agent *a, const struct op *op, cJSON **out, struct perry_err **err)
{
	return make(a, op_kind(op), op_workspace(op), op_result(op), op_warnings(op), out, err);
}

void answer_into(struct agent *a, cJSON *record)
{
	const struct op_kind *kind = op_kind_find(json_str(record, "kind"));
	cleanup_json cJSON *own = cJSON_DetachItemFromObjectCaseSensitive(record, "result");
	cJSON *answer = NULL;
	/* A workspace that is gone meanwhile has no view. */
	if (kind && str_eq(json_str(record, "state"), "done"))
		make(a, kind, json_str_or(record, "workspace", ""), own, json_at(record, "warnings"), &answer, NULL);
	json_set(record, "result", answer);
}
