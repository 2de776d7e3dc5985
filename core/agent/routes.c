#include "agent/routes.h"

#include <string.h>

#include "agent/http/events.h"
#include "agent/http/gate.h"
#include "agent/http/login.h"
#include "agent/http/metrics.h"
#include "agent/http/page.h"
#include "agent/http/reply.h"
#include "agent/http/websocket.h"
#include "agent/internal.h"
#include "agent/rpc/openapi.h"
#include "agent/rpc/rpc.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/server.h"
#include "ops/fleet.h"

static bool preflight(struct agent *a, struct server_req *r)
{
	agent_reply(a, r, 204, "text/plain", NULL, NULL);
	return true;
}

static bool health(struct agent *a, struct server_req *r)
{
	cJSON *j = cJSON_CreateObject();
	cleanup_free char *why = NULL;
	json_set_str(j, "status", "ok");
	json_set_str(j, "version", PERRY_VERSION);
	if (!fleet_engine_up(a->fleet, &why) && why) {
		cleanup_free char *text = xasprintf("unreachable: %s", why);
		json_set_str(j, "docker", text);
	}
	char *text = json_print(j);
	cJSON_Delete(j);
	agent_reply(a, r, 200, "application/json;charset=utf-8", text, NULL);
	return true;
}

static bool login(struct agent *a, struct server_req *r)
{
	login_handle(a, r);
	return true;
}

static void nothing(struct agent *a, struct server_req *r, const struct caller *c)
{
	reply_not_found(a, r);
}

struct route {
	const char *method; /* GET is HEAD, too; NULL: any */
	const char *path;   /* "/a/": what is below /a; NULL: any */
	/* For everybody who reaches the listener; false: the next one may fit. */
	bool (*everybody)(struct agent *a, struct server_req *r);
	/* For a caller whom the gate knows. */
	gate_then known;
};

/* The first that fits answers. */
/* clang-format off */
#define IT_AND_BELOW(path, known) { NULL, path, NULL, known }, { NULL, path "/", NULL, known }
static const struct route routes[] = {
	{ "OPTIONS", NULL,             preflight,   NULL },
	{ "GET",     "/health",        health,      NULL },
	{ NULL,      "/login",         login,       NULL },
	{ NULL,      "/logout",        login,       NULL },
	{ "GET",     "/rpc/terminal/", NULL,        websocket_terminal },
	{ "GET",     "/rpc/stream",    NULL,        websocket_stream },
	{ "GET",     "/events",        NULL,        events_handle },
	{ "GET",     "/metrics",       NULL,        metrics_handle },
	{ "GET",     "/openapi.json",  NULL,        openapi_handle },
	{ NULL,      "/rpc/",          NULL,        rpc_handle },
	/* The user interface has no addresses there. */
	IT_AND_BELOW("/rpc",           nothing),
	IT_AND_BELOW("/health",        nothing),
	IT_AND_BELOW("/events",        nothing),
	IT_AND_BELOW("/metrics",       nothing),
	IT_AND_BELOW("/openapi.json",  nothing),
	{ NULL,      NULL,             page_handle, NULL },
	{ NULL,      NULL,             NULL,        nothing },
};
/* clang-format on */

static bool fits(const struct route *t, const char *method, const char *path)
{
	if (t->method && !str_eq(t->method, method) && !(str_eq(t->method, "GET") && str_eq(method, "HEAD")))
		return false;
	return !t->path || (str_ends(t->path, "/") ? str_starts(path, t->path) : str_eq(t->path, path));
}

void routes_handle(void *agent, struct server_req *r)
{
	struct agent *a = agent;
	const char *method = req_method(r), *path = req_path(r);
	if (!gate_admits(a, r))
		return;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		const struct route *t = &routes[i];
		if (!fits(t, method, path) || (t->everybody && !t->everybody(a, r)))
			continue;
		if (t->known)
			gate_enter(a, r, t->known, t->known == websocket_terminal ? websocket_stranger : NULL);
		return;
	}
}
