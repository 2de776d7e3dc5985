#include "policy/contract/access.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "base/str.h"

int access_url_host(const char *url, char out[256])
{
	const char *s = str_starts(url, "https://") ? url + 8 : str_starts(url, "http://") ? url + 7 : NULL;
	size_t n = 0;
	if (!s)
		return -1;
	for (const char *p = url; *p; p++)
		if ((unsigned char)*p <= 0x20 || *p == 0x7f || *p == '\\')
			return -1;
	size_t len = strcspn(s, "/?#");
	if (len == 0 || memchr(s, '@', len))
		return -1;
	if (s[0] == '[') {
		const char *end = memchr(s, ']', len);
		if (!end)
			return -1;
		n = (size_t)(end - s) + 1;
	} else {
		while (n < len && (isalnum((unsigned char)s[n]) || s[n] == '.' || s[n] == '-' || s[n] == '_'))
			n++;
	}
	if (n == 0 || n > 255)
		return -1;
	if (n < len) { /* only a port may follow */
		if (s[n] != ':')
			return -1;
		for (size_t i = n + 1; i < len; i++)
			if (!isdigit((unsigned char)s[i]))
				return -1;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = (char)tolower((unsigned char)s[i]);
	out[n] = 0;
	return 0;
}

/* A list of texts (or true: all) holds this one; "*.example.com" stands for what is below. */
static bool listed(const cJSON *list, const char *name)
{
	const cJSON *v;
	if (cJSON_IsTrue(list))
		return true;
	cJSON_ArrayForEach(v, list) {
		const char *s = cJSON_IsString(v) ? v->valuestring : "";
		if (strcmp(s, name) == 0 ||
		    (str_starts(s, "*.") && str_ends(name, s + 1) && strlen(name) > strlen(s) - 1))
			return true;
	}
	return false;
}

/* The list has exactly this one. */
static bool member(const cJSON *list, const char *name)
{
	const cJSON *v;
	cJSON_ArrayForEach(v, list)
		if (str_eq(cJSON_GetStringValue(v), name))
			return true;
	return false;
}

static bool is_address(const char *host)
{
	unsigned char bytes[16];
	size_t n = strlen(host);
	char inner[256];
	if (host[0] != '[')
		return inet_pton(AF_INET, host, bytes) == 1;
	memcpy(inner, host + 1, n - 1);
	inner[n - 2] = 0;
	return inet_pton(AF_INET6, inner, bytes) == 1;
}

enum access_reach access_reach(const struct access_layer *layer, const char *url)
{
	char host[256];
	if (!layer->needs)
		return REACH_ANY;
	const cJSON *network = cJSON_GetObjectItemCaseSensitive(layer->needs, "network");
	if (access_url_host(url, host) < 0 || !listed(network, host))
		return REACH_NONE;
	return (is_address(host) && member(network, host)) ||
			       member(cJSON_GetObjectItemCaseSensitive(layer->needs, "named"), host)
		       ? REACH_ANY
		       : REACH_PUBLIC;
}

static bool secret_allowed(const char *name)
{
	/* What protects perry itself is never a hook's to send anywhere. */
	static const char *const closed[] = { "auth", "tailscale", "mcpServers", "ssh", "packs", NULL };
	for (const char *const *c = closed; *c; c++) {
		size_t n = strlen(*c);
		if (strncmp(name, *c, n) == 0 && (name[n] == '.' || name[n] == 0))
			return false;
	}
	return true;
}

/* Does this reference, whatever it stands for, occur in value? */
static bool occurs(const cJSON *value, const char *name)
{
	for (const cJSON *c = value ? value->child : NULL; c; c = c->next)
		if ((c->string && strcmp(c->string, "$secret") == 0 && str_eq(cJSON_GetStringValue(c), name)) ||
		    occurs(c, name))
			return true;
	return false;
}

int access_secrets(const struct access_layer *layer, const cJSON *value, const cJSON *passed, struct perry_err **err)
{
	if (!value)
		return 0;
	if (value->string && strcmp(value->string, "$secret") == 0) {
		const char *name = cJSON_GetStringValue(value);
		if (!name || !secret_allowed(name))
			return perry_fail(err, PERRY_EPOLICY, "the secret \"%s\" is not for hooks", name ? name : "?");
		if (layer && layer->needs && !occurs(layer->settings, name) && !occurs(passed, name))
			return perry_fail(err, PERRY_EPOLICY,
					  "the secret \"%s\" is none of the secret settings of the pack '%s'", name,
					  layer->name);
	}
	for (const cJSON *c = value->child; c; c = c->next)
		if (access_secrets(layer, c, passed, err) < 0)
			return -1;
	return 0;
}

int access_check(const struct access_layer *layer, const struct point *point, const char *name, const cJSON *args,
		 struct perry_err **err)
{
	const struct call_row *call = call_find(name);
	char host[256];
	if (!call)
		return perry_fail(err, PERRY_EPOLICY, "there is no perry.%s", name);
	const char *denied = call_denied(call, point);
	if (denied)
		return perry_fail(err, PERRY_EPOLICY, "%s", denied);
	if (access_secrets(layer, args, NULL, err) < 0)
		return -1;
	bool network = strcmp(call->need, "network") == 0;
	const char *url = network ? json_str_or(args, "url", "") : NULL;
	if (network && access_url_host(url, host) < 0)
		return perry_fail(err, PERRY_EPOLICY, "not an http or https address of a host: \"%.200s\"", url);
	if (!layer->needs)
		return 0;
	const cJSON *need = cJSON_GetObjectItemCaseSensitive(layer->needs, call->need);
	if (network && !listed(need, host))
		return perry_fail(err, PERRY_EPOLICY, "the pack '%s' does not list %s in needs.network", layer->name,
				  host);
	const char *dot = strchr(name, '.'), *what = dot ? dot + 1 : NULL;
	if (!dot) { /* run: the command */
		const cJSON *argv = cJSON_GetObjectItemCaseSensitive(args, "argv");
		what = cJSON_GetStringValue(cJSON_GetArrayItem(argv, 0));
	}
	if (!network && !cJSON_IsTrue(need) && (!what || !member(need, what)))
		return perry_fail(err, PERRY_EPOLICY, "the pack '%s' does not list %s in needs.%s", layer->name,
				  what ? what : "it", call->need);
	return 0;
}

/* -- answers of packs -- */

/* The value of one of its settings: then it is the user who named it. */
static bool is_setting(const cJSON *settings, const char *text)
{
	for (const cJSON *v = settings ? settings->child : NULL; v; v = v->next)
		if (cJSON_IsString(v) && text && strcmp(v->valuestring, text) == 0)
			return true;
	return false;
}

static int check_host(const struct access_layer *layer, const char *url, struct perry_err **err)
{
	char host[256];
	if (access_url_host(url, host) < 0)
		return perry_fail(err, PERRY_EPOLICY, "not an http or https address of a host: \"%.200s\"", url);
	if (!listed(cJSON_GetObjectItemCaseSensitive(layer->needs, "network"), host))
		return perry_fail(err, PERRY_EPOLICY, "the pack '%s' does not list %s in needs.network", layer->name,
				  host);
	return 0;
}

/* The agent would read a file or a variable, or send a request, on the pack's word. */
static int check_key(const struct access_layer *layer, const cJSON *key, struct perry_err **err)
{
	const char *kind = json_str_or(key, "kind", ""), *where = NULL;
	if (strcmp(kind, "http") == 0)
		return check_host(layer, json_str_or(key, "url", ""), err);
	if (strcmp(kind, "file") == 0)
		where = json_str_or(key, "path", "");
	else if (strcmp(kind, "env") == 0)
		where = json_str_or(key, "name", "");
	if (where && !is_setting(layer->settings, where))
		return perry_fail(err, PERRY_EPOLICY,
				  "the pack '%s' may name the %s of a key only through one of its settings",
				  layer->name, strcmp(kind, "file") == 0 ? "file" : "variable");
	return 0;
}

int access_answer(const struct access_layer *layer, const struct point *point, const cJSON *answer, const cJSON *base,
		  struct perry_err **err)
{
	if (!layer->needs || !answer || (base && json_equal(answer, base)))
		return 0;
	const cJSON *key = cJSON_GetObjectItemCaseSensitive(answer, "$key");
	const char *server = strcmp(point->result, "up") == 0 ? json_str(answer, "login_server") : NULL;
	if (access_secrets(layer, answer, base, err) < 0)
		return -1;
	if (server && !str_eq(server, json_str(base, "login_server")) && check_host(layer, server, err) < 0)
		return -1;
	return key ? check_key(layer, key, err) : 0;
}
