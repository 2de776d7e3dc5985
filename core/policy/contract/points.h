/* The table of hook points. `hooks list`, the checks of answers, docs/hooks/reference.md,
 * lua/types/perry.d.lua and the tests come from it. */
#ifndef PERRY_POLICY_CONTRACT_POINTS_H
#define PERRY_POLICY_CONTRACT_POINTS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum point_kind { POINT_DECISION, POINT_CONSENT, POINT_ACTION };
enum point_rule {
	RULE_STOP,    /* an error stops the operation */
	RULE_REFUSE,  /* an error is a refusal */
	RULE_DEGRADE, /* the workspace runs without it, with the message */
	RULE_BUILTIN, /* the built-in answer is used */
	RULE_REPORT,  /* shown on the workspace, nothing is undone */
};

/* What one hook may use. Its work is counted in instructions, so that the same hook with the same facts ends the same
 * way on every machine. CPU time is for what is not counted, library functions: ten times what the work costs on the
 * machine that docs/hooks/confinement.md was measured on. The clock is for a process that does not get to run at all.
 */
struct hook_limits {
	int64_t instructions;
	int cpu_ms, wall_ms;
};
#define DECISION_LIMITS ((struct hook_limits){ 30000000, 1000, 120000 })
#define ACTION_LIMITS   ((struct hook_limits){ 300000000, 10000, 120000 })

/* X(name, kind, result, rule, further argument or "", since, summary) */
/* clang-format off */
#define POLICY_POINTS(X) \
	X(admit, CONSENT, consent, REFUSE, "", 1, \
	  "may this happen at all: who, what, which workspace") \
	X(image, DECISION, image, STOP, "", 1, "the image that the workspace runs") \
	X(auth_key, DECISION, join, DEGRADE, "", 1, \
	  "whether and how the workspace joins a tailnet; never the key itself") \
	X(hostname, DECISION, hostname, DEGRADE, "", 1, \
	  "the name on the tailnet, a DNS label") \
	X(env, DECISION, env, STOP, "", 1, \
	  "environment of the shells, services and execs of the workspace") \
	X(container, DECISION, container, STOP, "plan", 1, \
	  "mounts, limits, capabilities, devices, runtime and network") \
	X(review, CONSENT, consent, REFUSE, "plan", 1, "may this final plan run") \
	X(authorize, CONSENT, consent, REFUSE, "", 1, \
	  "may this caller do this kind of thing; no looking") \
	X(tailscale_up, DECISION, up, DEGRADE, "", 1, "flags of the join") \
	X(collision, DECISION, collision, BUILTIN, "ev", 1, \
	  "the name is taken on the tailnet: keep, replace_offline or refuse") \
	X(deregister, DECISION, deregister, BUILTIN, "", 1, \
	  "how a deleted workspace leaves the tailnet") \
	X(ports, DECISION, ports, BUILTIN, "port", 1, \
	  "a listener appeared: announce, label, expose") \
	X(idle, DECISION, idle, BUILTIN, "activity", 1, \
	  "keep an idle workspace or stop it") \
	X(on_created, ACTION, none, REPORT, "ev", 1, "a workspace was created") \
	X(on_started, ACTION, none, REPORT, "ev", 1, "a workspace is running") \
	X(on_joined, ACTION, none, REPORT, "ev", 1, "a workspace joined the tailnet") \
	X(on_stopping, ACTION, none, REPORT, "ev", 1, \
	  "a workspace is about to stop; waited for") \
	X(on_stopped, ACTION, none, REPORT, "ev", 1, "a workspace has stopped") \
	X(on_deleting, ACTION, none, REPORT, "ev", 1, \
	  "a workspace is about to be deleted; waited for") \
	X(on_deleted, ACTION, none, REPORT, "ev", 1, "a workspace is gone") \
	X(on_failed, ACTION, none, REPORT, "ev", 1, "an operation failed") \
	X(on_agent_start, ACTION, none, REPORT, "ev", 1, "the agent has started") \
	X(on_agent_stop, ACTION, none, REPORT, "ev", 1, \
	  "the agent is about to stop; waited for")
