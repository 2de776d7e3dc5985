#include "config/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "config/keys.h"

static const struct config_key rows[] = {
#define X(key, type, secret, min, max, dflt, doc) { key, type, secret, min, max, dflt, doc },
	CONFIG_KEYS(X)
#undef X
		{ NULL, NULL, false, 0, 0, NULL, NULL },
};

const struct config_key *config_keys(void)
{
	return rows;
}

/* Does the pattern match the path up to the pattern's end or (prefix) the path's end? */
static bool matches(const char *pattern, const char *path, bool prefix)
{
	for (;;) {
		size_t a = strcspn(pattern, "."), b = strcspn(path, ".");
		if (!(a == 1 && *pattern == '*') && (a != b || strncmp(pattern, path, a) != 0))
			return false;
		pattern += a;
		path += b;
		if (!*path)
			return prefix ? *pattern == '.' : !*pattern;
		if (!*pattern)
			return false;
		pattern++, path++;
	}
}

const struct config_key *table_find(const char *path)
{
	for (const struct config_key *k = rows; k->key; k++)
		if (matches(k->key, path, false))
			return k;
	/* Names of variables and files may hold dots: "credentials.files.~/.npmrc" is one name under "*". */
	for (const struct config_key *k = rows; k->key; k++) {
		size_t n = strlen(k->key) - 1;
		if (str_ends(k->key, ".*") && strcmp(k->type, "string") == 0 && strncmp(k->key, path, n) == 0 &&
		    path[n])
			return k;
	}
	return NULL;
}

bool table_is_group(const char *path)
{
	for (const struct config_key *k = rows; k->key; k++)
		if (matches(k->key, path, true))
			return true;
	return false;
}

char *table_nearest(const char *path)
{
	const char *best = str_nearest(path, NULL);
	const char *names[ARRAY_LEN(rows)];
	size_t n = 0;
	for (const struct config_key *k = rows; k->key; k++)
		if (!strchr(k->key, '*'))
			names[n++] = k->key;
	names[n] = NULL;
	best = str_nearest(path, names);
	if (best)
		return xstrdup(best);
	/* "tailscal": a group's name, without a dot */
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *group = xstrndup(names[i], strcspn(names[i], "."));
		const char *one[] = { group, NULL };
		if (str_nearest(path, one))
			return take_ptr(group);
	}
	return NULL;
}

static int expected(struct perry_err **err, const char *path, const char *want, const cJSON *got)
{
	return perry_fail(err, PERRY_EINPUT, "config.json: %s: expected %s, got %s", path, want, json_type_name(got));
}

static int check_items(const char *path, const cJSON *arr, bool objects, struct perry_err **err)
{
	int i = 0;
	const cJSON *it;
	cJSON_ArrayForEach(it, arr) {
		if (objects ? !cJSON_IsObject(it) : !cJSON_IsString(it)) {
			cleanup_free char *at = xasprintf("%s[%d]", path, i);
			return expected(err, at, objects ? "object" : "string", it);
		}
		i++;
	}
	return 0;
}

static int check_range(const struct config_key *k, const char *path, double v, struct perry_err **err)
{
	if ((k->min || k->max) && (v < (double)k->min || v > (double)k->max))
		return perry_fail(err, PERRY_EINPUT, "config.json: %s: must be between %lld and %lld, is %g", path,
				  (long long)k->min, (long long)k->max, v);
	return 0;
}

/* Texts that have a form of their own. */
static int check_form(const char *path, const char *text, struct perry_err **err)
{
	if (strcmp(path, "sshPortRange") == 0) {
		int a, b, used = 0;
		if (sscanf(text, "%d-%d%n", &a, &b, &used) != 2 || text[used] || a < 1 || b > 65535 || a > b)
			return perry_fail(err, PERRY_EINPUT,
					  "config.json: %s: expected FIRST-LAST (like 2200-2400), got \"%s\"", path,
					  text);
	}
	if (strcmp(path, "networkRange") == 0) {
		unsigned a, b, c, d, bits;
		int used = 0;
		if (sscanf(text, "%u.%u.%u.%u/%u%n", &a, &b, &c, &d, &bits, &used) != 5 || text[used] || a > 255 ||
		    b > 255 || c > 255 || d > 255 || bits < 8 || bits > 28)
			return perry_fail(err, PERRY_EINPUT,
					  "config.json: %s: expected an IPv4 range from /8 to /28 (like "
					  "10.213.0.0/16), got \"%s\"",
					  path, text);
	}
	return 0;
}

