/* ports: what listens in a workspace and how it is reached; its configured forwards. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/ports.h"
#include "cli/text.h"

static int configure(const struct client *c, const struct args *a, struct perry_err **err)
{
	cleanup_json cJSON *forwards = cJSON_CreateArray(), *out = NULL;
	for (int i = 1; i < a->nwords; i++) {
		int host, container;
		if (forward_parse(a->words[i], &host, &container, err) < 0)
			return -1;
		cJSON *f = cJSON_CreateObject();
		json_set_int(f, "host", host);
		json_set_int(f, "container", container);
		json_push(forwards, f);
	}
	cJSON *in = cJSON_CreateObject();
	json_set_str(in, "name", a->words[0]);
	json_set(in, "forwards", take_ptr(forwards));
	return client_rpc(c, "workspaces/setPortForwards", in, &out, err);
}

static void print_listeners(const struct args *a, const cJSON *ports)
{
	static const char *const heads[] = { "PORT", "PROCESS", "ADDRESS", "REACHABLE", "URL" };
	struct table t = { heads, 5, NULL, 0 };
	const cJSON *l;
	int hidden = 0, shown = 0;
	cJSON_ArrayForEach(l, cJSON_GetObjectItemCaseSensitive(ports, "listeners")) {
		if (!json_bool_or(l, "announce", false) && !args_has(a, "all")) {
			hidden++;
			continue;
		}
		bool reachable = json_bool_or(l, "reachable", false);
		int port = (int)json_int_or(l, "port", 0);
		shown++;
		table_addf(&t, "%d", port);
		table_add(&t, json_str_or(l, "label", json_str_or(l, "process", "-")));
		table_add(&t, json_str_or(l, "address", "-"));
		table_addf(&t, "%s%s%s", reachable ? "yes" : "no", json_str(l, "why") ? ": " : "",
			   json_str_or(l, "why", ""));
		if (reachable)
			table_add(&t, json_str_or(l, "web", json_str_or(l, "url", "-")));
		else
			table_addf(&t, "perry proxy %s %d", a->words[0], port);
	}
	if (shown)
		table_print(&t);
	if (err_is_tty() && !shown && json_bool_or(ports, "watching", false))
		fprintf(stderr, "No server listens in %s.\n", a->words[0]);
	if (err_is_tty() && hidden)
		fprintf(stderr, "%d more of the system's own: perry ports %s --all\n", hidden, a->words[0]);
}

static void print_forwards(const struct args *a, const cJSON *forwards)
{
	const cJSON *f;
	if (cJSON_GetArraySize(forwards) == 0)
		return;
	printf("\nForwards, with perry proxy %s:\n", a->words[0]);
	cJSON_ArrayForEach(f, forwards)
		printf("  127.0.0.1:%d -> %d\n", (int)json_int_or(f, "host", 0), (int)json_int_or(f, "container", 0));
}

/* Servers that refuse their names. An agent or a caller that cannot say has nothing to say. */
static void print_hints(const struct client *c, const struct args *a, const cJSON *ports)
{
	cleanup_json cJSON *out = NULL, *in = cJSON_CreateObject();
	const cJSON *l, *hint;
	bool any = false;
	cJSON_ArrayForEach(l, cJSON_GetObjectItemCaseSensitive(ports, "listeners"))
		any |= json_bool_or(l, "announce", false) && json_bool_or(l, "reachable", false);
	json_set_str(in, "name", a->words[0]);
	if (!any || client_rpc(c, "ports/hints", take_ptr(in), &out, NULL) < 0)
		return;
	cJSON_ArrayForEach(hint, json_at(out, "hints"))
		text_printf(stderr, "%d: %s\n", (int)json_int_or(hint, "port", 0), json_str_or(hint, "text", ""));
}

int cmd_ports(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *ports = NULL;
	bool change = a->nwords > 1 || args_has(a, "clear");
	if (a->nwords > 1 && args_has(a, "clear"))
		return perry_fail(err, PERRY_EUSAGE, "ports: --clear, or ports, but not both");
	if (client_open(&c, err) < 0 || (change && configure(c, a, err) < 0) ||
	    ports_of(c, a->words[0], &ports, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, ports, err);
	cleanup_free char *problem = json_str(ports, "problem") ? printable(json_str(ports, "problem")) : NULL;
	if (problem)
		fprintf(stderr, "What listens in %s is not known: %s\n", a->words[0], problem);
	print_listeners(a, ports);
	print_forwards(a, cJSON_GetObjectItemCaseSensitive(ports, "forwards"));
	fflush(stdout);
	print_hints(c, a, ports);
	return 0;
}

static int need_port(const char *text, long long *port, struct perry_err **err)
{
	if (str_to_int(text, 1, 65535, port) == 0)
		return 0;
	return perry_fail(err, PERRY_EUSAGE, "tailnet serve: \"%s\" is no port", text);
}

int cmd_tailnet_serve(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *in = cJSON_CreateObject(), *out = NULL;
	long long port, https_port = 0;
	const char *at = args_str(a, "https-port");
	if (need_port(a->words[1], &port, err) < 0 || (at && need_port(at, &https_port, err) < 0))
		return -1;
	json_set_str(in, "name", a->words[0]);
	json_set_int(in, "port", port);
	if (at)
		json_set_int(in, "httpsPort", https_port);
	json_set_bool(in, "off", args_has(a, "off"));
	if (client_open(&c, err) < 0 || client_rpc(c, "ports/serve", take_ptr(in), &out, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, out, err);
	const char *url = json_str(out, "url");
	if (url && strcmp(json_str_or(out, "scheme", ""), "https") != 0)
		fprintf(stderr, "The tailnet has no HTTPS certificates (its admin console turns them on, under DNS), "
				"so this is HTTP; tailnet traffic is encrypted "
				"anyway.\n");
	if (url)
		text_printf(stdout, "%s\n", url);
	return 0;
}
