#include "policy/pack/pack_json.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/contract/access.h"
#include "policy/contract/points.h"

#define MAX_SETTINGS 100
#define MAX_NEEDS    100

struct source {
	const char *text;
	size_t n;
	const char *shown;
};

__attribute__((format(printf, 4, 5))) static int wrong(const struct source *s, struct perry_err **err, const char *path,
						       const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	cleanup_free char *msg = xvasprintf(fmt, ap);
	va_end(ap);
	return perry_fail(err, PERRY_EINPUT, "%s:%d: %s%s%s", s->shown, json_line(s->text, s->n, path), path,
			  *path ? ": " : "", msg);
}

static int expected(const struct source *s, struct perry_err **err, const char *path, const char *what,
		    const cJSON *got)
{
	if (cJSON_IsString(got) && strlen(got->valuestring) <= 80)
		return wrong(s, err, path, "expected %s, got \"%s\"", what, got->valuestring);
	return wrong(s, err, path, "expected %s, got %s", what, got ? json_type_name(got) : "nothing");
}

static int known_members(const struct source *s, const cJSON *obj, const char *path, const char *const *names,
			 struct perry_err **err)
{
	for (const cJSON *m = obj->child; m; m = m->next) {
		const char *const *n = names;
		while (*n && strcmp(*n, m->string) != 0)
			n++;
		cleanup_free char *below = *path ? xasprintf("%s.%s", path, m->string) : xstrdup(m->string);
		const char *near = *n ? NULL : str_nearest(m->string, names);
		if (!*n)
			return wrong(s, err, below, "there is no such field%s%s%s", near ? " (did you mean \"" : "",
				     near ? near : "", near ? "\"?)" : "");
		for (const cJSON *o = m->next; o; o = o->next)
			if (strcmp(o->string, m->string) == 0)
				return wrong(s, err, below, "is there twice");
	}
	return 0;
}

/* -- name, api, description -- */

/* As the layer is called in messages, in hooks.disabled and as the scope of what it keeps. */
static const char *bad_pack_name(const char *s)
{
	static const char *const taken[] = { "user", "machine", "built-in", "base", "tested", "checked", NULL };
	size_t n = strlen(s);
	if (n == 0 || n > 40 || s[0] == '-' || s[n - 1] == '-')
		return "a name of a-z, 0-9 and hyphens within, at most 40";
	for (; *s; s++)
		if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '-')
			return "a name of a-z, 0-9 and hyphens within, at most 40";
	for (const char *const *t = taken; *t; t++)
		if (strcmp(s - n, *t) == 0)
			return "another name: this one is perry's own";
	return NULL;
}

static int check_text(const struct source *s, const cJSON *obj, const char *path, const char *name, bool needed,
		      struct perry_err **err)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(obj, name);
	cleanup_free char *at = *path ? xasprintf("%s.%s", path, name) : xstrdup(name);
	if (!v)
		return needed ? expected(s, err, at, "a text", NULL) : 0;
	if (!cJSON_IsString(v))
		return expected(s, err, at, "a text", v);
	for (const char *c = v->valuestring; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return wrong(s, err, at, "has a control character");
	return strlen(v->valuestring) > 500 ? wrong(s, err, at, "has more than 500 bytes") : 0;
}

static int check_head(const struct source *s, const cJSON *j, struct perry_err **err)
{
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(j, "name"),
		    *api = cJSON_GetObjectItemCaseSensitive(j, "api");
	const char *bad = cJSON_IsString(name) ? bad_pack_name(name->valuestring) : "the pack's name";
	if (bad)
		return expected(s, err, "name", bad, name);
	if (!cJSON_IsNumber(api) || api->valuedouble != floor(api->valuedouble))
		return expected(s, err, "api", "the number of the hook API that it is written for", api);
	if (api->valuedouble < 1 || api->valuedouble > POLICY_API)
		return wrong(s, err, "api", "the pack '%s' is written for api=%.0f; this perry serves api=%d",
			     name->valuestring, api->valuedouble, POLICY_API);
	return check_text(s, j, "", "description", false, err);
}

/* -- settings -- */

