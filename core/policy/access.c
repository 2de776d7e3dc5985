#include "policy/access.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
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

int access_secrets(const cJSON *value, struct perry_err **err)
{
	if (!value)
		return 0;
	if (value->string && strcmp(value->string, "$secret") == 0 &&
	    (!cJSON_IsString(value) || !secret_allowed(value->valuestring)))
		return perry_fail(err, PERRY_EPOLICY, "the secret \"%s\" is not for hooks",
				  cJSON_IsString(value) ? value->valuestring : "?");
	for (const cJSON *c = value->child; c; c = c->next)
		if (access_secrets(c, err) < 0)
			return -1;
	return 0;
}

int access_check(const struct policy_layer *layer, const char *layer_name, const struct point *point, const char *name,
		 const cJSON *args, struct perry_err **err)
{
	const struct call_row *call = call_find(name);
	char host[256];
	if (!call)
		return perry_fail(err, PERRY_EPOLICY, "there is no perry.%s", name);
	const char *denied = call_denied(call, point);
	if (denied)
		return perry_fail(err, PERRY_EPOLICY, "%s", denied);
	if (access_secrets(args, err) < 0)
		return -1;
	bool network = strcmp(call->need, "network") == 0;
	const char *url = network ? json_str_or(args, "url", "") : NULL;
	if (network && access_url_host(url, host) < 0)
		return perry_fail(err, PERRY_EPOLICY, "not an http or https address of a host: \"%.200s\"", url);
	if (!layer || !layer->needs)
		return 0;
	const cJSON *need = cJSON_GetObjectItemCaseSensitive(layer->needs, call->need);
	if (network && !listed(need, host))
		return perry_fail(err, PERRY_EPOLICY, "the pack '%s' does not list %s in needs.network", layer_name,
				  host);
	if (!network && !cJSON_IsTrue(need) && !listed(need, strchr(name, '.') + 1))
		return perry_fail(err, PERRY_EPOLICY, "the pack '%s' does not list %s in needs.%s", layer_name,
				  strchr(name, '.') + 1, call->need);
	return 0;
}
