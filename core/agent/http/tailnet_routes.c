/* Requests from the tailnet: whose node it is comes before everything else, and may take a moment. */
#include <stdio.h>
#include <string.h>

#include "agent/http/reply.h"
#include "agent/internal.h"
#include "agent/jobs.h"
#include "agent/routes.h"
#include "agent/tailnet/tailnet.h"
#include "agent/who/approvals.h"
#include "agent/who/auth.h"
#include "agent/who/identity.h"
#include "base/mem.h"
#include "net/server.h"

/* False: it is nobody that tailscaled speaks for. */
static bool question_of(struct agent *a, const struct server_req *r, struct identity_question *q)
{
	const struct server_peer *peer = req_peer(r);
	const char *login = req_header(r, "Tailscale-User-Login"), *from = req_header(r, "X-Forwarded-For");
	memset(q, 0, sizeof *q); /* compared byte by byte */
	if (peer->tag == LISTENER_TAILNET) {
		snprintf(q->address, sizeof q->address, "%s", peer->addr);
		return !login; /* Serve does not come here: whoever says so made it up */
	}
	struct tailnet_node self;
	tailnet_node(a->tailnet, &self);
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

static void answer(struct agent *a, struct server_req *r, const struct identity_answer *who)
{
	struct auth_request request;
	struct caller c;
	auth_request_of(r, &request);
	if (who->who == WHO_WORKSPACE) {
		reply_forbidden(a, r, "This is a workspace of a Perry agent; workspaces may not use agents");
	} else if (agent_shows_pass(a, r, &request, &c)) {
		if (who->who == WHO_TAILNET && !who->approved && (c.rights & RIGHT_ADMIN) &&
		    strcmp(c.kind, "tailnet") != 0)
			approve_soon(a, &who->caller);
		agent_handle_limited(a, r, &c);
	} else if (who->who == WHO_TAILNET && (who->caller.rights & RIGHT_READ)) {
		agent_handle_known(a, r, &who->caller);
	} else if (who->who == WHO_TAILNET) {
		reply_forbidden(a, r, who->caller.why);
	} else {
		reply_unauthorized(a, r);
	}
}

struct pending {
	struct agent *a;
	struct server_req *r;
	struct identity_question q;
};

static void find_out(void *arg)
{
	struct pending *p = arg;
	struct identity_answer who;
	identity_find(p->a->identity, &p->q, &who);
	answer(p->a, p->r, &who);
	free(p);
}

void tailnet_handle(struct agent *a, struct server_req *r)
{
	struct identity_question q;
	struct identity_answer who = { .who = WHO_NOBODY };
	if (req_header(r, "Tailscale-Funnel-Request")) {
		reply_forbidden(a, r, "This agent is not for the internet");
	} else if (!question_of(a, r, &q) || identity_known(a->identity, &q, &who)) {
		answer(a, r, &who);
	} else {
		struct pending *p = xmalloc(sizeof *p);
		*p = (struct pending){ a, r, q };
		req_suspend(r, NULL, NULL);
		if (!jobs_run(a->jobs, find_out, p)) {
			free(p);
			reply_plain(a, r, 503, "The agent is shutting down");
		}
	}
}
