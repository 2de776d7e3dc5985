#include "agent/rpc/call.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/http/reply.h"
#include "agent/internal.h"
#include "agent/view.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/server.h"
#include "ops/fleet.h"
#include "ops/ops.h"

struct calls {
	pthread_mutex_t lock;
	struct call *first;
	int pending;
	bool closed;
};

struct calls *calls_new(void)
{
	struct calls *c = xcalloc(1, sizeof *c);
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void calls_free(struct calls *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int calls_pending(struct calls *c)
{
	pthread_mutex_lock(&c->lock);
	int n = c->pending;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static void cancel_call(struct call *c)
{
	uint64_t one = 1;
	atomic_store(&c->cancel.set, true);
	if (c->cancel.fd >= 0 && write(c->cancel.fd, &one, sizeof one) < 0)
		log_warn("agent", "a call's cancel flag cannot be raised: %s", strerror(errno));
}

/* The client hung up. An operation goes on; what only its caller wanted (an exec) ends. After the answer was given this
 * is not called and not running any more, so the call is alive. */
static void client_gone(void *ctx, struct server_req *r)
{
	struct call *c = ctx;
	pthread_mutex_lock(&c->a->calls->lock);
	cancel_call(c);
	pthread_mutex_unlock(&c->a->calls->lock);
}

struct call *call_begin(struct agent *a, const struct procedure *p, struct server_req *r, const struct caller *who,
			cJSON *take_input, bool async)
{
	struct calls *cs = a->calls;
	struct call *c = xcalloc(1, sizeof *c);
	c->a = a;
	c->proc = p;
	c->req = r;
	c->input = take_input;
	c->caller = *who;
	c->async = async;
	c->cancel.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	atomic_init(&c->cancel.set, false);
	/* Suspended before the shutdown can find it in the list and answer. */
	req_suspend(r, client_gone, c);
	pthread_mutex_lock(&cs->lock);
	c->next = cs->first;
	c->prev = &cs->first;
	if (cs->first)
		cs->first->prev = &c->next;
	cs->first = c;
	cs->pending++;
	bool late = cs->closed;
	pthread_mutex_unlock(&cs->lock);
	if (late)
		calls_shutdown(a);
	return c;
}

struct server_req *call_take_request(struct call *c)
{
	pthread_mutex_lock(&c->a->calls->lock);
	struct server_req *r = take_ptr(c->req);
	pthread_mutex_unlock(&c->a->calls->lock);
	return r;
}

void call_end(struct call *c, cJSON *take_out, struct perry_err *take_err)
{
	struct calls *cs = c->a->calls;
	pthread_mutex_lock(&cs->lock);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	cs->pending--;
	struct server_req *r = take_ptr(c->req);
	pthread_mutex_unlock(&cs->lock);
	if (r) {
		reply_call(c->a, r, c->not_implemented, &c->raw, take_out, take_err);
	} else {
		cJSON_Delete(take_out);
		perry_err_free(take_err);
	}
	if (c->op)
		op_unref(c->op);
	if (c->cancel.fd >= 0)
		close(c->cancel.fd);
	buf_free(&c->raw);
	cJSON_Delete(c->input);
	free(c);
}

void calls_shutdown(struct agent *a)
{
	struct calls *cs = a->calls;
	for (;;) {
		struct server_req *r = NULL;
		pthread_mutex_lock(&cs->lock);
		cs->closed = true;
		for (struct call *c = cs->first; c && !r; c = c->next) {
			cancel_call(c);
			r = take_ptr(c->req);
		}
		pthread_mutex_unlock(&cs->lock);
		if (!r)
			return;
		reply_error(a, r, PERRY_EUNAVAILABLE, "The agent is shutting down");
	}
}

int call_workspace(struct call *c, const char *key, cJSON **record, struct perry_err **err)
{
	return fleet_get(c->a->fleet, call_str(c, key), record, err);
}

int call_running_workspace(struct call *c, const char *key, cJSON **record, struct perry_err **err)
{
	cleanup_json cJSON *found = NULL;
	if (call_workspace(c, key, &found, err) < 0)
		return -1;
	if (!workspace_is_running(found))
		return perry_fail(err, PERRY_ESTATE, "Workspace is not running");
	*record = take_ptr(found);
	return 0;
}

int call_not_implemented(struct call *c, struct perry_err **err, const char *what)
{
	c->not_implemented = true;
	return perry_fail(err, PERRY_EINTERNAL, "%s is not available in this version of the agent", what);
}
