#include "agent/rpc/rpc.h"

#include <string.h>
#include <strings.h>

#include "agent/answer.h"
#include "agent/http/reply.h"
#include "agent/internal.h"
#include "agent/jobs.h"
#include "agent/rpc/body.h"
#include "agent/rpc/call.h"
#include "agent/rpc/procedure.h"
#include "agent/rpc/schema.h"
#include "agent/who/auth.h"
#include "base/mem.h"
#include "net/server.h"
#include "ops/ops.h"

static void reply_method(struct agent *a, struct server_req *r)
{
	static const char *const allow[] = { "Allow", "POST", NULL };
	cJSON *body = cJSON_CreateObject(), *j = json_obj(body, "json");
	json_set_bool(j, "defined", false);
	json_set_str(j, "code", "METHOD_NOT_SUPPORTED");
	json_set_num(j, "status", 405);
	json_set_str(j, "message", "Method Not Supported");
	agent_reply_json(a, r, 405, body, allow);
}

/* The input inside the envelope; NULL (undefined) when there is none. -1: the answer was given. */
static int read_input(struct agent *a, struct server_req *r, cJSON **input)
{
	const struct buf *body = req_body(r);
	const char *problem;
	if (body_input(req_header(r, "Content-Type"), buf_str(body), body->len, input, &problem) == 0)
		return 0;
	reply_error(a, r, PERRY_EINPUT, problem);
	return -1;
}

/* 0: *input is what the handler gets. -1: the answer was given. */
static int check_input(struct agent *a, struct server_req *r, const struct procedure *p, cJSON **input)
{
	const cJSON *schema = procedure_input(p);
	cleanup_json cJSON *raw = take_ptr(*input);
	if (!schema) {
		*input = cJSON_IsObject(raw) ? take_ptr(raw) : NULL;
		return 0;
	}
	cJSON *issues = cJSON_CreateArray();
	*input = schema_apply(schema, raw, issues);
	if (cJSON_GetArraySize(issues) == 0) {
		cJSON_Delete(issues);
		return 0;
	}
	cJSON_Delete(take_ptr(*input));
	struct perry_err *e = NULL;
	perry_fail(&e, PERRY_EINPUT, "Input validation failed");
	e->data = cJSON_CreateObject();
	json_set(e->data, "issues", issues);
	reply_call(a, r, false, NULL, NULL, e);
	return -1;
}

static bool wants_async(const struct server_req *r)
{
	const char *prefer = req_header(r, "Prefer");
	for (const char *p = prefer; p && *p; p = strchr(p, ',')) {
		p += strspn(p, ", ");
		size_t n = strcspn(p, ",; ");
		if (n == 13 && strncasecmp(p, "respond-async", n) == 0)
			return true;
	}
	return false;
}

static void operation_ended(void *ctx, struct op *op)
{
	struct call *c = ctx;
	cJSON *out = NULL;
	struct perry_err *e = NULL;
	if (c->finish)
		c->finish(c, &out, &e);
	else if (op_error(op))
		e = perry_err_copy(op_error(op));
	else
		answer_of(c->a, op, &out, &e);
	call_end(c, out, e);
}

/* 202 with the operation's id; the call is over, the operation goes on. */
static void accepted(struct call *c)
{
	static const char *const applied[] = { "Preference-Applied", "respond-async", NULL };
	cJSON *body = cJSON_CreateObject();
	json_set_str(json_obj(body, "json"), "operation", op_id(c->op));
	struct server_req *r = call_take_request(c);
	if (r)
		agent_reply_json(c->a, r, 202, body, applied);
	else
		cJSON_Delete(body);
	call_end(c, NULL, NULL);
}

static void run_call(void *arg)
{
	struct call *c = arg;
	cJSON *out = NULL;
	struct perry_err *e = NULL;
	if (c->proc->fn(c, &out, &e) < 0 && !e)
		perry_fail(&e, PERRY_EINTERNAL, "Internal server error");
	if (!e && c->op && c->async)
		accepted(c);
	else if (!e && c->op)
		op_on_end(c->op, operation_ended, c);
	else
		call_end(c, out, e);
}

static void run_now(struct agent *a, struct server_req *r, const struct procedure *p, const struct caller *who,
		    cJSON *take_input)
{
	struct call c = { .a = a, .proc = p, .req = r, .input = take_input, .caller = *who };
	cJSON *out = NULL;
	struct perry_err *e = NULL;
	if (p->fn(&c, &out, &e) < 0 && !e)
		perry_fail(&e, PERRY_EINTERNAL, "Internal server error");
	cJSON_Delete(take_input);
	reply_call(a, r, c.not_implemented, &c.raw, out, e);
	buf_free(&c.raw);
}

void rpc_handle(struct agent *a, struct server_req *r, const struct caller *who)
{
	cleanup_free char *path = xstrdup(req_path(r) + strlen("/rpc"));
	size_t n = strlen(path);
	if (n > 1 && path[n - 1] == '/')
		path[n - 1] = 0;
	const struct procedure *p = path[0] == '/' ? procedure_find(path + 1) : NULL;
	if (!p) {
		reply_not_found(a, r);
		return;
	}
	if (strcmp(req_method(r), "POST") != 0) {
		reply_method(a, r);
		return;
	}
	if (!(who->rights & p->right)) {
		cleanup_free char *text =
			*who->why ? xasprintf("This needs the right %s: %s", right_name(p->right), who->why)
				  : xasprintf("This needs the right %s. Without a token it is done on the agent's own "
					      "machine.",
					      right_name(p->right));
		reply_error(a, r, PERRY_EFORBIDDEN, text);
		return;
	}
	cJSON *input;
	if (read_input(a, r, &input) < 0 || check_input(a, r, p, &input) < 0)
		return;
	/* A list is answered from memory, unless more is asked of it. */
	if (p->class == PROCEDURE_NOW && (p->input || !input || !input->child)) {
		run_now(a, r, p, who, input);
		return;
	}
	struct call *c = call_begin(a, p, r, who, input, wants_async(r));
	if (!jobs_run(a->jobs, run_call, c)) {
		struct perry_err *e = NULL;
		perry_fail(&e, PERRY_EUNAVAILABLE, "The agent is shutting down");
		call_end(c, NULL, e);
	}
}