static const char *const types[] = { "string", "boolean", "integer", "number", "strings", NULL };

/* NULL when the value is of this type, else what was expected. */
static const char *mismatch(const char *type, const cJSON *v)
{
	const cJSON *it;
	if (strcmp(type, "string") == 0)
		return cJSON_IsString(v) ? NULL : "string";
	if (strcmp(type, "boolean") == 0)
		return cJSON_IsBool(v) ? NULL : "true or false";
	if (strcmp(type, "number") == 0)
		return cJSON_IsNumber(v) ? NULL : "number";
	if (strcmp(type, "integer") == 0)
		return cJSON_IsNumber(v) && v->valuedouble == floor(v->valuedouble) ? NULL : "a whole number";
	if (!cJSON_IsArray(v))
		return "a list of strings";
	cJSON_ArrayForEach(it, v)
		if (!cJSON_IsString(it))
			return "a list of strings";
	return NULL;
}

static int check_setting(const struct source *s, const cJSON *list, const cJSON *v, int i, struct perry_err **err)
{
	static const char *const names[] = { "name", "type", "default", "description", "secret", NULL };
	cleanup_free char *path = xasprintf("settings[%d]", i), *name_at = xasprintf("%s.name", path),
			  *type_at = xasprintf("%s.type", path), *default_at = xasprintf("%s.default", path),
			  *secret_at = xasprintf("%s.secret", path);
	if (!cJSON_IsObject(v))
		return expected(s, err, path, "an object with name, type, default, description, secret", v);
	if (known_members(s, v, path, names, err) < 0)
		return -1;
	const cJSON *name = cJSON_GetObjectItemCaseSensitive(v, "name"),
		    *type = cJSON_GetObjectItemCaseSensitive(v, "type"),
		    *dflt = cJSON_GetObjectItemCaseSensitive(v, "default"),
		    *secret = cJSON_GetObjectItemCaseSensitive(v, "secret"), *other;
	bool fine =
		cJSON_IsString(name) && isalpha((unsigned char)name->valuestring[0]) && strlen(name->valuestring) <= 60;
	for (const char *c = fine ? name->valuestring : ""; *c; c++)
		fine = fine && (isalnum((unsigned char)*c) || *c == '_');
	if (!fine)
		return expected(s, err, name_at, "a name of letters, digits and _", name);
	cJSON_ArrayForEach(other, list) {
		if (other == v)
			break;
		if (str_eq(json_str(other, "name"), name->valuestring))
			return wrong(s, err, name_at, "there is a setting \"%s\" already", name->valuestring);
	}
	if (secret && !cJSON_IsBool(secret))
		return expected(s, err, secret_at, "true or false", secret);
	const char *const *t = types;
	while (cJSON_IsString(type) && *t && strcmp(*t, type->valuestring) != 0)
		t++;
	if (!cJSON_IsString(type) || !*t)
		return expected(s, err, type_at, "one of string, boolean, integer, number, strings", type);
	if (cJSON_IsTrue(secret) && (strcmp(*t, "string") != 0 || dflt))
		return wrong(s, err, dflt ? default_at : type_at,
			     dflt ? "a secret has no default" : "a secret is a string");
	if (dflt && mismatch(*t, dflt))
		return expected(s, err, default_at, mismatch(*t, dflt), dflt);
	return check_text(s, v, path, "description", false, err);
}

static int check_settings(const struct source *s, const cJSON *list, struct perry_err **err)
{
	const cJSON *v;
	int i = 0;
	if (!list)
		return 0;
	if (!cJSON_IsArray(list))
		return expected(s, err, "settings", "a list", list);
	if (cJSON_GetArraySize(list) > MAX_SETTINGS)
		return wrong(s, err, "settings", "more than %d", MAX_SETTINGS);
	cJSON_ArrayForEach(v, list)
		if (check_setting(s, list, v, i++, err) < 0)
			return -1;
	return 0;
}

static const cJSON *setting_of(const cJSON *meta, const char *name)
{
	const cJSON *v;
	cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(meta, "settings"))
		if (str_eq(json_str(v, "name"), name))
			return v;
	return NULL;
}

/* -- needs -- */

