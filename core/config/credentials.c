/* tailscale.credentials.NAME: what an API credential consists of. Its secret is only referred to: the objects are shown
 * to hooks and in lists. */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "config/table.h"

static const char *const fields[] = { "type", "url", "tailnet", "clientId", "clientSecret", "apiKey", "user", NULL };

struct at {
	const cJSON *root, *credential;
	const char *name;
	struct perry_err **err;
};

static int wrong(const struct at *a, const char *field, const char *expected)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(a->credential, field);
	bool typed = v && !cJSON_IsString(v);
	return perry_fail(a->err, PERRY_EINPUT, "config.json: tailscale.credentials.%s.%s: %s%s%s%s", a->name, field,
			  expected ? "expected " : "", expected ? expected : "does not belong here",
			  typed ? ", got " : "", typed ? json_type_name(v) : "");
}

static const char *text(const struct at *a, const char *field)
{
	const char *s = json_str(a->credential, field);
	return s && *s ? s : NULL;
}

static int check_fields(const struct at *a)
{
	const cJSON *v;
	cJSON_ArrayForEach(v, a->credential) {
		const char *const *f = fields;
		while (*f && strcmp(*f, v->string) != 0)
			f++;
		if (!*f) {
			const char *near = str_nearest(v->string, fields);
			return perry_fail(a->err, PERRY_EINPUT,
					  "config.json: tailscale.credentials.%s: no such field \"%s\"%s%s%s", a->name,
					  v->string, near ? " (did you mean \"" : "", near ? near : "",
					  near ? "\"?)" : "");
		}
		if (!cJSON_IsString(v))
			return wrong(a, v->string, "string");
	}
	return 0;
}

/* The value is not repeated: it may be the secret itself. */
static int check_reference(const struct at *a, const char *field)
{
	const char *ref = text(a, field);
	if (ref && ((str_starts(ref, "file:") && ref[5]) || (str_starts(ref, "env:") && ref[4])))
		return 0;
	const cJSON *secrets = cJSON_GetObjectItemCaseSensitive(a->root, "secrets");
	if (ref && cJSON_IsString(cJSON_GetObjectItemCaseSensitive(secrets, ref)))
		return 0;
	return wrong(
		a, field,
		"file:PATH, env:NAME or the name of an entry of \"secrets\"; the secret itself does not stand here");
}

static int check_headscale(const struct at *a)
{
	static const char *const foreign[] = { "clientId", "clientSecret", "tailnet" };
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
		if (json_at(a->credential, foreign[i]))
			return wrong(a, foreign[i], NULL);
	if (!text(a, "url"))
		return wrong(a, "url", "the address of the Headscale server");
	return check_reference(a, "apiKey");
}

static int check_tailscale(const struct at *a)
{
	if (json_at(a->credential, "user"))
		return wrong(a, "user", NULL);
	if (text(a, "apiKey") && !text(a, "clientId") && !text(a, "clientSecret"))
		return check_reference(a, "apiKey");
	if (json_at(a->credential, "apiKey"))
		return wrong(a, "apiKey", NULL);
	if (!text(a, "clientId"))
		return wrong(a, "clientId", "the id of an OAuth client (or \"apiKey\")");
	return check_reference(a, "clientSecret");
}

static int check_one(const struct at *a)
{
	const char *type = text(a, "type"), *url = text(a, "url");
	size_t n = strlen(a->name);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)a->name[i]) && !strchr("-_", a->name[i]))
			n = 0;
	if (n == 0 || n > 64)
		return perry_fail(
			a->err, PERRY_EINPUT,
			"config.json: tailscale.credentials: a name has letters, digits, - and _, at most 64");
	if (!cJSON_IsObject(a->credential))
		return perry_fail(a->err, PERRY_EINPUT,
				  "config.json: tailscale.credentials.%s: expected object, got %s", a->name,
				  json_type_name(a->credential));
	if (check_fields(a) < 0)
		return -1;
	if (url && !str_starts(url, "http://") && !str_starts(url, "https://"))
		return wrong(a, "url", "http(s)://HOST");
	if (str_eq(type, "headscale"))
		return check_headscale(a);
	if (str_eq(type, "tailscale"))
		return check_tailscale(a);
	return wrong(a, "type", "\"tailscale\" or \"headscale\"");
}

int credentials_check(const cJSON *root, struct perry_err **err)
{
	const cJSON *all = json_at(root, "tailscale.credentials"), *v;
	cJSON_ArrayForEach(v, all) {
		struct at a = { root, v, v->string, err };
		if (!cJSON_IsNull(v) && check_one(&a) < 0)
			return -1;
	}
	return 0;
}

char *config_idle_warning(const struct config *c)
{
	static const char *const lists[] = { "skills", "mcpServers" };
	cleanup_buf struct buf names = { 0 };
	const cJSON *agent;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (cJSON_GetArraySize(config_get(c, lists[i])) > 0)
			buf_addf(&names, "%s%s", names.len ? ", " : "", lists[i]);
	cJSON_ArrayForEach(agent, config_get(c, "agents")) {
		bool github = strcmp(agent->string, "github") == 0;
		const cJSON *first = agent->child,
			    *other = first && github && str_eq(first->string, "token") ? first->next : first;
		if (other)
			buf_addf(&names, "%sagents.%s", names.len ? ", " : "", agent->string);
	}
	if (!names.len)
		return NULL;
	return xasprintf(
		"%s: kept, and without effect in workspaces yet; a script of scripts.post_start can install them",
		buf_str(&names));
}

const char *config_key_warning(const struct config *c)
{
	const cJSON *credentials = config_get(c, "tailscale.credentials");
	if (!config_str(c, "tailscale.authKey") || (credentials && credentials->child))
		return NULL;
	return "no API credential is configured (tailscale.credentials): if this key is not ephemeral, nobody can "
	       "remove the devices it makes (see: perry tailnet)";
}
