#include "agent/proc/doctor_tailnet.h"

#include <string.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/proc/doctor_note.h"
#include "agent/tailnet/say.h"
#include "agent/tailnet/tailnet.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tailscale/local.h"

enum { EXPIRY_DAYS = 14 };

/* Control servers of one's own have no certificates to give. */
static void check_https(const struct tailnet_node *n, const cJSON *info, cJSON *checks)
{
	const char *name = json_str_or(info, "dnsName", ""), *url = json_str_or(info, "url", "localhost only");
	const char *where = places_of(n)->https;
	if (json_bool_or(info, "https", false))
		doctor_note(checks, "Tailscale HTTPS", true, xasprintf("%s has certificates", name), NULL);
	else
		doctor_note(checks, "Tailscale HTTPS", !where,
			    xasprintf("Tailscale HTTPS not enabled in tailnet; the agent is at %s, within the "
				      "tailnet's own encryption",
				      url),
			    where ? xasprintf("enable %s", where) : NULL);
}

static void check_serve(struct agent *a, const cJSON *info, cJSON *checks)
{
	const char *url = json_str_or(info, "httpsUrl", json_str_or(info, "url", NULL)),
		   *problem = json_str(info, "problem");
	struct config *c = agent_config(a);
	bool off = !config_bool(c, "tailscale.serve");
	config_unref(c);
	if (off)
		doctor_note(checks, "Tailscale Serve", true, xstrdup("off (tailscale.serve in config.json)"), NULL);
	else if (problem)
		doctor_note(checks, "Tailscale Serve", false,
			    xasprintf("%s; the agent is at %s", problem, url ? url : "localhost only"),
			    xstrdup(json_str(info, "mend")));
	else if (str_eq(json_str(info, "signIn"), "token"))
		doctor_note(checks, "Tailscale Serve", true,
			    xasprintf("%s, reached over 127.0.0.1: its callers sign in with a token", url), NULL);
	else
		doctor_note(checks, "Tailscale Serve", true, xasprintf("the agent is at %s", url), NULL);
}

static void check_userspace(struct agent *a, cJSON *checks)
{
	struct config *c = agent_config(a);
	const char *token = config_str(c, "auth.token");
	bool open = !token || !*token;
	config_unref(c);
	doctor_note(
		checks, "Tailscale network", !open,
		xasprintf("tailscaled runs without a network device: every device of the tailnet reaches 127.0.0.1 of "
			  "this machine%s",
			  open ? ", and the agent there asks for no token" : " (the agent asks for its token there)"),
		xstrdup("perry auth init"));
}

static void check_magic_dns(const struct tailnet_node *n, const cJSON *status, cJSON *checks)
{
	bool on = json_bool_or(status, "CurrentTailnet.MagicDNSEnabled", true);
	doctor_note(checks, "MagicDNS", on,
		    xstrdup(on ? "names of the tailnet resolve" : "off: names of the tailnet do not resolve"),
		    xstrdup(places_of(n)->magic_dns));
}

static void check_expiry(const struct tailnet_node *n, const cJSON *status, cJSON *checks)
{
	int64_t at = clock_parse_iso(json_str_or(status, "Self.KeyExpiry", ""));
	if (at < 0)
		return;
	long long days = (at - clock_ms()) / (24LL * 3600 * 1000);
	doctor_note(
		checks, "Tailscale key", days >= EXPIRY_DAYS,
		xasprintf("this machine's key expires in %lld days", days),
		xasprintf("sudo tailscale up --force-reauth%s%s", *n->control ? " --login-server=" : "", n->control));
}

void doctor_tailnet(struct agent *a, cJSON *checks)
{
	cleanup_json cJSON *info = tailnet_info(a->tailnet), *status = NULL;
	cleanup_err struct perry_err *e = NULL;
	const char *state = json_str_or(info, "state", "?");
	struct tailnet_node node;
	tailnet_node(a->tailnet, &node);
	if (!json_bool_or(info, "running", false)) {
		bool absent = strcmp(state, "not installed") == 0;
		doctor_note(checks, "Tailscale", absent,
			    absent ? xstrdup("not installed: the agent is reached on this machine only")
				   : xstrdup(json_str_or(info, "problem", state)),
			    xstrdup(json_str(info, "mend")));
		return;
	}
	doctor_note(checks, "Tailscale", true,
		    xasprintf("%s, user %s", json_str_or(info, "dnsName", "?"), json_str_or(info, "user", "?")), NULL);
	check_https(&node, info, checks);
	check_serve(a, info, checks);
	if (json_bool_or(info, "userspace", false))
		check_userspace(a, checks);
	if (tslocal_status(tailnet_local(a->tailnet), false, &status, &e) < 0) {
		doctor_note(checks, "tailscaled", false, xstrdup(perry_msg(e)),
			    xstrdup("sudo systemctl restart tailscaled"));
		return;
	}
	check_magic_dns(&node, status, checks);
	check_expiry(&node, status, checks);
}
