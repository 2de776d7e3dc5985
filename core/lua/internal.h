/* What the files of core/lua share. Rule of the bindings: a Lua call may raise (longjmp), so no cleanup attribute is
 * alive across one. A binding takes its arguments, makes a box (a userdata that owns what C allocates), calls the core
 * into it, and only then makes Lua values. */
#ifndef PERRY_LUA_INTERNAL_H
#define PERRY_LUA_INTERNAL_H
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/secret.h"
#include "config/config.h"
#include "docker/docker.h"
#include "lua/lua.h"
#include "net/http.h"
#include "ops/ops.h"
#include "policy/policy.h"

struct background;
struct compiled;
struct embedded;
struct tools;

struct lua_host {
	struct lua_setup setup;
	char *config_dir, *step, *tailscale_dir, *machine_hooks;
	char hostname[256];
	char run_id[17]; /* of this life of the agent: helpers of an earlier one are nobody's */
	struct background *background;
	struct ops *ops;            /* set with engine_sub */
	struct hub_sub *engine_sub; /* the engine's coming and going */
	bool engine_lost;           /* under the hub's lock */
	pthread_mutex_t lock;       /* of the members below; never held across a call that blocks */
	struct tools *tools;        /* what the tools volume holds, or NULL: not looked yet */
	bool tools_seen;            /* complete */
	struct compiled *compiled;  /* modules of ours, only added to */
	cJSON *engine;              /* facts of the engine, see run_engine; NULL: not asked yet */
	/* Of locked(); held across engine calls on purpose. */
	pthread_mutex_t tools_lock, networks_lock, back_lock, pause_lock;
	pthread_mutex_t spare_lock;
	cJSON *spares; /* networks that are ready, [{name, subnet}], or NULL */
};

/* One entry into Lua: an operation, a dry run, a background job. Reached from a state through run_of. */
struct run {
	struct lua_host *host;
	struct op *op;           /* or NULL */
	struct ops *ops;         /* background jobs of the boot only */
	struct config *config;   /* one snapshot for the whole run */
	struct lua_hooks *hooks; /* opened at the first question */
	cJSON *decisions;        /* rows that are not stored yet */
	const char *module, *function;
	cJSON *arg; /* borrowed */
	cJSON *result;
	struct perry_err *err;
};
struct run *run_of(lua_State *L);
/* compiled.c. Like luaL_loadbuffer of a file of ours; chunk: its name for errors. */
int compiled_load(lua_State *L, struct lua_host *h, const struct embedded *file, const char *chunk);
void compiled_free(struct lua_host *h);
/* Calls function of lua/perry/MODULE.lua with arg in a fresh state. */
int run_lua(struct lua_host *h, struct op *op, struct ops *ops, const char *module, const char *function,
	    const cJSON *arg, cJSON **result, struct perry_err **err);
const char *run_workspace(const struct run *r); /* or NULL */

/* The box: everything that a binding's C half allocates. Freed when it returns through box_... or when Lua collects it.
 */
struct box {
	cJSON *in, *in2, *out;
	struct perry_err *err;
	struct buf buf;
	struct docker_exec_result exec;
	struct tar *tar;
	struct docker_stream *stream;
	char *text;
	char **list; /* NULL-terminated, elements owned */
};
void box_open(lua_State *L);
struct box *box_new(lua_State *L);                 /* pushes it */
void box_clear(struct box *b);                     /* frees the content now */
int box_raise(lua_State *L, struct box *b);        /* raises b->err as a Lua error; never returns */
int box_ok(lua_State *L, struct box *b, int rc);   /* raises when rc < 0, else 0 values */
int box_json(lua_State *L, struct box *b, int rc); /* raises when rc < 0, else one value from b->out */
int box_text(lua_State *L, struct box *b, int rc, const char *text);
/* As box_json, with nil for PERRY_ENOTFOUND. */
int box_found(lua_State *L, struct box *b, int rc);

/* Errors as Lua values: {code, message, data, status} with a metatable. */
void err_push(lua_State *L, const struct perry_err *e); /* may raise (memory) */
/* The error value at idx as ours; other values become PERRY_EINTERNAL with their text. Does not raise. */
struct perry_err *err_of_value(lua_State *L, int idx);

/* JSON and Lua. null is json.null, lists carry a metatable so that an empty one stays a list. */
void json_open(lua_State *L);
void json_push_value(lua_State *L, const cJSON *j); /* may raise */
/* The value at idx; -1 with *err for what is no JSON (functions, cycles, mixed keys). Raw access only: does not raise.
 */
int json_of_value(lua_State *L, int idx, cJSON **out, struct perry_err **err);
/* For bindings: the argument as JSON into *slot of a box, raising when it is none. A nil or none leaves NULL. */
void json_arg(lua_State *L, int idx, struct box *b, cJSON **slot);

int lua_guard(lua_State *L); /* the message handler of every protected call */
int lib_base(lua_State *L);  /* json, log, clock, text helpers */
int lib_docker(lua_State *L);
int lib_files(lua_State *L); /* files of this machine, and bundles for perry-step apply */
int lib_store(lua_State *L);
int lib_op(lua_State *L);
int lib_policy(lua_State *L);
int lib_net(lua_State *L);
int lib_tailnet(lua_State *L); /* auth keys and the control server's API */

/* Text with secret references resolved: {"$secret": name}, {"$concat": [...]} and plain strings, appended to out. */
int secret_resolve(struct run *r, const cJSON *value, struct buf *out, struct perry_err **err);

/* hooks.c: answers what hooks ask for (policy_setup.call). */
struct lua_hooks *hooks_of_run(struct run *r);
int hooks_call(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out, struct perry_err **err);
/* How to connect for a layer of hooks (NULL: whichever may have named the URL). Only as long as s lives. */
struct http_options hooks_http(struct lua_hooks *s, const char *layer, const char *url);
void run_store_decisions(struct run *r);

/* background.c: jobs in order, on threads of their own. */
enum {
	LANE_UPKEEP,
	LANE_ACTIONS,
	LANE_TAILNET
}; /* networks and volumes; on_* actions; what waits for a control server */
struct background *background_new(struct lua_host *h);
void background_free(struct background *b);
bool background_stopping(struct background *b);
struct docker_cancel *background_cancel(struct background *b); /* set when it ends */
void background_add(struct background *b, int lane, struct ops *ops, const char *module, const char *function,
		    const cJSON *arg);
/* Runs function() in at most delay_ms; however often this is called, it is queued once, for the earliest of the times.
 */
void background_wake(struct background *b, int lane, const char *module, const char *function, int delay_ms);

#endif
