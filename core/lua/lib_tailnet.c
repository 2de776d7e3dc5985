/* require "tailnet": auth keys, and the control server's API by the credentials of config.json. A key is a box here: it
 * can be written to an exec's standard input (input) and nothing else; no Lua value, log or record ever has its text.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/paths.h"
#include "base/sha256.h"
#include "lua/internal.h"
#include "net/http.h"
#include "store/store.h"
#include "tailscale/control.h"
#include "tailscale/evidence.h"

#define MINT_EXPIRY_S     600
#define MINT_EXPIRY_MAX_S (24 * 3600)
#define FETCH_TIMEOUT_MS  10000
#define FETCH_MAX         (1u << 20)
#define DEFAULT_TAG       "tag:perry-workspace"
#define TAILSCALE_URL     "https://api.tailscale.com"

/* --- credentials --- */

/* A credential that is open: its parts in the order in which they are freed. */
struct access {
	struct control *control;
	struct secret *secret;
};

static void access_close(struct access *a)
{
	control_free(a->control);
	secret_free(a->secret);
}

static const cJSON *credential_of(const struct run *r, const char *name)
{
	const cJSON *all = r->config ? config_get(r->config, "tailscale.credentials") : NULL;
	return name ? cJSON_GetObjectItemCaseSensitive(all, name) : all ? all->child : NULL;
}

/* What ends a call early: the operation's cancelling, or the agent's end. */
static struct docker_cancel *cancel_of(const struct run *r)
{
	return r->op ? op_cancel_flag(r->op) : r->host->background ? background_cancel(r->host->background) : NULL;
}

/* name NULL: the first one. timeout_ms 0: the usual. */
static int access_open(struct run *r, const char *name, int timeout_ms, struct access *out, struct perry_err **err)
{
	const cJSON *one = credential_of(r, name);
	if (!cJSON_IsObject(one))
		return perry_fail(err, PERRY_ENOTFOUND,
				  name ? "there is no tailscale.credentials.%s in config.json"
				       : "there is no API credential (tailscale.credentials) in config.json",
				  name);
	const char *field = json_str(one, "apiKey") ? "apiKey" : "clientSecret";
	cleanup_free char *key = xasprintf("tailscale.credentials.%s.%s", one->string, field);
	if (config_secret_by(r->config, key, json_str_or(one, field, ""), &out->secret, err) < 0)
		return -1;
	struct docker_cancel *cancel = cancel_of(r);
	const struct control_setup setup = {
		.name = one->string,
		.type = json_str(one, "type"),
		.url = json_str(one, "url"),
		.tailnet = json_str(one, "tailnet"),
		.client_id = json_str(one, "clientId"),
		.secret = out->secret,
		.user = json_str(one, "user"),
		.timeout_ms = timeout_ms,
		.cancelled = cancel ? &cancel->set : NULL,
		.cancel_fd = cancel ? cancel->fd : -1,
	};
	return control_open(&out->control, &setup, err);
}

/* The address that names the control server of a credential. */
static const char *credential_url(const cJSON *one)
{
	const char *url = json_str(one, "url");
	return url && *url ? url : TAILSCALE_URL;
}

/* "https://hs.example/" and "https://hs.example" are one server. Tailscale's own (no login server, or one of its names)
 * has one API. */
static bool same_server(const char *login_server, const cJSON *one)
{
	const char *url = credential_url(one);
	bool ours = !login_server || !*login_server || strstr(login_server, ".tailscale.com");
	if (ours)
		return strcmp(url, TAILSCALE_URL) == 0;
	size_t n = strlen(login_server), m = strlen(url);
	while (n && login_server[n - 1] == '/')
		n--;
	while (m && url[m - 1] == '/')
		m--;
	return n == m && strncmp(login_server, url, n) == 0;
}

/* --- where keys come from --- */

static int no_key(struct perry_err **err)
{
	return perry_fail(err, PERRY_EINPUT,
			  "no auth key is configured: perry tailnet setup, or PERRY_TAILSCALE_AUTH_KEY in the agent's "
			  "environment");
}

