#include "agent/http/gate.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "agent/http/reply.h"
#include "agent/internal.h"
#include "agent/jobs.h"
#include "agent/tailnet/tailnet.h"
#include "agent/who/approvals.h"
#include "agent/who/auth.h"
#include "agent/who/decisions.h"
#include "agent/who/identity.h"
#include "agent/who/networks.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/server.h"

/* clang-format off */
/*
 *   request
 *      |
 *   gate_admits ................ the agent stops: 503; a workspace's network, Host, Origin: 403
 *      |
 *      |----------------------> what is for everybody (routes.c)
 *      |
 *   gate_enter
 *      |
 *      |--- tailnet, Serve ---> whose node is it? ...... Funnel, a workspace: 403
 *      |                           |                     not in memory: gate_later
 *      |                           |
 *   is a pass shown?            is a pass shown?
 *      | yes     | no              | yes     | no
 *      |        refuse             |         |--- a node that may look ---> then(a, r, node)
 *      |                           |         |--- one that may not: refuse
 *      |                           |         '--- nobody's: refuse
 *      |                           |
 *   what do the authorize hooks leave of its rights? ... nothing: 403
 *      |                                                 not in memory: gate_later
 *      |
 *   then(a, r, caller)
 *
 * refuse: 401 or 403; but a terminal's WebSocket that shows nothing at all goes to stranger(a, r), where the first
 * message has to be the token.
 *
 * A pass is the token, a session, a ticket, or being our own user on the unix socket.
 */
/* clang-format on */

static const char workspaces_may_not[] = "This is a workspace of a Perry agent; workspaces may not use agents";

/* A request on its way: on the stack, and on the heap once it has to wait. */
struct visit {
	struct agent *a;
	struct server_req *r;
	gate_then then;
	gate_stranger stranger;
	struct identity_question q; /* of the tailnet's */
	struct caller c;
	bool may_wait; /* it is suspended, and its thread may wait */
	void (*go_on)(struct visit *v);
};

static void reply_stopping(struct agent *a, struct server_req *r)
{
	reply_plain(a, r, 503, "The agent is shutting down");
}

/* --- waiting --- */

static void go_on(void *arg)
{
	struct visit *v = arg;
	v->go_on(v);
	free(v);
}

/* The one place where a request is put aside: fn goes on with it on a thread that may wait. */
static void gate_later(struct visit *v, void (*fn)(struct visit *v))
{
	if (v->may_wait) {
		fn(v);
		return;
	}
	struct visit *kept = xmalloc(sizeof *kept);
	*kept = *v;
	kept->go_on = fn;
	kept->may_wait = true;
	req_suspend(v->r, NULL, NULL);
	if (!jobs_run(v->a->jobs, go_on, kept)) {
		free(kept);
		reply_stopping(v->a, v->r);
	}
}

/* --- passes --- */

void gate_request_of(const struct server_req *r, struct auth_request *out)
{
	const struct server_peer *peer = req_peer(r);
	*out = (struct auth_request){
		.listener = (enum listener)peer->tag,
		.uid = peer->is_unix ? peer->uid : (uid_t)-1,
		.method = req_method(r),
		.host = req_header(r, "Host"),
		.origin = req_header(r, "Origin"),
		.fetch_site = req_header(r, "Sec-Fetch-Site"),
		.authorization = req_header(r, "Authorization"),
		.cookie = req_header(r, "Cookie"),
		.session_key = req_header(r, "X-Perry-Session"),
		.upgrade = req_is_upgrade(r),
		.loopback = !peer->is_unix && address_is_loopback(peer->addr),
		.forwarded = req_header(r, "X-Forwarded-For") || req_header(r, "Forwarded"),
	};
	/* Serve says localhost to a socket, and what the client said beside it. Only tailscaled reaches that listener.
	 */
	if (out->listener == LISTENER_SERVE)
		out->host = req_header(r, "X-Forwarded-Host");
}