/* "api.example.com", "*.example.com", "[::1]", "setting:vault" */
static const char *bad_host(const cJSON *meta, const char *s)
{
	char host[256];
	if (str_starts(s, "setting:")) {
		const cJSON *v = setting_of(meta, s + 8);
		return v && str_eq(json_str(v, "type"), "string") && !json_bool_or(v, "secret", false)
			       ? NULL
			       : "the name of a setting of type string after \"setting:\"";
	}
	const char *plain = str_starts(s, "*.") ? s + 2 : s;
	cleanup_free char *url = xasprintf("https://%s/", plain);
	bool fine = access_url_host(url, host) == 0 && strcmp(host, plain) == 0;
	if (plain != s && (!strchr(plain, '.') || plain[0] == '.' || plain[0] == '['))
		fine = false; /* "*.com" is half the internet */
	return fine ? NULL : "a host in lower case, without scheme, port and path";
}

/* "nsupdate", "/usr/bin/nsupdate" */
static const char *bad_command(const char *s)
{
	size_t n = strlen(s);
	if (n == 0 || n > 200 || (strchr(s, '/') && s[0] != '/') || strstr(s, "/.."))
		return "the name of a command, or its absolute path";
	for (; *s; s++)
		if ((unsigned char)*s <= 0x20 || *s == 0x7f)
			return "the name of a command, or its absolute path, without arguments";
	return NULL;
}

static const char *bad_docker(const char *s)
{
	return strcmp(s, "inspect") == 0 || strcmp(s, "list") == 0 || strcmp(s, "exec") == 0
		       ? NULL
		       : "one of inspect, list, exec";
}

static int check_list(const struct source *s, const cJSON *meta, const char *name, struct perry_err **err)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(meta, "needs"), name), *v;
	cleanup_free char *path = xasprintf("needs.%s", name);
	int i = 0;
	if (!list)
		return 0;
	if (!cJSON_IsArray(list))
		return expected(s, err, path, "a list of texts", list);
	if (cJSON_GetArraySize(list) > MAX_NEEDS)
		return wrong(s, err, path, "more than %d", MAX_NEEDS);
	cJSON_ArrayForEach(v, list) {
		cleanup_free char *at = xasprintf("%s[%d]", path, i++);
		const char *bad = !cJSON_IsString(v)             ? "a text"
				  : strcmp(name, "network") == 0 ? bad_host(meta, v->valuestring)
				  : strcmp(name, "run") == 0     ? bad_command(v->valuestring)
								 : bad_docker(v->valuestring);
		if (bad)
			return expected(s, err, at, bad, v);
	}
	return 0;
}

static int check_needs(const struct source *s, const cJSON *meta, struct perry_err **err)
{
	static const char *const names[] = { "network", "run", "docker", "kv", NULL };
	const cJSON *needs = cJSON_GetObjectItemCaseSensitive(meta, "needs"),
		    *kv = cJSON_GetObjectItemCaseSensitive(needs, "kv");
	if (!needs)
		return 0;
	if (!cJSON_IsObject(needs))
		return expected(s, err, "needs", "an object with network, run, docker, kv", needs);
	if (known_members(s, needs, "needs", names, err) < 0)
		return -1;
	if (kv && !cJSON_IsBool(kv))
		return expected(s, err, "needs.kv", "true or false", kv);
	return check_list(s, meta, "network", err) < 0 || check_list(s, meta, "run", err) < 0 ||
			       check_list(s, meta, "docker", err) < 0
		       ? -1
		       : 0;
}

int pack_parse(const char *text, size_t n, const char *shown, cJSON **out, struct perry_err **err)
{
	static const char *const names[] = { "name", "api", "description", "settings", "needs", NULL };
	struct source s = { text, n, shown };
	cleanup_json cJSON *j = json_parse(text, n, shown, err);
	if (!j)
		return -1;
	if (!cJSON_IsObject(j))
		return expected(&s, err, "", "an object", j);
	if (known_members(&s, j, "", names, err) < 0 || check_head(&s, j, err) < 0 ||
	    check_settings(&s, cJSON_GetObjectItemCaseSensitive(j, "settings"), err) < 0 || check_needs(&s, j, err) < 0)
		return -1;
	*out = take_ptr(j);
	return 0;
}

