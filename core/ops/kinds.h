/* The table of operation kinds: everybody who asks what an operation is asks here. The rules of claims (ops.h) are read
 * from it, too. A kind's program is the function of its name in lua/perry/lifecycle.lua, which finds the table as
 * op.kinds. */
#ifndef PERRY_OPS_KINDS_H
#define PERRY_OPS_KINDS_H
#include <stdbool.h>

/* Does it make a workspace? One that has to does not share the name with another that makes it. */
enum op_makes { MAKES_NONE, MAKES_MAYBE, MAKES_ALWAYS };
/* What the call that waited for it gets (agent/answer.c). */
enum op_answer {
	ANSWER_VIEW,    /* the workspace */
	ANSWER_SUCCESS, /* {"success": true}, and what only the operation knows */
	ANSWER_OWN,     /* what only the operation knows */
};

/* OP_KIND(name, claims, brings_up, makes, joins, cancels, cancellable, source, answer)
 * claims       it claims a workspace; the others are there once
 * brings_up    its steps are shown as the workspace's "startup"
 * joins        kinds that it joins while they are under way, instead of running beside them, when they do all that it
 *              is asked for
 * cancels      it ends what runs: a cancellable one that is under way is cancelled, waited for, and then it runs
 * cancellable  see cancels; one of the agent's own is also cancelled for anything else that somebody asks for
 * source       it holds the workspace that its input calls "sourceName" as well, together with others of its kind */
/* clang-format off */
#define OP_KINDS(OP_KIND) \
	OP_KIND(create,  true,  true,  MAKES_ALWAYS, 0,                             false, true,  false, ANSWER_VIEW) \
	OP_KIND(start,   true,  true,  MAKES_MAYBE,  OP_IS(create) | OP_IS(start),  false, true,  false, ANSWER_VIEW) \
	OP_KIND(restart, true,  true,  MAKES_NONE,   0,                             false, true,  false, ANSWER_VIEW) \
	OP_KIND(clone,   true,  true,  MAKES_ALWAYS, 0,                             false, true,  true,  ANSWER_VIEW) \
	OP_KIND(stop,    true,  false, MAKES_NONE,   0,                             true,  false, false, ANSWER_VIEW) \
	OP_KIND(delete,  true,  false, MAKES_NONE,   0,                             true,  false, false, ANSWER_SUCCESS) \
	OP_KIND(sync,    true,  false, MAKES_NONE,   0,                             false, true,  false, ANSWER_SUCCESS) \
	OP_KIND(prune,   false, false, MAKES_NONE,   OP_IS(prune),                  false, false, false, ANSWER_OWN) \
	OP_KIND(adopt,   false, false, MAKES_NONE,   0,                             false, false, false, ANSWER_OWN) \
	OP_KIND(build,   false, false, MAKES_NONE,   OP_IS(build),                  false, false, false, ANSWER_OWN)
/* clang-format on */

#define OP_KIND_ID(name, ...) OP_ID_##name,
enum op_kind_id { OP_KINDS(OP_KIND_ID) };
#undef OP_KIND_ID
#define OP_IS(name) (1u << OP_ID_##name)

struct op_kind {
	enum op_kind_id id;
	const char *name;
	bool claims, brings_up;
	enum op_makes makes;
	unsigned joins; /* OP_IS(...) of each */
	bool cancels, cancellable, source;
	enum op_answer answer;
};
extern const struct op_kind op_kinds[];               /* ends with name NULL */
const struct op_kind *op_kind_find(const char *name); /* or NULL, also for NULL */

#endif
