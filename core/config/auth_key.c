/* What an auth key looks like: enough to tell it from everything else that is pasted in its place, never whether it is
 * valid. */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "config/config.h"

enum { KEY_MIN = 7, KEY_MAX = 512, HEADSCALE_HEX = 48 };

int config_check_key_word(const char *key, const char *where, struct perry_err **err)
{
	static const struct {
		const char *prefix, *what;
	} wrong[] = {
		{ "tskey-api-", "an API access token" },         { "tskey-client-", "the secret of an OAuth client" },
		{ "tskey-webhook-", "the secret of a webhook" }, { "tskey-scim-", "a SCIM key" },
		{ "hskey-api-", "a Headscale API key" },
	};
	size_t n = strlen(key);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		if (str_starts(key, wrong[i].prefix))
			return perry_fail(err, PERRY_EINPUT,
					  "%s is %s (%s...), not an auth key: make an auth key (tskey-auth-...), or "
					  "name it under tailscale.credentials in "
					  "config.json, and keys are made with it",
					  where, wrong[i].what, wrong[i].prefix);
	bool word = n >= KEY_MIN && n <= KEY_MAX;
	for (const char *p = key; word && *p; p++)
		word = isgraph((unsigned char)*p) && *p != '"' && *p != '\\';
	if (!word)
		return perry_fail(err, PERRY_EINPUT,
				  "%s is no auth key: expected one word of %d to %d characters, such as tskey-auth-...",
				  where, KEY_MIN, KEY_MAX);
	return 0;
}

/* Headscale's of today, and 48 hex digits before 0.28. */
static bool is_headscale(const char *key)
{
	return str_starts(key, "hskey-auth-") ||
	       (strlen(key) == HEADSCALE_HEX && strspn(key, "0123456789abcdef") == HEADSCALE_HEX);
}

int config_check_auth_key(const char *key, const char *server, const char *where, struct perry_err **err)
{
	if (config_check_key_word(key, where, err) < 0)
		return -1;
	/* Another control server may call its keys what it likes. */
	if ((server && *server) || str_starts(key, "tskey-") || is_headscale(key))
		return 0;
	return perry_fail(
		err, PERRY_EINPUT,
		"%s is no auth key: expected tskey-auth-... (Tailscale), or hskey-auth-... or 48 hex digits "
		"(Headscale); for a control server with keys of another form, set tailscale.loginServer first",
		where);
}

int config_check_setup_key(const char *key, const char *server, struct perry_err **err)
{
	bool set = server && *server;
	if (config_check_key_word(key, "what was given", err) < 0)
		return -1;
	if (set && !str_starts(server, "http://") && !str_starts(server, "https://"))
		return perry_fail(err, PERRY_EINPUT, "loginServer: expected http(s)://HOST");
	if (str_starts(key, "hskey-") && !set)
		return perry_fail(err, PERRY_EINPUT,
				  "this is a Headscale key, and no control server is configured: perry tailnet setup "
				  "--login-server https://HOST");
	if (str_starts(key, "tskey-") && set && !strstr(server, ".tailscale.com"))
		return perry_fail(err, PERRY_EINPUT,
				  "this is a key of Tailscale's, and workspaces are to join at %s "
				  "(tailscale.loginServer): take that out, or make a key there",
				  server);
	if (!str_starts(key, "tskey-") && !set)
		return perry_fail(
			err, PERRY_EINPUT,
			"this is no auth key: expected tskey-auth-... (Tailscale) or hskey-auth-... (Headscale)");
	return 0;
}