/* clang-format on */

/* What a hook may ask of the agent. LOOK: decisions, consents (authorize excepted) and actions. TOUCH: actions
 * only. X(name, class, need, summary);
 * need is the member of a pack's "needs" that allows it. */
/* clang-format off */
#define POLICY_CALLS(X) \
	X("docker.inspect", LOOK, "docker", \
	  "what the engine says of a container, image, volume or network; nil when there is none") \
	X("docker.list", LOOK, "docker", "the containers of this agent") \
	X("docker.exec", TOUCH, "docker", "runs a command in a workspace and gives {code, stdout, stderr}") \
	X("http.get", LOOK, "network", "GET; gives {status, headers, body}") \
	X("http.request", TOUCH, "network", "any method, headers and body; gives {status, headers, body}") \
	X("kv.get", LOOK, "kv", "a value that this layer kept; nil when there is none") \
	X("kv.set", TOUCH, "kv", "keeps a value for this layer; nil removes it") \
	X("run", TOUCH, "run", "runs a command on the agent's machine and gives {code, stdout, stderr}")
/* clang-format on */

/* What hooks find under perry., all of it: the calls above and what is answered inside the policy process.
 * X(name, summary) */
/* clang-format off */
#define POLICY_LOCALS(X) \
	X("config", "a value of config.json, by dotted key; secrets come as references") \
	X("setting", "a setting of this pack") \
	X("secret", "a reference to a secret of config.json; its value never gets here") \
	X("log", "a line for the agent's log") \
	X("time", "the moment of this decision, in seconds since the epoch") \
	X("label", "any text as a DNS label of at most 63 characters") \
	X("bytes", "a size such as \"4GiB\" as a number of bytes") \
	X("refuse", "ends the hook with a refusal that the user reads") \
	X("json.encode", "a value as JSON text") \
	X("json.decode", "JSON text as a value") \
	X("json.array", "marks a table as a list, so that an empty one stays a list") \
	X("key.config", "join with the key of config.json") \
	X("key.file", "join with the key in a file of the host") \
	X("key.env", "join with the key in a variable of the agent") \
	X("key.mint", "join with a key made for this workspace") \
	X("key.http", "join with a key that the agent fetches")
/* clang-format on */

#define POLICY_API 1 /* what "-- perry: api=N" in line 1 of a hook may say at most */

struct point {
	const char *name, *result;
	enum point_kind kind;
	enum point_rule rule;
	const char *extra;
	int since;
	const char *summary;
};
extern const struct point policy_point_table[];   /* ends with name NULL */
const struct point *point_find(const char *name); /* or NULL */
const char *point_nearest(const char *name);      /* or NULL */
const char *point_kind_name(enum point_kind kind);
const char *point_rule_name(enum point_rule rule);
struct hook_limits point_limits(const struct point *p);
char *point_arguments(const struct point *p); /* "ws, base, plan"; the caller's */

enum call_class { CALL_LOOK, CALL_TOUCH };
struct call_row {
	const char *name;
	enum call_class cls;
	const char *need, *summary;
};
extern const struct call_row policy_call_table[]; /* ends with name NULL */
const struct call_row *call_find(const char *name);
/* May a hook of this point make this call? Gives NULL, or the reason why not (static text). */
const char *call_denied(const struct call_row *call, const struct point *point);

struct local_row {
	const char *name, *summary;
};
extern const struct local_row policy_local_table[]; /* ends with name NULL */

/* Line 1 of a hook: "-- perry: api=N". api is 1 when it says nothing. -1: it says something that is no such line
 * (why gets static text). */
int hook_header(const char *text, size_t n, int *api, bool *stated, const char **why);

#endif