static int key_of_config(struct run *r, struct buf *out, struct perry_err **err)
{
	cleanup_secret struct secret *s = NULL;
	if (!r->config || !config_str(r->config, "tailscale.authKey"))
		return no_key(err);
	if (config_secret(r->config, "tailscale.authKey", &s, err) < 0)
		return -1;
	buf_add(out, secret_reveal(s), secret_len(s));
	return 0;
}

static int key_of_file(const cJSON *key, struct buf *out, struct perry_err **err)
{
	cleanup_free char *path = path_expand_home(json_str_or(key, "path", ""));
	struct stat st;
	if (stat(path, &st) < 0)
		return perry_fail_errno(err, errno, "the auth key's file %s", path);
	if ((st.st_mode & 077) || (st.st_uid != geteuid() && st.st_uid != 0))
		return perry_fail(err, PERRY_EINPUT,
				  "the auth key's file %s must be yours and readable by nobody else (chmod 600)", path);
	return file_read(path, 64 << 10, out, err);
}

static int key_of_env(const cJSON *key, struct buf *out, struct perry_err **err)
{
	const char *name = json_str_or(key, "name", ""), *value = getenv(name);
	if (!value || !*value)
		return perry_fail(err, PERRY_ENOTFOUND,
				  "the agent's environment has no %s, which should hold the auth key", name);
	buf_adds(out, value);
	return 0;
}

/* What came with a key. */
struct about {
	const char *credential; /* that made it, borrowed from the configuration */
	char *id, *login_server;
	int64_t expires_ms;
	bool minted, ephemeral;
	bool tagged; /* what it makes has tags, for certain */
};

static int seconds_of(const cJSON *expiry, int64_t *out, struct perry_err **err)
{
	if (cJSON_IsNumber(expiry))
		*out = (int64_t)expiry->valuedouble;
	else if (cJSON_IsString(expiry)) {
		int64_t at = clock_since(expiry->valuestring);
		*out = at < 0 ? 0 : (clock_ms() - at + 500) / 1000;
	} else if (expiry)
		*out = 0;
	if (*out >= 60 && *out <= MINT_EXPIRY_MAX_S)
		return 0;
	return perry_fail(err, PERRY_EINPUT,
			  "perry.key.mint: expiry: expected seconds or a time such as \"10m\", from a minute to a day");
}

/* The answer's, else the configured ones, else the default one; none for keys that a Headscale user owns. At most 31,
 * borrowed. */
static int tags_of(const struct run *r, const cJSON *key, const char *out[32], struct perry_err **err)
{
	const cJSON *tags = cJSON_GetObjectItemCaseSensitive(key, "tags"), *tag,
		    *one = credential_of(r, json_str(key, "credential"));
	size_t n = 0;
	if (!cJSON_GetArraySize(tags))
		tags = config_get(r->config, "tailscale.tags");
	cJSON_ArrayForEach(tag, tags) {
		if (!cJSON_IsString(tag) || !str_starts(tag->valuestring, "tag:") || n == 31)
			return perry_fail(err, PERRY_EINPUT,
					  "perry.key.mint: tags: expected at most 31 texts such as \"%s\"",
					  DEFAULT_TAG);
		out[n++] = tag->valuestring;
	}
	if (n == 0 && !json_str(one, "user"))
		out[n++] = DEFAULT_TAG;
	out[n] = NULL;
	return 0;
}

static int key_of_mint(struct run *r, const cJSON *key, struct buf *out, struct about *about, struct perry_err **err)
{
	const char *tags[32], *name = json_str(key, "credential");
	int64_t expiry = MINT_EXPIRY_S;
	struct access a = { 0 };
	struct control_key made = { 0 };
	cleanup_free char *description = xasprintf("perry %s", run_workspace(r) ? run_workspace(r) : "");
	about->minted = true;
	about->ephemeral = json_bool_or(key, "ephemeral", true);
	int rc = r->config ? 0 : perry_fail(err, PERRY_ENOTFOUND, "there is no configuration");
	if (rc == 0)
		rc = access_open(r, name, 0, &a, err);
	if (rc == 0)
		rc = tags_of(r, key, tags, err) < 0 ||
				     seconds_of(cJSON_GetObjectItemCaseSensitive(key, "expiry"), &expiry, err) < 0
			     ? -1
			     : 0;
	if (rc == 0)
		rc = control_mint(a.control,
				  &(struct control_mint){ .tags = tags,
							  .ephemeral = about->ephemeral,
							  .expiry_s = (int)expiry,
							  .description = description },
				  &made, err);
	if (rc == 0) {
		const cJSON *one = credential_of(r, name);
		buf_add(out, secret_reveal(made.key), secret_len(made.key));
		about->credential = one->string;
		about->tagged = tags[0];
		about->id = take_ptr(made.id);
		about->expires_ms = made.expires_ms;
		about->login_server = str_eq(json_str(one, "type"), "headscale") ? xstrdup(json_str(one, "url")) : NULL;
	}
	control_key_free(&made);
	access_close(&a);
	return rc;
}