/* What a ticket for this path is made for; NULL: there are none. A browser's WebSocket can bring no header. */
static const char *ticket_purpose(const char *path)
{
	static const char terminal[] = "/rpc/terminal/";
	if (str_starts(path, terminal))
		return path + strlen(terminal);
	return str_eq(path, AUTH_TICKET_STREAM) ? AUTH_TICKET_STREAM : NULL;
}

/* Does it bring a token, a session or a ticket, or come from our own user? */
static bool shows_pass(struct visit *v)
{
	struct auth_request who;
	const char *purpose = ticket_purpose(req_path(v->r)), *ticket = purpose ? req_query(v->r, "ticket") : NULL;
	gate_request_of(v->r, &who);
	return (ticket && auth_use_ticket(v->a->auth, ticket, purpose, &v->c)) || auth_check(v->a->auth, &who, &v->c);
}

static void enter_limited(struct visit *v)
{
	if (v->c.rights)
		v->then(v->a, v->r, &v->c);
	else
		reply_forbidden(v->a, v->r, v->c.why);
}

static void find_limit(struct visit *v)
{
	decisions_limit_find(v->a->decisions, &v->c);
	enter_limited(v);
}

/* Who showed a pass or is our own user has the rights that the authorize hooks leave. */
static void enter_with_pass(struct visit *v)
{
	if (decisions_limit_known(v->a->decisions, &v->c))
		enter_limited(v);
	else
		gate_later(v, find_limit);
}

/* --- the tailnet: whose node it is comes before everything else, and may take a moment --- */

/* False: it is nobody that tailscaled speaks for. */
static bool question_of(struct visit *v)
{
	struct identity_question *q = &v->q;
	const struct server_peer *peer = req_peer(v->r);
	const char *login = req_header(v->r, "Tailscale-User-Login"), *from = req_header(v->r, "X-Forwarded-For");
	if (peer->tag == LISTENER_TAILNET) {
		snprintf(q->address, sizeof q->address, "%s", peer->addr);
		return !login; /* Serve does not come here: whoever says so made it up */
	}
	struct tailnet_node self;
	tailnet_node(v->a->tailnet, &self);
	if (peer->uid != self.daemon_uid || !from || strlen(from) >= sizeof q->address ||
	    (login && strlen(login) >= sizeof q->login))
		return false;
	snprintf(q->address, sizeof q->address, "%s", from);
	snprintf(q->login, sizeof q->login, "%s", login ? login : "");
	return true;
}

struct approval {
	struct agent *a;
	struct caller device;
};

static void approve(void *arg)
{
	struct approval *p = arg;
	approvals_add(p->a, &p->device);
	free(p);
}

/* Where the token was given, its user may from now on what needed it. */
static void approve_soon(struct agent *a, const struct caller *device)
{
	struct approval *p = xmalloc(sizeof *p);
	*p = (struct approval){ a, *device };
	if (!jobs_run(a->jobs, approve, p))
		free(p);
}

/* As whom a stranger is counted: this machine is one, whatever the address. */
static const char *peer_of(const struct server_req *r)
{
	const struct server_peer *peer = req_peer(r);
	const char *from = peer->tag == LISTENER_SERVE ? req_header(r, "X-Forwarded-For") : NULL;
	return from && *from ? from : peer->is_unix || address_is_loopback(peer->addr) ? "here" : peer->addr;
}

/* Nothing that could have been a pass: what is wrong stays wrong. */
static bool shows_nothing(const struct server_req *r)
{
	return !req_header(r, "Authorization") && !req_header(r, "X-Perry-Session") && !req_query(r, "ticket") &&
	       !req_query(r, "token");
}

/* why: 403 with it; NULL: 401. */
static void refuse(struct visit *v, const char *why)
{
	if (v->stranger && req_is_upgrade(v->r) && shows_nothing(v->r))
		v->stranger(v->a, v->r, peer_of(v->r));
	else if (why)
		reply_forbidden(v->a, v->r, why);
	else
		reply_unauthorized(v->a, v->r);
}

