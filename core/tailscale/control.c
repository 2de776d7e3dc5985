#include "tailscale/control_priv.h"

#include <ctype.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/number.h"

enum {
	TIMEOUT_MS = 10000,
	REASON_MAX = 200,
	RETRY_MIN_MS = 500,
};

static int check(const struct control_setup *s, struct perry_err **err)
{
	bool headscale = str_eq(s->type, "headscale");
	if (!headscale && !str_eq(s->type, "tailscale"))
		return perry_fail(err, PERRY_EINPUT,
				  "tailscale.credentials.%s.type: expected \"tailscale\" or \"headscale\"", s->name);
	if (headscale && !s->url)
		return perry_fail(err, PERRY_EINPUT,
				  "tailscale.credentials.%s.url: expected the address of the Headscale server",
				  s->name);
	if (!s->secret || !secret_len(s->secret))
		return perry_fail(err, PERRY_EINPUT, "tailscale.credentials.%s: its secret is empty", s->name);
	for (const char *p = secret_reveal(s->secret); *p; p++)
		if (!isgraph((unsigned char)*p))
			return perry_fail(err, PERRY_EINPUT, "tailscale.credentials.%s: its secret is not one word",
					  s->name);
	return 0;
}

int control_open(struct control **out, const struct control_setup *s, struct perry_err **err)
{
	const char *url = s->url ? s->url : "https://api.tailscale.com";
	struct http *http = NULL;
	if (check(s, err) < 0)
		return -1;
	if (!str_starts(url, "http://") && !str_starts(url, "https://"))
		return perry_fail(err, PERRY_EINPUT, "tailscale.credentials.%s.url: expected http(s)://HOST", s->name);
	const struct http_options options = { .base = url, .env_proxy = true, .connect_timeout_ms = 5000, .keep = 1 };
	if (http_new(&http, &options, err) < 0)
		return -1;
	struct control *c = xcalloc(1, sizeof *c);
	c->api = str_eq(s->type, "headscale") ? &control_headscale : &control_tailscale;
	c->http = http;
	c->name = xstrdup(s->name);
	c->url = xstrdup(url);
	c->tailnet = xstrdup(s->tailnet && *s->tailnet ? s->tailnet : "-");
	c->client_id = xstrdup(s->client_id);
	c->user = xstrdup(s->user);
	c->secret = s->secret;
	c->timeout_ms = s->timeout_ms > 0 ? s->timeout_ms : TIMEOUT_MS;
	c->cancelled = s->cancelled;
	c->cancel_fd = s->cancelled ? s->cancel_fd : -1;
	*out = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	http_free(c->http);
	free(c->name);
	free(c->url);
	free(c->tailnet);
	free(c->client_id);
	free(c->user);
	free(c);
}

void control_key_free(struct control_key *k)
{
	secret_free(k->key);
	free(k->id);
	memset(k, 0, sizeof *k);
}

/* --- one request --- */

/* What the server says is wrong: {"message":...}, {"error":...} (then *api: it is the API that speaks, no page of some
 * proxy) or its first line. One short line; caller frees. */
static char *reason(const struct http_res *res, bool *api)
{
	cleanup_json cJSON *j = json_parse(buf_str(&res->body), res->body.len, "answer", NULL);
	const char *said = json_str(j, "message") ? json_str(j, "message") : json_str(j, "error");
	struct buf line = { 0 };
	*api = said != NULL;
	for (const char *p = said ? said : buf_str(&res->body); *p && *p != '\n' && line.len < REASON_MAX; p++)
		buf_addc(&line, isprint((unsigned char)*p) ? *p : ' ');
	redact(&line);
	char *text = buf_take(&line), *start = str_trim(text);
	memmove(text, start, strlen(start) + 1);
	return text;
}

static int redirected(const struct control *c, const struct http_res *res, struct perry_err **err)
{
	char to[256] = "";
	http_header(res, "Location", to, sizeof to);
	to[strcspn(to, "?#")] = 0;
	for (char *p = to; *p; p++)
		if (!isgraph((unsigned char)*p))
			*p = '?';
	return perry_fail(err, PERRY_EUNAVAILABLE,
			  "%s sends its callers elsewhere (%s), which is not followed with a credential: set "
			  "tailscale.credentials.%s.url",
			  c->url, *to ? to : "it does not say where", c->name);
}

