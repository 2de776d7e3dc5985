/* What a procedure is, and the table of them (its rows: procedures.h). */
#ifndef PERRY_AGENT_PROCEDURE_H
#define PERRY_AGENT_PROCEDURE_H
#include "agent/who/auth.h"
#include "base/err.h"
#include "base/json.h"

struct call;

enum procedure_class {
	PROCEDURE_NOW, /* answered from memory, on the server's thread */
	PROCEDURE_JOB, /* waits for the store, the engine or the disk: a thread of its own */
	/* The same until an operation is submitted; answered when that ends, or at once with `Prefer: respond-async`.
	 */
	PROCEDURE_OPERATION,
};

struct procedure {
	const char *path; /* "workspaces/create" */
	enum procedure_class class;
	enum right right;
	const char *input;  /* name of a schema, NULL: no input */
	const char *output; /* name of a schema */
	/* Gives the answer in *out; an operation's handler sets call->op instead. */
	int (*fn)(struct call *c, cJSON **out, struct perry_err **err);
	const char *summary;
};
extern const struct procedure procedures[]; /* ends with path NULL */
const struct procedure *procedure_find(const char *path);
const cJSON *procedure_input(const struct procedure *p); /* for schema_apply; NULL: no input */

#endif
