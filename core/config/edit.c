/* Changing config.json: read, change, check, write, one writer at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/paths.h"
#include "base/secret.h"
#include "config/table.h"

struct keep {
	const cJSON *old;
};

/* The mask was written back by a client that had seen nothing else: the stored value stays. */
static void keep_masked(void *ctx, const char *path, cJSON *parent, cJSON *value)
{
	const struct keep *k = ctx;
	if (strcmp(value->valuestring, SECRET_MASK) != 0 || strcmp(path, "mcpServers") == 0)
		return;
	cleanup_free char *group =
		xstrndup(path, strlen(path) - (str_ends(path, value->string) ? strlen(value->string) + 1 : 0));
	const cJSON *at =
		str_ends(path, value->string) && strlen(path) > strlen(value->string) ? json_at(k->old, group) : k->old;
	const cJSON *old = cJSON_GetObjectItemCaseSensitive(at, value->string);
	cleanup_free char *name = xstrdup(value->string);
	json_set(parent, name, cJSON_IsString(old) ? cJSON_Duplicate(old, 1) : NULL);
}

/* A key that is no key makes every start wait in vain. One that was stored before is not judged for a change of
 * something else; what it refers to is looked at when it is used. */
static int check_new_key(const cJSON *root, const cJSON *old, struct perry_err **err)
{
	const char *key = json_str_or(root, "tailscale.authKey", "");
	if (!*key || str_eq(key, json_str(old, "tailscale.authKey")) || str_starts(key, "file:") ||
	    str_starts(key, "env:"))
		return 0;
	return config_check_auth_key(key, json_str(root, "tailscale.loginServer"), "tailscale.authKey", err);
}

int config_edit(const char *dir, int (*change)(cJSON *root, void *ctx, struct perry_err **err), void *ctx,
		struct perry_err **err)
{
	cleanup_free char *path = path_join(dir, "config.json");
	cleanup_free char *lock_path = path_join(dir, "config.lock");
	cleanup_buf struct buf text = { 0 };
	cleanup_err struct perry_err *why = NULL;
	if (dir_make(dir, 0700, err) < 0)
		return -1;
	/* The lock is the descriptor's: it ends with the process, whatever ends that. */
	cleanup_fd int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return perry_fail_errno(err, errno, "%s", lock_path);
	bool there = file_read(path, 4 << 20, &text, &why) == 0;
	if (!there && why->code != PERRY_ENOTFOUND)
		return perry_move(err, take_ptr(why));
	/* An empty file is a broken one: what it held is not to be lost by the next change. */
	cleanup_json cJSON *root = there ? json_parse(buf_str(&text), text.len, path, err) : cJSON_CreateObject();
	if (!root)
		return -1;
	table_modernize(root);
	table_admit(root, NULL);
	if (table_check(root, NULL, NULL, err) < 0)
		return -1;
	cleanup_json cJSON *old = cJSON_Duplicate(root, 1);
	if (change(root, ctx, err) < 0)
		return -1;
	struct keep k = { old };
	table_modernize(root);
	table_secrets(root, keep_masked, &k);
	if (table_check(root, NULL, NULL, err) < 0 || check_new_key(root, old, err) < 0)
		return -1;
	if (there && json_equal(old, root))
		return 0;
	cleanup_free char *out = json_pretty(root);
	/* A link is followed: the file is where its owner keeps it. */
	cleanup_free char *real = realpath(path, NULL);
	return file_write_atomic(real ? real : path, out, strlen(out), 0600, err);
}

static cJSON *typed_value(const struct config_key *k, const char *text, struct perry_err **err)
{
	long long n;
	if (strcmp(k->type, "string") == 0 || (strcmp(k->type, "size") == 0 && str_to_int(text, 0, INT64_MAX, &n) < 0))
		return cJSON_CreateString(text);
	if (strcmp(k->type, "strings") == 0 && *text != '[') {
		cJSON *one = cJSON_CreateArray();
		json_push_str(one, text);
		return one;
	}
	return json_parse(text, strlen(text), k->key, err);
}

static int assign(cJSON *root, const char *key, const char *text, struct perry_err **err)
{
	const struct config_key *k = table_find(key);
	if (!k && !(table_is_group(key) && !text)) {
		cleanup_free char *near = table_nearest(key);
		if (near)
			return perry_fail(err, PERRY_EINPUT,
					  "there is no configuration key \"%s\" (did you mean \"%s\"?)", key, near);
		return perry_fail(err, PERRY_EINPUT, "there is no configuration key \"%s\"", key);
	}
	const char *name = key, *dot;
	cJSON *at = root;
	/* Under a "*" key the rest of the path is one name, dots included. */
	int steps = 0;
	for (const char *p = k ? k->key : key; (p = strchr(p, '.')); p++)
		steps++;
	while (steps-- > 0 && (dot = strchr(name, '.'))) {
		cleanup_free char *step = xstrndup(name, (size_t)(dot - name));
		const cJSON *next = cJSON_GetObjectItemCaseSensitive(at, step);
		if (!text && !next)
			return 0;
		at = json_obj(at, step);
		name = dot + 1;
	}
	if (!text) {
		json_set(at, name, NULL);
		return 0;
	}
	cJSON *v = typed_value(k, text, err);
	if (!v)
		return -1;
	json_set(at, name, v);
	return 0;
}

static int assign_all(cJSON *root, void *ctx, struct perry_err **err)
{
	const cJSON *texts = ctx, *v;
	cJSON_ArrayForEach(v, texts)
		if (assign(root, v->string, cJSON_IsString(v) ? v->valuestring : NULL, err) < 0)
			return -1;
	return 0;
}

int config_set_all(const char *dir, const cJSON *texts, struct perry_err **err)
{
	return config_edit(dir, assign_all, (void *)texts, err);
}

int config_set(const char *dir, const char *key, const char *text, struct perry_err **err)
{
	cJSON *texts = cJSON_CreateObject();
	json_set(texts, key, text ? cJSON_CreateString(text) : cJSON_CreateNull());
	int rc = config_set_all(dir, texts, err);
	if (text)
		wipe(texts->child->valuestring, strlen(texts->child->valuestring));
	cJSON_Delete(texts);
	return rc;
}

int config_check_prefix(const char *prefix, const cJSON *workspaces, struct perry_err **err)
{
	const cJSON *ws;
	cJSON_ArrayForEach(ws, workspaces) {
		const char *name = json_str_or(ws, "name", "");
		size_t n = strlen(prefix) + strlen(name);
		if (n > 63)
			return perry_fail(err, PERRY_EINPUT,
					  "tailscale.hostnamePrefix: %s%s, the hostname of the workspace %s, would "
					  "have %zu characters; 63 is the most",
					  prefix, name, name, n);
	}
	return 0;
}