/* -- values -- */

/* The value of a secret setting is the name of a secret, so that its text stands where all secrets stand. */
static int secret_setting(const char *at, const cJSON *v, const cJSON *config, cJSON *out, const char *name,
			  struct perry_err **err)
{
	const cJSON *secrets = cJSON_GetObjectItemCaseSensitive(config, "secrets");
	if (!cJSON_IsString(v) || !cJSON_GetObjectItemCaseSensitive(secrets, v->valuestring))
		return perry_fail(err, PERRY_EPOLICY,
				  "config.json: %s: expected the name of a secret: its value goes into `secrets`, "
				  "and its name there comes here",
				  at);
	cJSON *ref = cJSON_CreateObject();
	json_set_str(ref, "$secret", v->valuestring);
	json_set(out, name, ref);
	return 0;
}

int pack_settings(const cJSON *meta, const cJSON *config, cJSON **result, struct perry_err **err)
{
	const char *pack = json_str_or(meta, "name", "?"), *names[MAX_SETTINGS + 1];
	const cJSON *packs = cJSON_GetObjectItemCaseSensitive(config, "packs"),
		    *given = cJSON_GetObjectItemCaseSensitive(packs, pack), *row, *v;
	cleanup_json cJSON *out = cJSON_CreateObject();
	size_t n = 0;
	cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(meta, "settings")) {
		const char *name = json_str_or(row, "name", "?"), *type = json_str_or(row, "type", "string");
		cleanup_free char *at = xasprintf("packs.%s.%s", pack, name);
		v = cJSON_GetObjectItemCaseSensitive(given, name);
		names[n++] = name;
		if (!v || cJSON_IsNull(v)) {
			const cJSON *dflt = cJSON_GetObjectItemCaseSensitive(row, "default");
			if (dflt)
				json_set(out, name, cJSON_Duplicate(dflt, 1));
			continue;
		}
		if (json_bool_or(row, "secret", false)) {
			if (secret_setting(at, v, config, out, name, err) < 0)
				return -1;
			continue;
		}
		if (mismatch(type, v))
			return perry_fail(err, PERRY_EPOLICY, "config.json: %s: expected %s, got %s", at,
					  mismatch(type, v), json_type_name(v));
		json_set(out, name, cJSON_Duplicate(v, 1));
	}
	names[n] = NULL;
	cJSON_ArrayForEach(v, given) {
		const char *near = setting_of(meta, v->string) ? NULL : str_nearest(v->string, names);
		if (!setting_of(meta, v->string))
			return perry_fail(
				err, PERRY_EPOLICY, "config.json: packs.%s.%s: the pack has no such setting%s%s%s",
				pack, v->string, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
	}
	*result = take_ptr(out);
	return 0;
}

cJSON *pack_needs(const cJSON *meta, const cJSON *settings, const cJSON *config)
{
	const cJSON *given = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(config, "packs"),
							      json_str_or(meta, "name", "?"));
	cJSON *named = cJSON_CreateArray();
	const cJSON *needs = cJSON_GetObjectItemCaseSensitive(meta, "needs");
	cJSON *out = needs ? cJSON_Duplicate(needs, 1) : cJSON_CreateObject();
	cJSON *list = cJSON_GetObjectItemCaseSensitive(out, "network");
	for (cJSON *v = list ? list->child : NULL, *next; v; v = next) {
		char host[256];
		next = v->next;
		if (!str_starts(v->valuestring, "setting:"))
			continue;
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(settings, v->valuestring + 8);
		const char *text = cJSON_IsString(value) ? value->valuestring : "";
		cleanup_free char *url = strstr(text, "://") ? xstrdup(text) : xasprintf("https://%s", text);
		if (access_url_host(url, host) == 0) {
			if (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(given, v->valuestring + 8)))
				json_push_str(named, host);
			cJSON_SetValuestring(v, host);
		} else
			cJSON_Delete(cJSON_DetachItemViaPointer(list, v)); /* not set: no host */
	}
	json_set(out, "named", named);
	return out;
}
