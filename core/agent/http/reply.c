#include "agent/http/reply.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "agent/internal.h"
#include "agent/who/auth.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_HEADERS = 24 };

void agent_reply(struct agent *a, struct server_req *r, int status, const char *type, char *take_body,
		 const char *const *more)
{
	const char *h[MAX_HEADERS];
	int n = 0;
	const char *origin = req_header(r, "Origin");
	h[n++] = "X-Content-Type-Options";
	h[n++] = "nosniff";
	h[n++] = "Cache-Control";
	h[n++] = "no-store";
	if (origin && auth_origin_allowed(a->auth, origin)) {
		h[n++] = "Access-Control-Allow-Origin";
		h[n++] = origin;
		h[n++] = "Access-Control-Allow-Methods";
		h[n++] = "GET, POST, OPTIONS";
		h[n++] = "Access-Control-Allow-Headers";
		h[n++] = "Content-Type, Authorization, Prefer, Last-Event-ID";
		h[n++] = "Vary";
		h[n++] = "Origin";
	}
	for (int i = 0; more && more[i] && n + 2 < MAX_HEADERS; i += 2) {
		h[n++] = more[i];
		h[n++] = more[i + 1];
	}
	h[n] = NULL;
	atomic_fetch_add_explicit(&a->answers[status >= 100 && status < 600 ? status / 100 : 5], 1,
				  memory_order_relaxed);
	reply(r, status, type, take_body ? take_body : "", take_body ? strlen(take_body) : 0, h);
	free(take_body);
}

void agent_reply_json(struct agent *a, struct server_req *r, int status, cJSON *take_body, const char *const *more)
{
	char *text = json_print(take_body);
	cJSON_Delete(take_body);
	agent_reply(a, r, status, "application/json", text, more);
}

void reply_not_found(struct agent *a, struct server_req *r)
{
	agent_reply(a, r, 404, "application/json", xstrdup("{\"error\":\"Not found\"}"), NULL);
}

void reply_plain(struct agent *a, struct server_req *r, int status, const char *text)
{
	agent_reply(a, r, status, "text/plain;charset=utf-8", xstrdup(text), NULL);
}

void reply_unauthorized(struct agent *a, struct server_req *r)
{
	static const char *const how[] = { "WWW-Authenticate", "Bearer", NULL };
	atomic_fetch_add_explicit(&a->unauthorized, 1, memory_order_relaxed);
	agent_reply(a, r, 401, "text/plain;charset=utf-8", xstrdup("Unauthorized"), how);
}

/* {"json":{"defined":false,"code",...}} */
static cJSON *error_body(const struct perry_err *e, int *status)
{
	const struct perry_code_row *row = perry_code_row(e->code);
	cJSON *j = cJSON_CreateObject(), *body = cJSON_CreateObject();
	/* Whatever went into the text on its way up: no token or key leaves with it. */
	cleanup_buf struct buf text = { 0 };
	buf_adds(&text, perry_msg(e));
	redact(&text);
	json_set_bool(j, "defined", false);
	json_set_str(j, "code", row->api_code);
	json_set_num(j, "status", row->http_status);
	json_set_strn(j, "message", text.data, text.len);
	if (e->data)
		json_set(j, "data", cJSON_Duplicate(e->data, 1));
	json_set(body, "json", j);
	*status = row->http_status;
	return body;
}

void reply_call(struct agent *a, struct server_req *r, bool not_implemented, struct buf *raw, cJSON *take_out,
		struct perry_err *take_err)
{
	if (!take_err && raw && raw->len) {
		struct buf text = { 0 };
		buf_adds(&text, "{\"json\":");
		buf_add(&text, raw->data, raw->len);
		buf_addc(&text, '}');
		buf_free(raw);
		cJSON_Delete(take_out);
		agent_reply(a, r, 200, "application/json", buf_take(&text), NULL);
		return;
	}
	if (!take_err) {
		cJSON *body = cJSON_CreateObject();
		json_set(body, "json", take_out ? take_out : cJSON_CreateNull());
		agent_reply_json(a, r, 200, body, NULL);
		return;
	}
	int status;
	cJSON *body = error_body(take_err, &status), *j = cJSON_GetObjectItemCaseSensitive(body, "json");
	if (not_implemented) {
		status = 501;
		json_set_num(j, "status", status);
		json_set_str(j, "code", "NOT_IMPLEMENTED");
	}
	if (take_err->code == PERRY_EINTERNAL && !not_implemented)
		log_error("agent", "%s: %s", req_path(r), perry_msg(take_err));
	perry_err_free(take_err);
	cJSON_Delete(take_out);
	agent_reply_json(a, r, status, body, NULL);
}

void reply_error(struct agent *a, struct server_req *r, enum perry_code code, const char *message)
{
	struct perry_err *e = NULL;
	perry_fail(&e, code, "%s", message);
	reply_call(a, r, false, NULL, NULL, e);
}

void reply_forbidden(struct agent *a, struct server_req *r, const char *why)
{
	if (str_starts(req_path(r), "/rpc/"))
		reply_error(a, r, PERRY_EFORBIDDEN, why);
	else
		reply_plain(a, r, 403, why);
}
