/* What a change of policy would do to the plans of many workspaces. */
#ifndef PERRY_POLICY_PREVIEW_H
#define PERRY_POLICY_PREVIEW_H
#include "policy/setup.h"

struct policy;

/* Makes each plan with two policies. subjects: [{"name", "facts": {"ws": {...}}, "plan"?}]; today NULL: the subject's
 * own "plan" (the one that its container was made by) is what the change is compared with. Touches nothing. *out:
 * {"ok", "workspaces": [{"name", "changes": [{"field","from"?,"to"?,"file"?,"line"?}], "refused"?, "was_refused"?
 * (error records with "text")}], "changed", "refused", "skipped", "ms"}; ok: no plan would be refused. skipped counts
 * the workspaces that a deadline left out. -1: a policy could not be loaded at all. */
int policy_preview(struct policy *p, const struct policy_setup *today, const struct policy_setup *changed,
		   const cJSON *subjects, cJSON **out, struct perry_err **err);

/* A folder of hooks, or a pack (a folder with hooks/ in it), as a layer that can travel: {"name"?, "pack"?, "files":
 * [{"point","file", "text"}], "lib"?}; name: of a pack, pack: the text of its pack.json. The caller's. PERRY_EPOLICY
 * names the file that is refused. */
int policy_pack_up(const char *dir, cJSON **out, struct perry_err **err);
/* The layer that it is, borrowed from packed, with settings and needs by pack.json and config. PERRY_EINPUT when it is
 * not what policy_pack_up makes: it may come from outside. */
int policy_packed_layer(cJSON *packed, const cJSON *config, struct policy_layer *out, struct perry_err **err);

#endif
