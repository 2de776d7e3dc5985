#include "agent/tailnet/say.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define ADMIN "https://login.tailscale.com/admin/"

static const struct places tailscales = {
	.https = "HTTPS certificates at " ADMIN "dns",
	.magic_dns = "enable MagicDNS at " ADMIN "dns",
	.approve = "approve this machine at " ADMIN "machines",
};
static const struct places others = {
	.magic_dns = "set dns.magic_dns: true in the control server's configuration",
	.approve = "approve this machine at the control server (Headscale: headscale nodes list)",
};

bool control_is_tailscales(const char *url)
{
	return !*url || strstr(url, "tailscale.com");
}

const struct places *places_of(const struct tailnet_node *n)
{
	return *n->control ? &others : &tailscales;
}

void outcome_url(const struct tailnet_node *n, const struct outcome *o, char url[300])
{
	url[0] = 0;
	if (o->target != TARGET_NONE && n->https)
		snprintf(url, 300, o->port == 443 ? "https://%s" : "https://%s:%d", n->name, o->port);
	else if (o->target != TARGET_NONE)
		snprintf(url, 300, o->port == 80 ? "http://%s" : "http://%s:%d", n->name, o->port);
}

const char *outcome_problem(const struct tailnet_node *n, const struct outcome *o, const char **mend)
{
	*mend = NULL;
	switch (o->reach) {
	case REACH_UNKNOWN:
		return "Tailscale has not answered yet";
	case REACH_NOT_INSTALLED:
		*mend = "https://tailscale.com/download";
		return "Tailscale is not installed";
	case REACH_NOT_RUNNING:
		*mend = "sudo systemctl start tailscaled";
		return o->problem[0] ? o->problem : "tailscaled is not running";
	case REACH_LOGGED_OUT:
		*mend = "sudo tailscale up";
		return "Tailscale is logged out";
	case REACH_STOPPED:
		*mend = "sudo tailscale up";
		return "Tailscale is stopped";
	case REACH_NOT_APPROVED:
		*mend = places_of(n)->approve;
		return "this machine is not yet approved by the tailnet's admin";
	case REACH_RUNNING:
		break;
	}
	if (o->operator_missing) {
		*mend = "sudo tailscale set --operator=$USER";
		return "Tailscale Serve requires operator permissions";
	}
	if (o->no_token) {
		*mend = "perry auth init";
		return "Tailscale Serve would reach the agent over 127.0.0.1, where nobody has to sign in";
	}
	if (o->no_port) {
		*mend = "tailscale serve status";
		return "Tailscale Serve: others use all of the ports 443, 8443 and 10443";
	}
	return o->problem[0] ? o->problem : NULL;
}

static void not_detected(const struct tailnet_node *n, const struct outcome *o, struct buf *before)
{
	const char *mend, *what = outcome_problem(n, o, &mend);
	buf_addf(before, "Tailscale not detected: %s (%s)\n", what, mend);
	buf_adds(before, "Continuing on localhost only\n");
}

void outcome_lines(const struct tailnet_node *n, const struct outcome *o, uint16_t port, struct buf *before,
		   struct buf *after)
{
	char url[300];
	const char *mend, *what;
	if (o->reach == REACH_UNKNOWN)
		return;
	if (o->reach != REACH_RUNNING) {
		not_detected(n, o, before);
		return;
	}
	buf_addf(before, "Tailscale detected: %s\n", n->name);
	if (o->off)
		return;
	if (!n->https && places_of(n)->https)
		buf_addf(before, "Tailscale HTTPS not enabled in tailnet\nTo enable: %s\n", places_of(n)->https);
	else if (!n->https)
		buf_adds(before, "Tailscale HTTPS not enabled in tailnet: its control server gives no certificates\n");
	if (o->target != TARGET_NONE)
		buf_adds(before, "Tailscale Serve enabled\n");
	if (o->target == TARGET_LOOPBACK)
		buf_addf(before,
			 "Tailscale Serve reaches the agent over 127.0.0.1 (%s): its callers sign in with a token\n",
			 o->why_loopback);
	what = outcome_problem(n, o, &mend);
	if (o->operator_missing && n->https)
		buf_addf(before, "%s\nTo enable: Run: %s\nContinuing without HTTPS...\n", what, mend);
	else if (what && !(o->operator_missing && o->listening))
		buf_addf(before, mend ? "%s (%s)\n" : "%s\n", what, mend);
	outcome_url(n, o, url);
	if (url[0])
		buf_addf(after, "Tailscale %s: %s\n", n->https ? "HTTPS" : "HTTP", url);
	if (o->listening)
		buf_addf(after, "Tailscale HTTP: http://%s:%u\n", n->name, port);
}
