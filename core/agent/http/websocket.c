#include "agent/http/websocket.h"

#include <string.h>

#include "agent/config.h"
#include "agent/http/reply.h"
#include "agent/internal.h"
#include "agent/names.h"
#include "agent/stream/proto.h"
#include "agent/stream/terminal.h"
#include "agent/view.h"
#include "agent/who/auth.h"
#include "base/mem.h"
#include "net/server.h"
#include "ops/fleet.h"

struct handover {
	struct streams *streams;
	cJSON *caller;
	char *name; /* of a terminal, or NULL */
};

static void take_socket(void *ctx, int fd, const char *early, size_t n)
{
	struct handover *h = ctx;
	if (h->name)
		streams_take_terminal(h->streams, fd, early, n, h->caller, h->name);
	else
		streams_take_perry(h->streams, fd, early, n, h->caller);
	cJSON_Delete(h->caller);
	free(h->name);
	free(h);
}

static void hand_over(struct agent *a, struct server_req *r, const struct caller *c, const char *protocol,
		      const char *name)
{
	struct handover *h = xcalloc(1, sizeof *h);
	h->streams = a->streams;
	h->caller = caller_json(c);
	h->name = xstrdup(name);
	if (req_websocket(r, protocol, take_socket, h) == 0)
		return;
	cJSON_Delete(h->caller);
	free(h->name);
	free(h);
}

static bool is_running(struct agent *a, const char *name)
{
	cleanup_json cJSON *record = NULL;
	return fleet_get(a->fleet, name, &record, NULL) == 0 && workspace_is_running(record);
}

/* Which workspaces there are and run is not told before it is known who asks. */
struct expected {
	struct streams *streams;
	char *name, *peer;
};

static void expected_free(struct expected *e)
{
	free(e->name);
	free(e->peer);
	free(e);
}

static void take_stranger(void *ctx, int fd, const char *early, size_t n)
{
	struct expected *e = ctx;
	streams_take_stranger(e->streams, fd, early, n, e->peer, e->name);
	expected_free(e);
}

void websocket_stranger(struct agent *a, struct server_req *r, const char *peer)
{
	const char *name = req_path(r) + strlen("/rpc/terminal/"), *problem = name_problem(name, true);
	if (problem) {
		reply_plain(a, r, 400, problem);
		return;
	}
	if (!streams_expect_stranger(a->streams, peer)) {
		reply_plain(a, r, 503, "Too many terminals wait for their token");
		return;
	}
	struct expected *e = xmalloc(sizeof *e);
	*e = (struct expected){ a->streams, xstrdup(name), xstrdup(peer) };
	if (req_websocket(r, NULL, take_stranger, e) == 0)
		return;
	streams_forget_stranger(a->streams, peer);
	expected_free(e);
}

void websocket_terminal(struct agent *a, struct server_req *r, const struct caller *c)
{
	const char *name = req_path(r) + strlen("/rpc/terminal/"), *problem = name_problem(name, true);
	bool host = strcmp(name, NAME_HOST) == 0;
	if (problem)
		reply_plain(a, r, 400, problem);
	else if (host ? !agent_host_access(a) : !is_running(a, name))
		reply_plain(a, r, 404, "Not Found");
	else if (!(c->rights & (host ? RIGHT_ADMIN : RIGHT_USE)) && strcmp(c->kind, "tailnet") == 0 &&
		 req_is_upgrade(r))
		websocket_stranger(a, r, c->address); /* a device that showed no pass yet */
	else if (!(c->rights & (host ? RIGHT_ADMIN : RIGHT_USE)))
		reply_plain(a, r, 403, "Forbidden");
	else
		hand_over(a, r, c, NULL, name);
}

/* Is the subprotocol among those that the client offers? */
static bool offers(const struct server_req *r, const char *protocol)
{
	const char *list = req_header(r, "Sec-WebSocket-Protocol");
	for (const char *p = list; p && *p;) {
		p += strspn(p, ", \t");
		size_t n = strcspn(p, ", \t");
		if (n == strlen(protocol) && strncmp(p, protocol, n) == 0)
			return true;
		p += n;
	}
	return false;
}

void websocket_stream(struct agent *a, struct server_req *r, const struct caller *c)
{
	if (!(c->rights & (RIGHT_READ | RIGHT_USE)))
		reply_plain(a, r, 403, "Forbidden");
	else if (!offers(r, STREAM_PROTOCOL) && req_header(r, "Upgrade"))
		reply_plain(a, r, 400, "The subprotocol " STREAM_PROTOCOL " is needed");
	else
		hand_over(a, r, c, STREAM_PROTOCOL, NULL);
}
