/* What is asked of a session: one hook point, or a whole plan. */
#ifndef PERRY_POLICY_ASK_H
#define PERRY_POLICY_ASK_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"

struct point;
struct policy_session;

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

/* For the tools: asks with more than policy_ask shows. */
int session_ask(struct policy_session *s, const struct point *point, const cJSON *facts, const cJSON *extra, bool each,
		cJSON **reply, struct perry_err **err);
/* Compiles a layer's hooks for a point and runs their chunks, without calling them. */
int session_load(struct policy_session *s, const char *layer, const struct point *point, struct perry_err **err);

#endif
