#include "config/config.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/paths.h"
#include "base/secret.h"
#include "config/table.h"

enum { MAX_FILE = 4 << 20 };

struct config {
	atomic_int refs;
	bool has_file;
	cJSON *file;      /* as it stands on disk */
	cJSON *effective; /* defaults, then the file, then the environment */
};

/* Environment variables that stand for a key. */
static const struct {
	const char *name, *key;
} variables[] = {
	{ "PERRY_PORT", "port" },
	{ "PERRY_NO_HOST_ACCESS", "allowHostAccess" },
	{ "PERRY_TAILSCALE_AUTH_KEY", "tailscale.authKey" },
};

static const char *variable_of(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		const char *v = getenv(variables[i].name);
		if (strcmp(variables[i].key, key) == 0 && v && *v)
			return variables[i].name;
	}
	return NULL;
}

/* Puts a value at a dotted path, making the objects on the way. */
static void put(cJSON *root, const char *path, cJSON *take_value)
{
	const char *dot;
	while ((dot = strchr(path, '.'))) {
		cleanup_free char *name = xstrndup(path, (size_t)(dot - path));
		root = json_obj(root, name);
		path = dot + 1;
	}
	json_set(root, path, take_value);
}

static cJSON *defaults(void)
{
	cJSON *root = cJSON_CreateObject();
	for (const struct config_key *k = config_keys(); k->key; k++)
		if (k->dflt)
			put(root, k->key, cJSON_Parse(k->dflt));
	return root;
}

static int overlay_environment(cJSON *root, struct perry_err **err)
{
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		const char *text = getenv(variables[i].name);
		long long n;
		if (!text || !*text)
			continue;
		if (strcmp(variables[i].key, "port") == 0) {
			if (str_to_int(text, 1, 65535, &n) < 0)
				return perry_fail(err, PERRY_EINPUT, "%s: expected a port number, got \"%s\"",
						  variables[i].name, text);
			put(root, "port", cJSON_CreateNumber((double)n));
		} else if (strcmp(variables[i].key, "allowHostAccess") == 0) {
			if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
				put(root, "allowHostAccess", cJSON_CreateFalse());
		} else {
			put(root, variables[i].key, cJSON_CreateString(text));
		}
	}
	return 0;
}

static void teach_redaction(void *ctx, const char *path, cJSON *parent, cJSON *value)
{
	if (!str_starts(value->valuestring, "file:") && !str_starts(value->valuestring, "env:"))
		redact_add(value->valuestring);
}

static void say_admitted(const char *key, double was, double is)
{
	log_warn("config", "%s is %g in config.json, and %g is taken instead: perry agent config set %s %g", key, was,
		 is, key, is);
}

/* Reads DIR/config.json; an absent file is an empty object. */
static int read_file(const char *dir, bool *there, cJSON **out, struct perry_err **err)
{
	cleanup_free char *path = path_join(dir, "config.json");
	cleanup_buf struct buf text = { 0 };
	struct stat st;
	if (stat(path, &st) < 0) {
		if (errno != ENOENT)
			return perry_fail_errno(err, errno, "%s", path);
		*there = false;
		*out = cJSON_CreateObject();
		return 0;
	}
	*there = true;
	/* It holds the token: nobody else reads it. An old installation left it open. */
	if (S_ISREG(st.st_mode) && (st.st_mode & 077) && st.st_uid == geteuid() && chmod(path, 0600) == 0)
		log_warn("config", "%s was readable by others; its mode is 0600 now", path);
	if (file_read(path, MAX_FILE, &text, err) < 0)
		return -1;
	*out = json_parse(buf_str(&text), text.len, path, err);
	table_modernize(*out);
	table_admit(*out, say_admitted);
	return *out ? 0 : -1;
}

int config_load(const char *dir, struct config **out, void (*warn)(void *, const char *, const char *), void *ctx,
		struct perry_err **err)
{
	cleanup_json cJSON *file = NULL;
	cleanup_json cJSON *effective = defaults();
	bool there = false;
	if (read_file(dir, &there, &file, err) < 0)
		return -1;
	if (table_check(file, warn, ctx, err) < 0) {
		perry_wrap(err, "%s", dir);
		return -1;
	}
	json_merge(effective, file);
	if (overlay_environment(effective, err) < 0)
		return -1;
	if (!json_at(effective, "tailscale.enabled"))
		put(effective, "tailscale.enabled",
		    cJSON_CreateBool(*json_str_or(effective, "tailscale.authKey", "") ||
				     json_at(effective, "tailscale.credentials")));
	table_secrets(effective, teach_redaction, NULL);
	struct config *c = xcalloc(1, sizeof *c);
	atomic_init(&c->refs, 1);
	c->has_file = there;
	c->file = take_ptr(file);
	c->effective = take_ptr(effective);
	*out = c;
	return 0;
}