/* The text that a JSON pointer (RFC 6901) leads to; borrowed. */
static const char *pointed(const cJSON *j, const char *pointer)
{
	while (j && *pointer == '/') {
		size_t n = strcspn(++pointer, "/");
		struct buf step = { 0 };
		for (size_t i = 0; i < n; i++) {
			bool escaped =
				pointer[i] == '~' && i + 1 < n && (pointer[i + 1] == '0' || pointer[i + 1] == '1');
			buf_addc(&step, !escaped ? pointer[i] : pointer[i + 1] == '0' ? '~' : '/');
			i += escaped;
		}
		long long index = -1;
		if (cJSON_IsArray(j))
			j = str_to_int(buf_str(&step), 0, INT32_MAX, &index) < 0 ? NULL
										 : cJSON_GetArrayItem(j, (int)index);
		else
			j = cJSON_GetObjectItemCaseSensitive(j, buf_str(&step));
		buf_free(&step);
		pointer += n;
	}
	return *pointer || !cJSON_IsString(j) ? NULL : j->valuestring;
}

static void wipe_texts(cJSON *j)
{
	for (; j; j = j->next) {
		if (cJSON_IsString(j))
			wipe(j->valuestring, strlen(j->valuestring));
		wipe_texts(j->child);
	}
}

static int fetched(const struct http_res *res, const cJSON *key, const char *shown, struct buf *out,
		   struct perry_err **err)
{
	const char *pointer = json_str(key, "pointer");
	if (res->status < 200 || res->status > 299)
		return perry_fail(err, PERRY_EUNAVAILABLE, "the auth key could not be fetched: %s answers %d", shown,
				  res->status);
	if (!pointer || !*pointer) {
		buf_add(out, buf_str(&res->body), res->body.len);
		return 0;
	}
	cleanup_err struct perry_err *why = NULL;
	cJSON *j = json_parse(buf_str(&res->body), res->body.len, "answer", &why);
	const char *text = pointed(j, pointer);
	int rc = 0;
	if (text)
		buf_adds(out, text);
	else
		rc = perry_fail(
			err, PERRY_EINPUT,
			j ? "the auth key could not be fetched: the answer of %s has no text at \"%s\""
			  : "the auth key could not be fetched: the answer of %s is no JSON, where \"%s\" is asked for",
			shown, pointer);
	wipe_texts(j);
	cJSON_Delete(j);
	return rc;
}

/* Header lines with their secrets; the caller wipes and frees. */
static int header_lines(struct run *r, const cJSON *headers, char *out[34], struct perry_err **err)
{
	const cJSON *h;
	size_t n = 0;
	cJSON_ArrayForEach(h, headers) {
		struct buf line = { 0 };
		if (n == 32)
			return perry_fail(err, PERRY_EINPUT, "perry.key.http: headers: at most 32");
		buf_addf(&line, "%s: ", h->string);
		int rc = secret_resolve(r, h, &line, err);
		out[n++] = buf_take(&line);
		if (rc < 0)
			return perry_wrap(err, "perry.key.http: headers.%s", h->string);
	}
	return 0;
}

