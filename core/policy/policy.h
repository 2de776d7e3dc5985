/* The policy process, seen from the agent (and from `perry hooks ...`): a zygote forked before anything is read, one
 * confined fork of it per session. */
#ifndef PERRY_POLICY_POLICY_H
#define PERRY_POLICY_POLICY_H
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"

struct policy;
struct policy_session;
struct hook_limits;

/* Forks the zygote. Call first thing in main: before configuration, threads and sockets exist. */
int policy_new(struct policy **out, struct perry_err **err);
void policy_free(struct policy *p);
/* Call before policy_new: a process that replaces a lost zygote is our own binary started anew with a word of its own;
 * there it does not return. */
void policy_main(int argc, char **argv);
pid_t policy_zygote_pid(const struct policy *p);
cJSON *policy_confinement(const struct policy *p); /* what is in force: {"seccomp":true,"no_new_privs":true,...} */

/* The layers of hook files, highest first. A dir that is absent is an empty layer. */
struct policy_layer {
	const char *name;    /* "user", "acme" (a pack), "machine"; "built-in" is always there, last */
	const char *dir;     /* the folder of hook files */
	const cJSON *packed; /* instead of the folder: what policy_pack_up made of one; or NULL */
	const char *lib_dir; /* for require, or NULL */
	uid_t owner;         /* who must own the files (or root) */
	bool follow_links;   /* the user's own layer only */
	const cJSON *needs;  /* a pack's needs, or NULL: everything its kind of hook may */
	const cJSON *settings;
	const struct pack *pack;        /* its files are these, from memory; dir and lib_dir are NULL */
	const struct perry_err *broken; /* why the layer cannot be used: opening it fails with this */
};
struct policy_setup {
	const struct policy_layer *layers;
	size_t nlayers;
	const cJSON *config;         /* the public configuration for perry.config */
	const char *const *disabled; /* "acme/on_deleted", NULL-terminated, or NULL */
	/* Instead of those of the points (policy/points.h), or NULL. A test of one limit sets the others out of reach.
	 */
	const struct hook_limits *limits;
	/* Does what a hook asked for and that its kind and layer may: name "docker.inspect", "http.get", "kv.set", ...
	 * Called on the asking thread. */
	int (*call)(void *ctx, const char *layer, const char *name, const cJSON *args, cJSON **out,
		    struct perry_err **err);
	void *ctx;
};
/* One session, one fork, one consistent reading of the files. A file that is writable by others, of another owner, a
 * link where none may be, or bytecode is an error that names it (PERRY_EPOLICY). */
int policy_open(struct policy *p, const struct policy_setup *setup, struct policy_session **out,
		struct perry_err **err);
void policy_close(struct policy_session *s);

/* Asks for one hook point. facts: {"ws": {...}, ...}; extra: further arguments by name ({"plan": ...}, {"ev": ...}) or
 * NULL. *answer (caller's; may come back NULL) is checked against the point's type. A refusal or an error of a hook is
 * PERRY_EPOLICY with err->data =
 * {"point","layer","file","line","message","traceback","refused"}. decisions (array, may be NULL) gets one row per
 * layer asked. */
int policy_ask(struct policy_session *s, const char *point, const cJSON *facts, const cJSON *extra, cJSON **answer,
	       cJSON *decisions, struct perry_err **err);
/* The whole plan in one exchange: admit, image, auth_key, hostname, env, container, review. *plan (caller's):
 * {"image","env","container","hostname", "join", "errors": {...}, "hash"}. errors holds what degrades (hostname,
 * auth_key). */
int policy_plan(struct policy_session *s, const cJSON *facts, cJSON **plan, cJSON *decisions, struct perry_err **err);

/* The table of hook points (policy/points.h, an X-macro): [{name, kind, result, on_error, instructions, cpu_ms,
 * deadline_ms, since, summary}]. Caller frees. */
cJSON *policy_points(void);
/* Which files answer what: [{point, kind, layers: [{layer, file, hash, state}]}], and problems (misspelt names, refused
 * files). Needs no process. */
cJSON *policy_inventory(const struct policy_setup *setup);
const char *policy_builtin_source(const char *point); /* the text of a built-in hook, or NULL; static */

#endif