struct config *config_ref(struct config *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void config_unref(struct config *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	cJSON_Delete(c->file);
	cJSON_Delete(c->effective);
	free(c);
}

bool config_has_file(const struct config *c)
{
	return c->has_file;
}

static int keep_theirs(cJSON *root, void *ctx, struct perry_err **err)
{
	const struct config *c = ctx;
	const cJSON *member;
	if (root->child)
		return 0;
	cJSON_ArrayForEach(member, c->file)
		cJSON_AddItemToObject(root, member->string, cJSON_Duplicate(member, 1));
	return 0;
}

int config_put_back(const char *dir, const struct config *c, struct perry_err **err)
{
	return config_edit(dir, keep_theirs, (void *)c, err);
}

const cJSON *config_get(const struct config *c, const char *key)
{
	return json_at(c->effective, key);
}

const char *config_str(const struct config *c, const char *key)
{
	const char *s = json_str(c->effective, key);
	return s && *s ? s : NULL;
}

int64_t config_int(const struct config *c, const char *key)
{
	return json_int_or(c->effective, key, 0);
}

bool config_bool(const struct config *c, const char *key)
{
	return json_bool_or(c->effective, key, false);
}

const char *config_origin(const struct config *c, const char *key)
{
	const char *name = variable_of(key);
	if (name)
		return strcmp(name, "PERRY_PORT") == 0             ? "env PERRY_PORT"
		       : strcmp(name, "PERRY_NO_HOST_ACCESS") == 0 ? "env PERRY_NO_HOST_ACCESS"
								   : "env PERRY_TAILSCALE_AUTH_KEY";
	return json_at(c->file, key) ? "file" : "default";
}

void config_mask(cJSON *value)
{
	if (cJSON_IsString(value) && *value->valuestring)
		cJSON_SetValuestring(value, SECRET_MASK);
}

static void mask_one(void *ctx, const char *path, cJSON *parent, cJSON *value)
{
	config_mask(value);
}

cJSON *config_masked(const struct config *c)
{
	cJSON *copy = cJSON_Duplicate(c->effective, 1);
	table_secrets(copy, mask_one, NULL);
	return copy;
}

static void refer(void *ctx, const char *path, cJSON *parent, cJSON *value)
{
	cleanup_free char *name = xstrdup(value->string);
	if (!*value->valuestring || strcmp(path, "mcpServers") == 0)
		return;
	cJSON *ref = cJSON_CreateObject();
	json_set_str(ref, "$secret", path);
	cJSON_ReplaceItemInObjectCaseSensitive(parent, name, ref);
}

cJSON *config_public(const struct config *c)
{
	cJSON *copy = cJSON_Duplicate(c->effective, 1);
	table_secrets(copy, refer, NULL);
	/* No hook needs these, not even as references. */
	cJSON *auth = cJSON_GetObjectItemCaseSensitive(copy, "auth");
	json_set(auth, "token", NULL);
	json_set(copy, "mcpServers", NULL);
	return copy;
}

/* "credentials.env.A.B": the last step may hold dots, so walk by the longest name. */
static const cJSON *leaf_at(const cJSON *root, const char *path)
{
	const cJSON *whole = cJSON_GetObjectItemCaseSensitive(root, path);
	if (whole)
		return whole;
	const char *dot = strchr(path, '.');
	if (!dot)
		return NULL;
	cleanup_free char *name = xstrndup(path, (size_t)(dot - path));
	const cJSON *next = cJSON_GetObjectItemCaseSensitive(root, name);
	return cJSON_IsObject(next) ? leaf_at(next, dot + 1) : NULL;
}

static int secret_from_file(const char *name, const char *path, struct secret **out, struct perry_err **err)
{
	cleanup_free char *full = path_expand_home(path);
	cleanup_buf struct buf text = { 0 };
	struct stat st;
	if (stat(full, &st) < 0)
		return perry_fail_errno(err, errno, "secret %s: %s", name, path);
	if ((st.st_mode & 077) || (st.st_uid != geteuid() && st.st_uid != 0))
		return perry_fail(err, PERRY_EINPUT,
				  "secret %s: %s must be yours and readable by nobody else (chmod 600)", name, path);
	if (file_read(full, 1 << 20, &text, err) < 0)
		return -1;
	while (text.len && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.len--;
	*out = secret_new(buf_str(&text), text.len);
	wipe(text.data, text.cap);
	return 0;
}

static int secret_of_text(const char *name, const char *text, struct secret **out, struct perry_err **err)
{
	if (str_starts(text, "file:"))
		return secret_from_file(name, text + 5, out, err);
	if (str_starts(text, "env:")) {
		const char *value = getenv(text + 4);
		if (!value)
			return perry_fail(err, PERRY_ENOTFOUND, "secret %s: the agent's environment has no %s", name,
					  text + 4);
		text = value;
	}
	*out = secret_new(text, strlen(text));
	return 0;
}

int config_secret(const struct config *c, const char *name, struct secret **out, struct perry_err **err)
{
	const cJSON *v = leaf_at(c->effective, name);
	const struct config_key *k = v ? table_find(name) : NULL;
	if (!v || (k && !k->secret) || !cJSON_IsString(v))
		v = leaf_at(json_at(c->effective, "secrets"), name);
	if (!cJSON_IsString(v))
		return perry_fail(err, PERRY_ENOTFOUND, "there is no secret \"%s\" (secrets.%s in config.json)", name,
				  name);
	return secret_of_text(name, v->valuestring, out, err);
}

int config_secret_by(const struct config *c, const char *key, const char *ref, struct secret **out,
		     struct perry_err **err)
{
	if (str_starts(ref, "file:") || str_starts(ref, "env:"))
		return secret_of_text(key, ref, out, err);
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(json_at(c->effective, "secrets"), ref);
	if (!cJSON_IsString(v)) /* not repeated: it may be the secret itself */
		return perry_fail(err, PERRY_ENOTFOUND, "%s: there is no such entry of \"secrets\" in config.json",
				  key);
	return secret_of_text(ref, v->valuestring, out, err);
}

void config_port_range(const struct config *c, int *min, int *max)
{
	if (sscanf(json_str_or(c->effective, "sshPortRange", ""), "%d-%d", min, max) != 2)
		*min = 2200, *max = 2400;
}