static int check_value(const struct config_key *k, const char *path, const cJSON *v, struct perry_err **err)
{
	long long bytes;
	if (strcmp(k->type, "string") == 0) {
		if (!cJSON_IsString(v))
			return expected(err, path, "string", v);
		return check_form(path, v->valuestring, err);
	}
	if (strcmp(k->type, "boolean") == 0)
		return cJSON_IsBool(v) ? 0 : expected(err, path, "true or false", v);
	if (strcmp(k->type, "integer") == 0) {
		if (!cJSON_IsNumber(v) || floor(v->valuedouble) != v->valuedouble)
			return expected(err, path, "a whole number", v);
		return check_range(k, path, v->valuedouble, err);
	}
	if (strcmp(k->type, "number") == 0)
		return cJSON_IsNumber(v) ? check_range(k, path, v->valuedouble, err) : expected(err, path, "number", v);
	if (strcmp(k->type, "size") == 0) {
		if (cJSON_IsNumber(v) || (cJSON_IsString(v) && str_to_bytes(v->valuestring, &bytes) == 0))
			return 0;
		return expected(err, path, "a size (bytes, or text like \"4GiB\")", v);
	}
	if (strcmp(k->type, "object") == 0)
		return cJSON_IsObject(v) ? 0 : expected(err, path, "object", v);
	if (!cJSON_IsArray(v))
		return expected(err, path, "array", v);
	if (strcmp(k->type, "array") == 0)
		return 0;
	return check_items(path, v, strcmp(k->type, "objects") == 0, err);
}

static int check_group(const cJSON *obj, const char *prefix, void (*warn)(void *, const char *, const char *),
		       void *ctx, struct perry_err **err)
{
	const cJSON *v;
	cJSON_ArrayForEach(v, obj) {
		cleanup_free char *path = *prefix ? xasprintf("%s.%s", prefix, v->string) : xstrdup(v->string);
		const struct config_key *k = *prefix || !strchr(v->string, '.') ? table_find(path) : NULL;
		bool group = !strchr(v->string, '.') && table_is_group(path);
		if (k && !(group && cJSON_IsObject(v))) {
			if (check_value(k, path, v, err) < 0)
				return -1;
		} else if (group) {
			if (!cJSON_IsObject(v))
				return expected(err, path, "object", v);
			if (check_group(v, path, warn, ctx, err) < 0)
				return -1;
		} else if (warn && !cJSON_IsNull(v)) {
			const struct config_key *parent = *prefix ? table_find(prefix) : NULL;
			cleanup_free char *near = table_nearest(path);
			if (!parent)
				warn(ctx, path, near);
		}
	}
	return 0;
}

static void drop_nulls(cJSON *obj, const char *prefix)
{
	cJSON *next;
	for (cJSON *v = obj->child; v; v = next) {
		next = v->next;
		cleanup_free char *path = *prefix ? xasprintf("%s.%s", prefix, v->string) : xstrdup(v->string);
		const struct config_key *k = table_find(path);
		bool keys_of_one = str_starts(path, "ssh.workspaces.");
		if (cJSON_IsNull(v) && (k || keys_of_one || table_is_group(path)))
			cJSON_Delete(cJSON_DetachItemViaPointer(obj, v));
		else if (cJSON_IsObject(v) && (table_is_group(path) || keys_of_one))
			drop_nulls(v, path);
	}
}