static int answered_badly(const struct control *c, const struct control_call *call, const struct http_res *res,
			  struct perry_err **err)
{
	bool api;
	cleanup_free char *why = reason(res, &api);
	const char *said = *why ? why : "no reason given";
	if (res->status == 401 || res->status == 403)
		perry_fail(err, PERRY_EFORBIDDEN, "%s does not accept tailscale.credentials.%s for this (%d: %s)",
			   c->url, c->name, res->status, said);
	else if (res->status >= 300 && res->status < 400)
		redirected(c, res, err);
	else if (res->status == 404 && !api)
		perry_fail(err, PERRY_EUNAVAILABLE, "%s has no %s: is tailscale.credentials.%s.url right?", c->url,
			   call->path, c->name);
	else if (res->status == 404)
		perry_fail(err, PERRY_ENOTFOUND, "%s: %s %s: %s", c->url, call->method, call->path, said);
	else if (res->status == 429)
		perry_fail(err, PERRY_EUNAVAILABLE, "%s asks to be left alone for a while: %s", c->url, said);
	else
		perry_fail(err, res->status >= 500 ? PERRY_EUNAVAILABLE : PERRY_EINPUT, "%s answers %d: %s", c->url,
			   res->status, said);
	if (err && *err)
		(*err)->status = res->status;
	return -1;
}

/* Sleeps through a Retry-After that leaves time for another try. Seconds, or a date, which then is waited for as little
 * as possible. */
static bool wait_for_turn(struct control *c, const struct http_res *res, struct perry_err **err)
{
	char after[64] = "";
	long long seconds = 1;
	http_header(res, "Retry-After", after, sizeof after);
	str_to_int(after, 0, 24 * 3600, &seconds);
	int64_t wait = seconds * 1000 < RETRY_MIN_MS ? RETRY_MIN_MS : seconds * 1000;
	if (clock_mono_ms() + wait + RETRY_MIN_MS < c->until) {
		struct pollfd p = { .fd = c->cancel_fd, .events = POLLIN };
		poll(&p, 1, (int)wait);
		return true;
	}
	if (err && *err) {
		(*err)->data = cJSON_CreateObject();
		json_set_int((*err)->data, "retryAfter", seconds);
	}
	return false;
}

static void wipe_res(struct http_res *res)
{
	if (res->body.data)
		wipe(res->body.data, res->body.cap);
	http_res_free(res);
	memset(res, 0, sizeof *res);
}

static int read_answer(const struct control *c, const struct http_res *res, cJSON **out, struct perry_err **err)
{
	cleanup_err struct perry_err *why = NULL;
	const char *text = buf_str(&res->body);
	if (strspn(text, " \t\r\n") == res->body.len)
		return 0;
	*out = json_parse(text, res->body.len, "its answer", &why);
	if (!*out)
		return perry_fail(err, PERRY_EUNAVAILABLE,
				  "%s is not the API that tailscale.credentials.%s expects: its answer is no JSON",
				  c->url, c->name);
	if (!cJSON_IsObject(*out)) {
		cJSON_Delete(take_ptr(*out));
		return control_odd(c, "an object", err);
	}
	return 0;
}

static int exchange(struct control *c, const struct control_call *call, const char *const *headers,
		    struct http_res *res, struct perry_err **err)
{
	int64_t left = c->until - clock_mono_ms();
	if (left <= 0)
		return perry_fail(err, PERRY_ETIMEOUT, "no complete answer of %s within %d ms", c->url, c->timeout_ms);
	const struct http_req req = { .method = call->method,
				      .url = call->path,
				      .headers = headers,
				      .body = call->body,
				      .body_len = call->body ? strlen(call->body) : 0,
				      .max = call->max ? call->max : CONTROL_ANSWER_MAX,
				      .timeout_ms = (int)left,
				      .cancelled = c->cancelled,
				      .cancel_fd = c->cancel_fd };
	return http_do(c->http, &req, res, err);
}

/* The API itself must say so: a 404 of something else at that address would hide a device that is still there. */
static bool is_gone(const struct control_call *call, const struct http_res *res)
{
	bool api;
	cleanup_free char *said = reason(res, &api);
	return call->absent_ok && api &&
	       (res->status == 404 || (call->absent && res->status >= 400 && call->absent(said)));
}

int control_request(struct control *c, const struct control_call *call, cJSON **out, struct perry_err **err)
{
	cleanup_free char *type = xasprintf("Content-Type: %s", call->type ? call->type : "application/json");
	char *bearer = call->bearer ? xasprintf("Authorization: Bearer %s", call->bearer) : NULL;
	const char *headers[] = { "Accept: application/json", call->body ? type : "Accept-Language: en", bearer, NULL };
	int rc;
	*out = NULL;
	for (bool again = true; again;) {
		struct http_res res = { 0 };
		struct perry_err *why = NULL;
		again = false;
		rc = exchange(c, call, headers, &res, &why);
		if (rc == 0 && res.status >= 200 && res.status < 300) {
			rc = read_answer(c, &res, out, &why);
		} else if (rc == 0) {
			rc = is_gone(call, &res) ? 0 : answered_badly(c, call, &res, &why);
			again = res.status == 429 && wait_for_turn(c, &res, &why);
		}
		wipe_res(&res);
		if (again)
			perry_err_free(why);
		else if (why)
			perry_move(err, why);
	}
	if (bearer)
		wipe(bearer, strlen(bearer));
	free(bearer);
	return rc;
}

