/* require "tailnet": auth keys. A key is a box here: it can be written to an exec's standard input (input) and nothing else; no Lua value, log or
 * record ever has its text. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/sha256.h"
#include "lua/internal.h"
#include "store/store.h"

#define KEY_MAX 512

/* --- where keys come from --- */

static int no_key(struct perry_err **err)
{
	return perry_fail(err, PERRY_EINPUT,
			  "no auth key is configured: perry tailnet setup, or PERRY_TAILSCALE_AUTH_KEY in the agent's environment");
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
		return perry_fail(err, PERRY_EINPUT, "the auth key's file %s must be yours and readable by nobody else (chmod 600)", path);
	return file_read(path, 64 << 10, out, err);
}

static int key_of_env(const cJSON *key, struct buf *out, struct perry_err **err)
{
	const char *name = json_str_or(key, "name", ""), *value = getenv(name);
	if (!value || !*value)
		return perry_fail(err, PERRY_ENOTFOUND, "the agent's environment has no %s, which should hold the auth key", name);
	buf_adds(out, value);
	return 0;
}

/* --- what a key looks like --- */

int key_check(const char *key, const char *where, struct perry_err **err)
{
	static const struct {
		const char *prefix, *what;
	} wrong[] = {
		{ "tskey-api-", "an API access token" },
		{ "tskey-client-", "the secret of an OAuth client" },
		{ "tskey-webhook-", "the secret of a webhook" },
		{ "tskey-scim-", "a SCIM key" },
		{ "hskey-api-", "a Headscale API key" },
	};
	size_t n = strlen(key);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		if (str_starts(key, wrong[i].prefix))
			return perry_fail(err, PERRY_EINPUT,
					  "%s is %s (%s...), not an auth key: make an auth key (tskey-auth-...), or name it under tailscale.credentials in "
					  "config.json, and keys are made with it",
					  where, wrong[i].what, wrong[i].prefix);
	bool word = n >= 8 && n <= KEY_MAX;
	for (const char *p = key; word && *p; p++)
		word = isgraph((unsigned char)*p) && *p != '"' && *p != '\\';
	if (!word)
		return perry_fail(err, PERRY_EINPUT, "%s is no auth key: expected one word of 8 to %d characters, such as tskey-auth-...", where, KEY_MAX);
	return 0;
}

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

/* --- the bindings --- */

static int resolve(struct run *r, const cJSON *key, struct box *secret, struct perry_err **err)
{
	const char *kind = json_str_or(key, "kind", "");
	int rc = strcmp(kind, "config") == 0 ? key_of_config(r, &secret->buf, err)
		 : strcmp(kind, "file") == 0 ? key_of_file(key, &secret->buf, err)
		 : strcmp(kind, "env") == 0  ? key_of_env(key, &secret->buf, err)
					     : perry_fail(err, PERRY_EINPUT, "perry.key.%s is not to be had here", kind);
	if (rc < 0)
		return -1;
	struct buf *b = &secret->buf;
	while (b->len && isspace((unsigned char)b->data[b->len - 1]))
		b->data[--b->len] = 0;
	cleanup_free char *where = xasprintf("what perry.key.%s gives", kind);
	return key_check(buf_str(b), where, err);
}

/* key(answer): the auth_key hook's answer ({"$key": {kind=...}}) as {secret=box, kind, fingerprint}. */
static int l_key(lua_State *L)
{
	struct run *r = run_of(L);
	char print[17];
	lua_settop(L, 1);
	struct box *secret = box_new(L), *b = box_new(L);
	json_arg(L, 1, b, &b->in);
	const cJSON *key = cJSON_GetObjectItemCaseSensitive(b->in, "$key");
	if (resolve(r, key, secret, &b->err) < 0) {
		box_clear(secret);
		return box_raise(L, b);
	}
	b->out = cJSON_CreateObject();
	fingerprint(r, buf_str(&secret->buf), print);
	json_set_str(b->out, "kind", json_str(key, "kind"));
	json_set_str(b->out, "fingerprint", print);
	json_push_value(L, b->out);
	lua_pushvalue(L, 2);
	lua_setfield(L, -2, "secret");
	box_clear(b);
	return 1;
}

/* input(fields [, key]): one line of JSON with the fields, and the key's text as "key"; for docker.exec's option "bundle". */
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

int lib_tailnet(lua_State *L)
{
	static const luaL_Reg fns[] = { { "key", l_key }, { "input", l_input }, { 0 } };
	luaL_newlib(L, fns);
	return 1;
}