static int key_of_http(struct run *r, const cJSON *key, struct buf *out, struct perry_err **err)
{
	const char *url = json_str_or(key, "url", "");
	/* Who answered it is not told; where a pack lists the host, it may have been the pack. */
	const struct http_options options = hooks_http(hooks_of_run(r), NULL, url);
	cleanup_free char *shown = xstrndup(url, strcspn(url, "?#"));
	char *lines[34] = { 0 };
	struct http *http = NULL;
	struct http_res res = { 0 };
	struct docker_cancel *cancel = cancel_of(r);
	int rc = str_starts(url, "http://") || str_starts(url, "https://")
			 ? 0
			 : perry_fail(err, PERRY_EINPUT, "perry.key.http: url: expected http(s)://...");
	if (rc == 0)
		rc = header_lines(r, cJSON_GetObjectItemCaseSensitive(key, "headers"), lines, err);
	if (rc == 0)
		rc = http_new(&http, &options, err);
	if (rc == 0) {
		const struct http_req req = { .url = url,
					      .headers = (const char *const *)lines,
					      .max = FETCH_MAX,
					      .timeout_ms = FETCH_TIMEOUT_MS,
					      .cancelled = cancel ? &cancel->set : NULL,
					      .cancel_fd = cancel ? cancel->fd : -1 };
		rc = http_do(http, &req, &res, err);
		if (rc < 0)
			perry_wrap(err, "the auth key could not be fetched");
		else
			rc = fetched(&res, key, shown, out, err);
	}
	if (res.body.data)
		wipe(res.body.data, res.body.cap);
	http_res_free(&res);
	http_free(http);
	for (char **l = lines; *l; l++) {
		wipe(*l, strlen(*l));
		free(*l);
	}
	return rc;
}

/* --- what a key is --- */

/* Tells two keys apart without saying anything of either. */
static void fingerprint(struct run *r, const char *key, char out[17])
{
	char hex[65];
	struct buf salted = { 0 };
	buf_addf(&salted, "%s\n%s", store_agent_id(r->host->setup.store), key);
	sha256_hex(salted.data, salted.len, hex);
	wipe(salted.data, salted.cap);
	buf_free(&salted);
	memcpy(out, hex, 16);
	out[16] = 0;
}

/* The first time that a workspace gets a key with which code in it could make devices of a user: those that come later
 * are not taken for his without the token (core/agent/who/identity.c). */
static void note_given(struct run *r)
{
	cleanup_json cJSON *since = NULL, *now = cJSON_CreateNumber((double)clock_ms());
	cleanup_err struct perry_err *e = NULL;
	if (store_kv_get(r->host->setup.store, "perry", "tailnet.keyGiven", &since, &e) < 0 ||
	    (!since && store_kv_set(r->host->setup.store, "perry", "tailnet.keyGiven", now, &e) < 0))
		log_error("tailnet", "that a workspace got a key cannot be kept: %s", perry_msg(e));
}

/* --- the bindings --- */

static int resolve(struct run *r, const cJSON *key, struct box *secret, struct about *about, struct perry_err **err)
{
	const char *kind = json_str_or(key, "kind", "");
	int rc = strcmp(kind, "config") == 0 ? key_of_config(r, &secret->buf, err)
		 : strcmp(kind, "file") == 0 ? key_of_file(key, &secret->buf, err)
		 : strcmp(kind, "env") == 0  ? key_of_env(key, &secret->buf, err)
		 : strcmp(kind, "mint") == 0 ? key_of_mint(r, key, &secret->buf, about, err)
		 : strcmp(kind, "http") == 0 ? key_of_http(r, key, &secret->buf, err)
					     : perry_fail(err, PERRY_EINPUT, "there is no perry.key.%s", kind);
	if (rc < 0)
		return -1;
	struct buf *b = &secret->buf;
	while (b->len && isspace((unsigned char)b->data[b->len - 1]))
		b->data[--b->len] = 0;
	cleanup_free char *where = xasprintf("what perry.key.%s gives", kind);
	return config_check_key_word(buf_str(b), where, err);
}

/* key(answer): the auth_key hook's answer ({"$key": {kind=...}}) as {secret=box, kind, fingerprint}, and for a key that
 * was made: credential, id, ephemeral, expires (ms) and, where the credential's server is none of Tailscale's,
 * loginServer. */