int control_json(struct control *c, struct control_call *call, const cJSON *json, cJSON **out, struct perry_err **err)
{
	cleanup_free char *body = json ? json_print(json) : NULL;
	call->body = body;
	if (!c->client_id) {
		call->bearer = secret_reveal(c->secret);
		return control_request(c, call, out, err);
	}
	for (int attempt = 0;; attempt++) {
		cleanup_secret struct secret *token = NULL;
		struct perry_err *why = NULL;
		if (control_token(c, attempt > 0, &token, err) < 0)
			return -1;
		call->bearer = secret_reveal(token);
		int rc = control_request(c, call, out, &why);
		/* A token that was revoked meanwhile: once more with a new one. */
		if (rc == 0 || attempt || why->status != 401)
			return rc == 0 ? 0 : perry_move(err, why);
		perry_err_free(why);
	}
}

/* --- answers --- */

int control_odd(const struct control *c, const char *what, struct perry_err **err)
{
	return perry_fail(err, PERRY_EUNAVAILABLE,
			  "the answer of %s (tailscale.credentials.%s) is not understood: expected %s", c->url, c->name,
			  what);
}

bool control_id_ok(const char *id)
{
	size_t n = id ? strlen(id) : 0;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)id[i]) && id[i] != '-' && id[i] != '_')
			return false;
	return n > 0 && n <= 64;
}

void control_set_time(cJSON *out, const char *key, const cJSON *from, const char *field)
{
	const char *text = json_str(from, field);
	int64_t ms = text ? clock_parse_iso(text) : -1;
	if (ms > 0)
		json_set_int(out, key, ms);
}

void control_copy_texts(cJSON *out, const char *key, const cJSON *from)
{
	cJSON *list = cJSON_CreateArray();
	const cJSON *v;
	if (cJSON_IsArray(from))
		cJSON_ArrayForEach(v, from)
			if (cJSON_IsString(v))
				json_push_str(list, v->valuestring);
	json_set(out, key, list);
}

int control_take_key(const struct control *c, cJSON *from, const char *expires, struct control_key *out,
		     struct perry_err **err)
{
	cJSON *key = cJSON_GetObjectItemCaseSensitive(from, "key");
	if (!cJSON_IsString(key) || !*key->valuestring || !control_id_ok(json_str(from, "id"))) {
		if (cJSON_IsString(key))
			wipe(key->valuestring, strlen(key->valuestring));
		return control_odd(c, "a key and its id", err);
	}
	out->key = secret_new(key->valuestring, strlen(key->valuestring));
	wipe(key->valuestring, strlen(key->valuestring));
	out->id = xstrdup(json_str(from, "id"));
	int64_t ms = clock_parse_iso(json_str_or(from, expires, ""));
	out->expires_ms = ms > 0 ? ms : 0;
	return 0;
}

/* --- the calls --- */

static void begin(struct control *c)
{
	c->until = clock_mono_ms() + c->timeout_ms;
}

static int check_id(const struct control *c, const char *what, const char *id, struct perry_err **err)
{
	if (control_id_ok(id))
		return 0;
	return perry_fail(err, PERRY_EINPUT, "tailscale.credentials.%s: no id of a %s", c->name, what);
}

int control_mint(struct control *c, const struct control_mint *want, struct control_key *out, struct perry_err **err)
{
	memset(out, 0, sizeof *out);
	begin(c);
	if (c->api->mint(c, want, out, err) == 0)
		return 0;
	control_key_free(out);
	return perry_wrap(err, "an auth key could not be made");
}

int control_key_revoke(struct control *c, const char *id, struct perry_err **err)
{
	begin(c);
	return check_id(c, "key", id, err) < 0 ? -1 : c->api->revoke(c, id, err);
}

int control_devices(struct control *c, cJSON **out, struct perry_err **err)
{
	*out = NULL;
	begin(c);
	return c->api->devices(c, out, err);
}

int control_device(struct control *c, const char *id, cJSON **out, struct perry_err **err)
{
	*out = NULL;
	begin(c);
	return check_id(c, "device", id, err) < 0 ? -1 : c->api->device(c, id, out, err);
}

int control_device_delete(struct control *c, const char *id, struct perry_err **err)
{
	begin(c);
	return check_id(c, "device", id, err) < 0 ? -1 : c->api->device_delete(c, id, err);
}
