/* What `perry hooks check` and `run` do: the same policy process, without an agent. Results are JSON for the
 * CLI to print. */
#ifndef PERRY_POLICY_TOOL_H
#define PERRY_POLICY_TOOL_H
#include "policy/setup.h"

struct policy;

/* Every hook file of the folders: names, owners, header, syntax, and that each returns a function. strict: notes count
 * as errors, and each hook is asked about a made-up workspace. A folder with a hooks/ folder in it is a pack, whose
 * lib/ serves require. *out: {"ok", "files": [{"file","point","ok","error"?,"line"?,"notes": [text]}], "problems":
 * [{"file","message","nearest"?}]}. */
int policy_check(struct policy *p, const char *const *dirs, bool strict, cJSON **out, struct perry_err **err);

/* One point, and what each layer would answer. facts NULL: a made-up workspace. extra NULL: made-up too.
 * *out: {"point", "answer"?, "error"?: record (its message with place and context), "layers":
 * [{"layer","file","line","answer"|"error"}], highest first}. */
int policy_run(struct policy *p, const struct policy_setup *setup, const char *point, const cJSON *facts,
	       const cJSON *extra, cJSON **out, struct perry_err **err);

#endif
