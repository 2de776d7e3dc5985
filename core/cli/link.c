#include "cli/link.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/client.h"

static char *address_of(const struct client *c, const cJSON *link)
{
	const char *path = json_str_or(link, "path", "/");
	if (c->sock)
		return xasprintf("http://localhost:%d%s", (int)json_int_or(link, "port", c->port), path);
	bool v6 = strchr(c->host, ':');
	return xasprintf("%s://%s%s%s:%d%s", c->tls ? "https" : "http", v6 ? "[" : "", c->host, v6 ? "]" : "", c->port,
			 path);
}

static bool is_loopback(const struct client *c)
{
	return c->sock || strcmp(c->host, "localhost") == 0 || strcmp(c->host, "127.0.0.1") == 0 ||
	       strcmp(c->host, "::1") == 0;
}

/* Where the agent is published on the tailnet, without a slash at the end. */
static int published(const struct client *c, char **base, struct perry_err **err)
{
	cleanup_json cJSON *info = NULL;
	if (client_rpc(c, "info", NULL, &info, err) < 0)
		return -1;
	const char *url = json_str(info, "tailscale.httpsUrl"), *why = json_str(info, "tailscale.problem");
	if (!url)
		url = json_str(info, "tailscale.url");
	if (!url)
		return perry_fail(err, PERRY_ESTATE, "no other device reaches this agent: %s\n  %s",
				  why ? why : "it is not on a tailnet",
				  json_str_or(info, "tailscale.mend", "see: perry doctor"));
	size_t n = strlen(url);
	while (n && url[n - 1] == '/')
		n--;
	*base = xstrndup(url, n);
	return 0;
}

int link_make(bool elsewhere, char **url, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *link = NULL;
	cleanup_free char *base = NULL;
	if (client_open(&c, err) < 0 || (elsewhere && is_loopback(c) && published(c, &base, err) < 0) ||
	    client_rpc(c, "auth/link", NULL, &link, err) < 0)
		return -1;
	*url = base ? xasprintf("%s%s", base, json_str_or(link, "path", "/")) : address_of(c, link);
	return 0;
}
