/* Inside the policy process: the session that it serves, its layers with a Lua state and hooks each. */
#ifndef PERRY_POLICY_CHILD_HOST_H
#define PERRY_POLICY_CHILD_HOST_H
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/json.h"
#include "policy/contract/points.h"

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

/* Whose state it is. */
static inline struct layer *layer_of(lua_State *L)
{
	struct layer *layer;
	memcpy(&layer, lua_getextraspace(L), sizeof layer);
	return layer;
}

/* From the opening message to layers. -1: the message makes no sense. */
int host_open(struct host *h, cJSON *take_opened);
void host_close(struct host *h);
/* Further hooks, each with the number of its "layer". */
void host_add(struct host *h, cJSON *take_files);
/* A message to the agent; ends the process when that has closed the session. */
void host_send(struct host *h, const cJSON *j);

#endif
