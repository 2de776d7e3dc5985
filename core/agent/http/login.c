#include "agent/http/login.h"

#include <string.h>
#include <strings.h>

#include "agent/http/gate.h"
#include "agent/http/page.h"
#include "agent/http/reply.h"
#include "agent/internal.h"
#include "agent/who/auth.h"
#include "base/mem.h"
#include "base/percent.h"
#include "base/secret.h"
#include "base/str.h"
#include "net/server.h"

/* The value of a field in a form's body, as it is where it is malformed; caller frees. */
static char *form_field(const char *body, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = body; p && *p; p = strchr(p, '&')) {
		p += *p == '&';
		if (strncmp(p, name, n) != 0 || p[n] != '=')
			continue;
		const char *value = p + n + 1;
		size_t len = strcspn(value, "&");
		char *out = xmalloc(len + 1);
		if (percent_decode(value, len, true, out) == 0)
			return out;
		free(out);
		return xstrndup(value, len);
	}
	return NULL;
}

static char *token_of(struct server_req *r)
{
	const struct buf *body = req_body(r);
	const char *type = req_header(r, "Content-Type");
	if (type && strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0)
		return form_field(buf_str(body), "token");
	cleanup_json cJSON *j = json_parse(buf_str(body), body->len, "body", NULL);
	return xstrdup(json_str(j, "token"));
}

/* What follows the # stays in the browser: the page keeps it in its storage. */
static void signed_in(struct agent *a, struct server_req *r, const struct session *s)
{
	cleanup_free char *location = xasprintf("/#session=%s", s->key);
	const char *const headers[] = { "Set-Cookie", s->cookie,       "Location", location, "X-Perry-Session",
					s->key,       "Cache-Control", "no-store", NULL };
	/* A script follows no redirect by itself: what it asked with shows which one it is. */
	const char *accept = req_header(r, "Accept");
	int status = accept && str_eq(accept, "application/json") ? 200 : 303;
	agent_reply(a, r, status, "text/plain;charset=utf-8", xstrdup("Signed in"), headers);
}

static void refused(struct agent *a, struct server_req *r, const char *text)
{
	atomic_fetch_add_explicit(&a->unauthorized, 1, memory_order_relaxed);
	reply_plain(a, r, 401, text);
}

void login_handle(struct agent *a, struct server_req *r)
{
	const char *method = req_method(r), *link = req_query(r, "link");
	bool post = strcmp(method, "POST") == 0;
	struct session session = { 0 };
	struct auth_request who;
	gate_request_of(r, &who);
	if (strcmp(req_path(r), "/logout") == 0 && post) {
		char cookie[192];
		auth_logout(a->auth, &who, cookie);
		const char *const headers[] = { "Set-Cookie", cookie, "Location", "/", NULL };
		agent_reply(a, r, 303, "text/plain;charset=utf-8", xstrdup("Signed out"), headers);
	} else if (strcmp(req_path(r), "/login") == 0 && post) {
		char *token = token_of(r);
		bool ok = token && auth_login_token(a->auth, &who, token, &session);
		if (token)
			wipe(token, strlen(token));
		free(token);
		if (ok)
			signed_in(a, r, &session);
		else
			refused(a, r, "That is not the token. `perry agent show-token` prints it.");
	} else if (strcmp(method, "GET") == 0 && link) {
		if (auth_login_link(a->auth, &who, link, &session))
			signed_in(a, r, &session);
		else
			refused(a, r, "This link was used already, or is too old. `perry open` makes a new one.");
	} else if (strcmp(method, "GET") == 0) {
		page_handle(a, r);
	} else {
		reply_not_found(a, r);
	}
}
