/* The handlers that the table of procedures names: proc/. */
#ifndef PERRY_AGENT_HANDLERS_H
#define PERRY_AGENT_HANDLERS_H
#include "agent/rpc/procedures.h"
#include "base/err.h"
#include "base/json.h"

struct call;

#define DECLARE(path, class, right, input, output, fn, summary) \
	int proc_##fn(struct call *c, cJSON **out, struct perry_err **err);
PROCEDURES(DECLARE)
#undef DECLARE

#endif
