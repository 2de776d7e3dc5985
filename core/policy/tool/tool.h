/* What `perry hooks check`, `run` and `test` do: the same policy process, without an agent. Results are JSON for the
 * CLI to print. */
#ifndef PERRY_POLICY_TOOL_H
#define PERRY_POLICY_TOOL_H
#include "policy/policy.h"

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

/* Table tests: DIR's *_test.lua and those in DIR/tests, against the hooks of DIR (or DIR/hooks).
 * *out: {"ok", "passed", "failed", "tests": [{"file","name","ok","message"?}], "coverage": {"points", "tested",
 * "lines", "run", "files": [{"file", "lines", "run", "missed": [line]}]}}. */
int policy_test(struct policy *p, const char *dir, cJSON **out, struct perry_err **err);

/* A made-up workspace: facts with every field, and the further argument of the point. Caller frees both. */
cJSON *policy_fixture_facts(void);
cJSON *policy_fixture_extra(const char *point);

#endif
