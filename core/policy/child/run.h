/* One hook: loaded when first needed, called in protected mode, its error made into the one record that everybody
 * shows. */
#ifndef PERRY_POLICY_CHILD_RUN_H
#define PERRY_POLICY_CHILD_RUN_H
#include "policy/child/host.h"

/* What base() of a running hook stands for. Lua holds its id only, so that a base() that was kept finds nothing. */
struct base {
	lua_Integer id;
	struct base *outer;
	/* Asks the layers below, into answer; when it is called for the first time. */
	int (*compute)(struct host *h, struct base *b, cJSON **record);
	struct hook **hooks;
	size_t n, level; /* the level below */
	const cJSON *extra;
	bool asked;
	cJSON *answer;
};
struct run {
	struct hook *hook;
	const cJSON *extra; /* or NULL */
	struct base *base;  /* or NULL: the hook gets no base */
	bool load_only;
	bool table;    /* the chunk's own result is the answer */
	cJSON *answer; /* first result */
	char *reason;  /* second result, when it is a text */
};
/* 0, or -1 with *record. */
int run_hook(struct host *h, struct run *run, cJSON **record);
/* A record of the current hook. */
cJSON *record_new(const struct host *h, const struct hook *hook, const char *file, int line, const char *message);

#endif
