#include "agent/routes.h"

#include <string.h>
#include <strings.h>

#include "agent/http/events.h"
#include "agent/http/login.h"
#include "agent/http/metrics.h"
#include "agent/http/page.h"
#include "agent/http/reply.h"
#include "agent/http/websocket.h"
#include "agent/internal.h"
#include "agent/jobs.h"
#include "agent/rpc/openapi.h"
#include "agent/rpc/rpc.h"
#include "agent/who/auth.h"
#include "agent/who/decisions.h"
#include "base/mem.h"
#include "net/server.h"
#include "ops/fleet.h"

void auth_request_of(const struct server_req *r, struct auth_request *out)
{
	const struct server_peer *peer = req_peer(r);
	const char *upgrade = req_header(r, "Upgrade");
	*out = (struct auth_request){
		.listener = (enum listener)peer->tag,
		.uid = peer->is_unix ? peer->uid : (uid_t)-1,
		.method = req_method(r),
		.host = req_header(r, "Host"),
		.origin = req_header(r, "Origin"),
		.fetch_site = req_header(r, "Sec-Fetch-Site"),
		.authorization = req_header(r, "Authorization"),
		.cookie = req_header(r, "Cookie"),
		.websocket = upgrade && strcasecmp(upgrade, "websocket") == 0,
		.forwarded = req_header(r, "X-Forwarded-For") || req_header(r, "Forwarded"),
	};
	/* Serve says localhost to a socket, and what the client said beside it. Only tailscaled reaches that listener.
	 */
	if (out->listener == LISTENER_SERVE)
		out->host = req_header(r, "X-Forwarded-Host");
}

static void health_handle(struct agent *a, struct server_req *r)
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
}

static bool is_get(const struct server_req *r)
{
	return strcmp(req_method(r), "GET") == 0 || strcmp(req_method(r), "HEAD") == 0;
}

static bool under(const char *path, const char *root)
{
	return str_starts(path, root) && (path[strlen(root)] == 0 || path[strlen(root)] == '/');
}

/* What anybody who reaches the listener may see. True: answered. */
static bool handle_public(struct agent *a, struct server_req *r, const struct auth_request *who)
{
	static const char *const ours[] = { "/rpc", "/health", "/events", "/metrics", "/openapi.json" };
	const char *path = req_path(r);
	if (strcmp(who->method, "OPTIONS") == 0) {
		agent_reply(a, r, 204, "text/plain", NULL, NULL);
		return true;
	}
	if (strcmp(path, "/health") == 0 && is_get(r)) {
		health_handle(a, r);
		return true;
	}
	if (strcmp(path, "/login") == 0 || strcmp(path, "/logout") == 0) {
		login_handle(a, r);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (under(path, ours[i]))
			return false;
	return page_handle(a, r);
}

void agent_handle_known(struct agent *a, struct server_req *r, const struct caller *c)
{
	const char *path = req_path(r);
	if (str_starts(path, "/rpc/terminal/") && is_get(r))
		websocket_terminal(a, r, c);
	else if (strcmp(path, "/rpc/stream") == 0 && is_get(r))
		websocket_stream(a, r, c);
	else if (strcmp(path, "/events") == 0 && is_get(r))
		events_handle(a, r);
	else if (strcmp(path, "/metrics") == 0 && is_get(r))
		metrics_handle(a, r);
	else if (strcmp(path, "/openapi.json") == 0 && is_get(r))
		openapi_handle(a, r);
	else if (str_starts(path, "/rpc/"))
		rpc_handle(a, r, c);
	else
		reply_not_found(a, r);
}

struct limited {
	struct agent *a;
	struct server_req *r;
	struct caller c;
};

static void handle_with_rights(struct agent *a, struct server_req *r, const struct caller *c)
{
	if (c->rights)
		agent_handle_known(a, r, c);
	else
		reply_forbidden(a, r, c->why);
}

static void find_limit(void *arg)
{
	struct limited *p = arg;
	decisions_limit_find(p->a->decisions, &p->c);
	handle_with_rights(p->a, p->r, &p->c);
	free(p);
}

void agent_handle_limited(struct agent *a, struct server_req *r, const struct caller *who)
{
	struct caller c = *who;
	if (decisions_limit_known(a->decisions, &c)) {
		handle_with_rights(a, r, &c);
		return;
	}
	struct limited *p = xmalloc(sizeof *p);
	*p = (struct limited){ a, r, c };
	req_suspend(r, NULL, NULL);
	if (!jobs_run(a->jobs, find_limit, p)) {
		free(p);
		reply_plain(a, r, 503, "The agent is shutting down");
	}
}

bool agent_shows_pass(struct agent *a, struct server_req *r, const struct auth_request *who, struct caller *c)
{
	const char *ticket = str_starts(req_path(r), "/rpc/terminal/") ? req_query(r, "ticket") : NULL;
	return (ticket && auth_use_ticket(a->auth, ticket, c)) || auth_check(a->auth, who, c);
}

void agent_handle(void *agent, struct server_req *r)
{
	struct agent *a = agent;
	struct auth_request who;
	struct caller c;
	auth_request_of(r, &who);
	atomic_fetch_add_explicit(&a->requests, 1, memory_order_relaxed);
	if (atomic_load(&a->stopping)) {
		reply_plain(a, r, 503, "The agent is shutting down");
	} else if (!auth_host_ok(a->auth, &who)) {
		reply_plain(a, r, 403,
			    "This agent is not known by that Host name. If it should be, add the name to allowedHosts "
			    "in config.json.");
	} else if (!auth_origin_ok(a->auth, &who)) {
		reply_plain(a, r, 403,
			    "Web pages of another origin may not do this. If it should, add it to allowedOrigins in "
			    "config.json.");
	} else if (!handle_public(a, r, &who)) {
		if (who.listener == LISTENER_TAILNET || who.listener == LISTENER_SERVE)
			tailnet_handle(a, r);
		else if (agent_shows_pass(a, r, &who, &c))
			agent_handle_limited(a, r, &c);
		else
			reply_unauthorized(a, r);
	}
}