void table_modernize(cJSON *root)
{
	static const char *const lists[] = { "skills", "mcpServers" };
	if (!cJSON_IsObject(root))
		return;
	drop_nulls(root, "");
	const cJSON *port = cJSON_GetObjectItemCaseSensitive(root, "port");
	if (cJSON_IsNumber(port) && port->valuedouble == 0)
		cJSON_DeleteItemFromObjectCaseSensitive(root, "port");
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(root, lists[i]);
		if (cJSON_IsObject(v) && !v->child)
			json_set(root, lists[i], cJSON_CreateArray());
	}
	cJSON *scripts = cJSON_GetObjectItemCaseSensitive(root, "scripts");
	const cJSON *one = cJSON_GetObjectItemCaseSensitive(scripts, "post_start");
	if (!cJSON_IsString(one))
		return;
	/* Its later versions ran the folder of the user's scripts after the one. */
	cJSON *list = cJSON_CreateArray();
	if (*one->valuestring)
		json_push_str(list, one->valuestring);
	json_push_str(list, "~/.perry/userscripts");
	json_set(scripts, "post_start", list);
}

/* What their bounds were once. */
static const struct {
	const char *group, *name;
	double min, max;
} once[] = {
	{ "tailscale", "joinTimeout", 5, 600 },
};

void table_admit(cJSON *root, void (*say)(const char *key, double was, double is))
{
	for (size_t i = 0; i < ARRAY_LEN(once); i++) {
		cleanup_free char *key = xasprintf("%s.%s", once[i].group, once[i].name);
		const struct config_key *k = table_find(key);
		cJSON *group = cJSON_GetObjectItemCaseSensitive(root, once[i].group);
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(group, once[i].name);
		if (!k || !cJSON_IsNumber(v) || v->valuedouble < once[i].min || v->valuedouble > once[i].max)
			continue;
		double was = v->valuedouble, is = was < (double)k->min   ? (double)k->min
						  : was > (double)k->max ? (double)k->max
									 : was;
		if (is == was)
			continue;
		json_set(group, once[i].name, cJSON_CreateNumber(is));
		if (say)
			say(key, was, is);
	}
}

int table_check(const cJSON *root, void (*warn)(void *, const char *, const char *), void *ctx, struct perry_err **err)
{
	if (!cJSON_IsObject(root))
		return perry_fail(err, PERRY_EINPUT, "config.json: expected an object, got %s", json_type_name(root));
	return check_group(root, "", warn, ctx, err) < 0 ? -1 : credentials_check(root, err);
}

static void secrets_in(cJSON *obj, const char *prefix, void (*fn)(void *, const char *, cJSON *, cJSON *), void *ctx)
{
	cJSON *next;
	for (cJSON *v = obj->child; v; v = next) {
		next = v->next;
		if (!v->string)
			continue;
		cleanup_free char *path = *prefix ? xasprintf("%s.%s", prefix, v->string) : xstrdup(v->string);
		const struct config_key *k = table_find(path);
		/* Headers and environments of MCP servers are theirs, and often hold tokens. */
		if (cJSON_IsArray(v) && strcmp(path, "mcpServers") == 0) {
			cJSON *server;
			cJSON_ArrayForEach(server, v) {
				static const char *const inner[] = { "env", "headers" };
				for (size_t i = 0; i < ARRAY_LEN(inner); i++) {
					cJSON *group = cJSON_GetObjectItemCaseSensitive(server, inner[i]), *leaf,
					      *after;
					for (leaf = cJSON_IsObject(group) ? group->child : NULL; leaf; leaf = after) {
						after = leaf->next;
						if (cJSON_IsString(leaf))
							fn(ctx, "mcpServers", group, leaf);
					}
				}
			}
		} else if (cJSON_IsObject(v)) {
			secrets_in(v, path, fn, ctx);
		} else if (k && k->secret && cJSON_IsString(v)) {
			fn(ctx, path, obj, v);
		}
	}
}

void table_secrets(cJSON *root, void (*fn)(void *, const char *, cJSON *, cJSON *), void *ctx)
{
	if (root)
		secrets_in(root, "", fn, ctx);
}
