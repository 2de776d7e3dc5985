/* Table tests of hooks (`perry hooks test`). A test file returns a list of cases; it runs in the policy process like a
 * hook, so it can do no more than one. */
#ifndef PERRY_POLICY_TOOL_TEST_H
#define PERRY_POLICY_TOOL_TEST_H
#include "base/err.h"
#include "base/json.h"

struct policy;

/* Table tests: DIR's *_test.lua and those in DIR/tests, against the hooks of DIR (or DIR/hooks).
 * *out: {"ok", "passed", "failed", "tests": [{"file","name","ok","message"?}], "coverage": {"points", "tested",
 * "lines", "run", "files": [{"file", "lines", "run", "missed": [line]}]}}. */
int policy_test(struct policy *p, const char *dir, cJSON **out, struct perry_err **err);

#endif