static int l_key(lua_State *L)
{
	struct run *r = run_of(L);
	char print[17];
	struct about about = { 0 };
	lua_settop(L, 1);
	struct box *secret = box_new(L), *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	const cJSON *key = cJSON_GetObjectItemCaseSensitive(b->in, "$key");
	int rc = resolve(r, key, secret, &about, &b->err);
	if (rc == 0) {
		b->out = cJSON_CreateObject();
		fingerprint(r, buf_str(&secret->buf), print);
		if (!about.tagged)
			note_given(r);
		json_set_str(b->out, "kind", json_str(key, "kind"));
		json_set_str(b->out, "fingerprint", print);
		json_set_str(b->out, "credential", about.credential);
		json_set_str(b->out, "id", about.id);
		json_set_str(b->out, "loginServer", about.login_server);
		if (about.minted)
			json_set_bool(b->out, "ephemeral", about.ephemeral);
		if (about.expires_ms)
			json_set_int(b->out, "expires", about.expires_ms);
	}
	free(about.id);
	free(about.login_server);
	if (rc < 0) {
		box_clear(secret);
		return box_raise(L, b);
	}
	json_push_value(L, b->out);
	lua_pushvalue(L, 2);
	lua_setfield(L, -2, "secret");
	box_clear(b);
	return 1;
}

/* configured(): {source="file" or "env NAME", fingerprint, error} of the configured key, which is given to nobody; nil:
 * there is none. */
static int l_configured(lua_State *L)
{
	struct run *r = run_of(L);
	char print[17];
	struct box *secret = box_new(L), *b = box_new(L);
	struct about about = { 0 };
	b->in = json_parse("{\"kind\":\"config\"}", 17, "key", NULL);
	if (r->config && config_str(r->config, "tailscale.authKey")) {
		b->out = cJSON_CreateObject();
		json_set_str(b->out, "source", config_origin(r->config, "tailscale.authKey"));
		if (resolve(r, b->in, secret, &about, &b->err) == 0)
			fingerprint(r, buf_str(&secret->buf), print);
		json_set_str(b->out, b->err ? "error" : "fingerprint", b->err ? perry_msg(b->err) : print);
	}
	box_clear(secret);
	return box_json(L, b, 0);
}

/* input(fields [, key]): one line of JSON with the fields, and the key's text as "key"; for docker.exec's option
 * "bundle". */
static int l_input(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	if (lua_istable(L, 2)) {
		lua_getfield(L, 2, "secret");
		lua_replace(L, 2);
	}
	struct box *secret = lua_isnoneornil(L, 2) ? NULL : luaL_checkudata(L, 2, "perry.box");
	struct box *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	b->text = json_print(b->in);
	size_t n = strlen(b->text);
	luaL_argcheck(L, n >= 2 && b->text[n - 1] == '}', 1, "expected a table of fields");
	buf_add(&b->buf, b->text, n - 1);
	if (secret) {
		buf_adds(&b->buf, n > 2 ? ",\"key\":" : "\"key\":");
		json_quote(&b->buf, buf_str(&secret->buf), secret->buf.len);
	}
	buf_adds(&b->buf, "}\n");
	return 1;
}

/* credential([login_server]): the name of the first credential of that control server (none given: Tailscale's), or
 * nil. */
static int l_credential(lua_State *L)
{
	const char *login_server = luaL_optstring(L, 1, NULL);
	const cJSON *all = credential_of(run_of(L), NULL);
	for (; all; all = all->next)
		if (cJSON_IsObject(all) && same_server(login_server, all))
			break;
	lua_pushstring(L, all ? all->string : NULL);
	return 1;
}

/* about(credential): {name, type, server}, server being the address of its API; nil: there is no such credential. */
static int l_about(lua_State *L)
{
	const cJSON *one = credential_of(run_of(L), luaL_checkstring(L, 1));
	struct box *b = box_new(L);
	if (cJSON_IsObject(one)) {
		b->out = cJSON_CreateObject();
		json_set_str(b->out, "name", one->string);
		json_set_str(b->out, "type", json_str(one, "type"));
		json_set_str(b->out, "server", credential_url(one));
	}
	return box_json(L, b, 0);
}