static void enter_as(struct visit *v, const struct identity_answer *node)
{
	if (node->who == WHO_WORKSPACE) {
		reply_forbidden(v->a, v->r, workspaces_may_not);
	} else if (shows_pass(v)) {
		if (node->who == WHO_TAILNET && !node->approved && (v->c.rights & RIGHT_ADMIN) &&
		    strcmp(v->c.kind, "tailnet") != 0)
			approve_soon(v->a, &node->caller);
		enter_with_pass(v);
	} else if (node->who == WHO_TAILNET && (node->caller.rights & RIGHT_READ)) {
		v->then(v->a, v->r, &node->caller);
	} else {
		refuse(v, node->who == WHO_TAILNET ? node->caller.why : NULL);
	}
}

static void find_node(struct visit *v)
{
	struct identity_answer node;
	identity_find(v->a->identity, &v->q, &node);
	enter_as(v, &node);
}

static void enter_from_tailnet(struct visit *v)
{
	struct identity_answer node = { .who = WHO_NOBODY };
	if (req_header(v->r, "Tailscale-Funnel-Request"))
		reply_forbidden(v->a, v->r, "This agent is not for the internet");
	else if (!question_of(v) || identity_known(v->a->identity, &v->q, &node))
		enter_as(v, &node);
	else
		gate_later(v, find_node);
}

/* --- in --- */

static bool is_admissible(struct agent *a, struct server_req *r)
{
	struct auth_request who;
	gate_request_of(r, &who);
	if (atomic_load(&a->stopping))
		reply_stopping(a, r);
	else if (!req_peer(r)->is_unix && !who.loopback && networks_have(a, req_peer(r)->addr))
		reply_forbidden(a, r, workspaces_may_not);
	else if (!auth_host_ok(a->auth, &who))
		reply_plain(a, r, 403,
			    "This agent is not known by that Host name. If it should be, add the name to allowedHosts "
			    "in config.json.");
	else if (!auth_origin_ok(a->auth, &who))
		reply_plain(a, r, 403,
			    "Web pages of another origin may not do this. If it should, add it to allowedOrigins in "
			    "config.json.");
	else
		return true;
	return false;
}

bool gate_admits(struct agent *a, struct server_req *r)
{
	atomic_fetch_add_explicit(&a->requests, 1, memory_order_relaxed);
	return is_admissible(a, r);
}

/* From the tailnet, without a pass: refused where that is in memory. Who it is may still be to be asked. */
static void screen_node(struct visit *v)
{
	struct identity_answer node = { .who = WHO_NOBODY };
	if (question_of(v) && !identity_known(v->a->identity, &v->q, &node))
		return;
	if (node.who == WHO_WORKSPACE)
		reply_forbidden(v->a, v->r, workspaces_may_not);
	else if (node.who != WHO_TAILNET)
		reply_unauthorized(v->a, v->r);
	else if (!(node.caller.rights & RIGHT_READ))
		reply_forbidden(v->a, v->r, node.caller.why);
}

void gate_screen(void *agent, struct server_req *r)
{
	struct visit v = { .a = agent, .r = r };
	struct auth_request who;
	int listener = req_peer(r)->tag;
	if (!is_admissible(v.a, r))
		return;
	gate_request_of(r, &who);
	if (auth_check(v.a->auth, &who, &v.c))
		return;
	if (listener == LISTENER_TAILNET || listener == LISTENER_SERVE)
		screen_node(&v);
	else
		reply_unauthorized(v.a, r);
}

void gate_enter(struct agent *a, struct server_req *r, gate_then then, gate_stranger stranger)
{
	struct visit v = { .a = a, .r = r, .then = then, .stranger = stranger };
	int listener = req_peer(r)->tag;
	if (listener == LISTENER_TAILNET || listener == LISTENER_SERVE)
		enter_from_tailnet(&v);
	else if (shows_pass(&v))
		enter_with_pass(&v);
	else
		refuse(&v, NULL);
}
