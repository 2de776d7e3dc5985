/* Inside the policy process: layers with a Lua state each, the chain of a hook point, limits, and the one error record.
 */
#ifndef PERRY_POLICY_HOST_H
#define PERRY_POLICY_HOST_H
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "policy/contract/points.h"

#define HOST_MEMORY     (32u << 20)
#define HOST_MAX_LAYERS 64

struct layer;

struct hook {
	const struct point *point;
	const char *file; /* as shown to people: "~/.config/perry/hooks/hostname.lua", "built-in/hostname.lua" */
	const char *text;
	size_t len;
	struct layer *layer;
	const cJSON *answer; /* of a test's made-up layer, which has no function; or NULL */
	int ref;             /* the function in the layer's registry, or LUA_NOREF */
	int line;            /* where it answered, or began */
};

struct layer {
	struct host *host;
	const char *name;
	bool builtin;
	const cJSON *settings, *lib; /* lib: {"name": {"file", "text"}} */
	const cJSON *needs;          /* a pack's; NULL: the layer is no pack */
	lua_State *L;
	struct hook *hooks;
	size_t nhooks;
	int facts_ref;     /* the view of the facts of the current exchange, or LUA_NOREF */
	unsigned facts_of; /* ... which is this one */
};

/* Once one of them is spent, the hook and the base() calls around it are over. */
enum spent { SPENT_NONE, SPENT_INSTRUCTIONS, SPENT_TIME };

struct host {
	int fd;
	cJSON *opened; /* what the session began with; layers borrow from it */
	const cJSON *config;
	double time;
	struct layer *layers; /* highest first, built-in last */
	size_t nlayers;
	const cJSON *facts, *extra;
	unsigned exchange;
	cJSON *rows;               /* of the current exchange */
	const struct point *point; /* being answered */
	struct hook *hook;         /* running, or NULL */
	const char *loading;       /* a lib file being compiled, as shown */
	size_t logged;
	/* limits */
	struct hook_limits own_limits; /* of this session, instead of the points', when CPU time is not 0 */
	struct hook_limits limits;     /* of the hook that is running */
	size_t memory;
	int64_t instructions, cpu_end_us;
	enum spent spent;
	bool out_of_memory;
	char limit_file[256];
	int limit_line;
	volatile sig_atomic_t in_io; /* the socket is in the middle of a message */
	const char *coverage;        /* the layer whose lines are counted, for hooks test; or NULL */
	struct cover *cover;
	struct base *bases; /* of the hooks that are running, innermost first */
	lua_Integer base_ids;
	cJSON *raised; /* the record of the error that base() raised in the layer above, and its text */
	char *raised_text;
};

/* The host of the running process; signal handlers need it. */
extern struct host *the_host;

struct layer *layer_of(lua_State *L);

/* host.c: from the opening message to layers. -1: the message makes no sense. */
int host_open(struct host *h, cJSON *take_opened);
void host_close(struct host *h);
/* Further hooks, each with the number of its "layer". */
void host_add(struct host *h, cJSON *take_files);

/* chain.c */
/* Answers one point. each: all layers separately, for `hooks run`. 0 with *answer (caller's), or -1 with *record
 * (caller's). */
int chain_ask(struct host *h, const struct point *point, const cJSON *extra, bool each, cJSON **answer, cJSON **record);
int chain_plan(struct host *h, cJSON **plan, cJSON **record);
/* Compiles the hooks that a layer has for a point and runs their chunks, without calling them. */
int chain_load(struct host *h, const char *layer, const struct point *point, cJSON **record);

int chain_table(struct host *h, const char *layer, cJSON **answer, cJSON **record);

/* run.c: one hook, one protected call. */
struct base;
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
/* What base() of a running hook stands for. Lua holds its id only, so that a base() that was kept finds nothing. */
struct base {
	lua_Integer id;
	struct base *outer;
	struct hook **hooks;
	size_t n, level; /* the level below */
	const cJSON *extra;
	bool asked;
	cJSON *answer;
};
int base_compute(struct host *h, struct base *b, cJSON **record); /* chain.c */

/* coverage.c */
void coverage_loaded(lua_State *L, const char *file);
void coverage_ran(struct host *h, const char *file, int line);
cJSON *coverage_json(const struct host *h);
void coverage_free(struct host *h);

/* limits.c */
void *limits_alloc(void *host, void *p, size_t old, size_t wanted);
void limits_begin(struct host *h, const struct point *point);
void limits_watch(lua_State *L);
void limits_end(void);
void limits_signals(void);
const char *limits_text(const struct host *h, char out[160]); /* NULL when none was hit */

/* sandbox.c: pushes nothing; makes a state whose hooks find only what is allowed. NULL without memory. */
lua_State *sandbox_new(struct host *h, struct layer *layer);
/* Gives the function on top an environment of its own. May raise. */
void sandbox_environment(lua_State *L);

/* prims.c: pushes the table of perry's functions. May raise. */
void prims_push(lua_State *L);
/* A request to the agent. NULL with *why (caller's). */
cJSON *host_request(struct host *h, const char *name, cJSON *take_args, char **why);
int host_send(struct host *h, const cJSON *j);

extern const char refused_key; /* error objects of perry.refuse are {[this]=reason} */

#endif