/* serves(credential [, login_server]): is it one of that control server (none given: Tailscale's)? */
static int l_serves(lua_State *L)
{
	const cJSON *one = credential_of(run_of(L), luaL_checkstring(L, 1));
	const char *login_server = luaL_optstring(L, 2, NULL);
	lua_pushboolean(L, cJSON_IsObject(one) && same_server(login_server, one));
	return 1;
}

/* credentials(): their names. */
static int l_credentials(lua_State *L)
{
	const cJSON *one = credential_of(run_of(L), NULL);
	struct box *b = box_new(L);
	b->out = cJSON_CreateArray();
	for (; one; one = one->next)
		if (cJSON_IsObject(one))
			json_push_str(b->out, one->string);
	return box_json(L, b, 0);
}

struct api_call {
	const char *credential, *id; /* id: NULL for a list */
	int timeout_ms;
	struct access access;
};

/* The arguments (credential [, id] [, timeout_ms]); false with b->err when the credential cannot be used. */
static bool api_open(lua_State *L, struct box *b, struct api_call *a, bool with_id)
{
	a->credential = luaL_checkstring(L, 1);
	a->id = with_id ? luaL_checkstring(L, 2) : NULL;
	a->timeout_ms = (int)luaL_optinteger(L, with_id ? 3 : 2, 0);
	if (access_open(run_of(L), a->credential, a->timeout_ms, &a->access, &b->err) == 0)
		return true;
	access_close(&a->access);
	return false;
}

/* devices(credential [, timeout_ms]): as control_devices. */
static int l_devices(lua_State *L)
{
	struct api_call a = { 0 };
	lua_settop(L, 2);
	struct box *b = box_new(L);
	if (!api_open(L, b, &a, false))
		return box_raise(L, b);
	int rc = control_devices(a.access.control, &b->out, &b->err);
	access_close(&a.access);
	return box_json(L, b, rc);
}

/* device(credential, id [, timeout_ms]): one of them, or nil when it is gone. */
static int l_device(lua_State *L)
{
	struct api_call a = { 0 };
	lua_settop(L, 3);
	struct box *b = box_new(L);
	if (!api_open(L, b, &a, true))
		return box_raise(L, b);
	int rc = control_device(a.access.control, a.id, &b->out, &b->err);
	access_close(&a.access);
	return box_found(L, b, rc);
}

static int remove_by(lua_State *L, int (*fn)(struct control *c, const char *id, struct perry_err **err))
{
	struct api_call a = { 0 };
	lua_settop(L, 3);
	struct box *b = box_new(L);
	if (!api_open(L, b, &a, true))
		return box_raise(L, b);
	int rc = fn(a.access.control, a.id, &b->err);
	access_close(&a.access);
	return box_ok(L, b, rc);
}

/* device_delete(credential, id [, timeout_ms]), key_revoke(the same): what is gone is success. */
static int l_device_delete(lua_State *L)
{
	return remove_by(L, control_device_delete);
}

static int l_key_revoke(lua_State *L)
{
	return remove_by(L, control_key_revoke);
}

/* evidence(row, device): "for", "against", "maybe" or "none" (tailscale/evidence.h). */
static int l_evidence(lua_State *L)
{
	static const char *const words[] = { "none", "against", "maybe", "for" };
	lua_settop(L, 2);
	struct box *row = box_new(L), *device = box_new(L);
	json_arg(L, 1, row, &row->in);
	json_arg(L, 2, device, &device->in);
	lua_pushstring(L, words[evidence_device(row->in, device->in)]);
	box_clear(row);
	box_clear(device);
	return 1;
}

int lib_tailnet(lua_State *L)
{
	static const luaL_Reg fns[] = {
		{ "key", l_key },
		{ "configured", l_configured },
		{ "input", l_input },
		{ "credential", l_credential },
		{ "about", l_about },
		{ "serves", l_serves },
		{ "credentials", l_credentials },
		{ "devices", l_devices },
		{ "device", l_device },
		{ "device_delete", l_device_delete },
		{ "key_revoke", l_key_revoke },
		{ "evidence", l_evidence },
		{ 0 },
	};
	luaL_newlib(L, fns);
	return 1;
}
