/* What listens in a workspace, and how it is reached. */
#include "agent/ports.h"

#include <string.h>

#include "agent/internal.h"
#include "agent/ports_tailnet.h"
#include "agent/stream/stream.h"
#include "agent/view.h"
#include "agent/watch/watchers.h"
#include "base/mem.h"
#include "lua/lua.h"
#include "ops/fleet.h"

static int decide(void *ctx, const char *workspace, const cJSON *ports, cJSON **answers, struct perry_err **err)
{
	struct agent *a = ctx;
	return lua_host_ports(a->lua, workspace, ports, answers, err);
}

int agent_open_watchers(struct agent *a, struct perry_err **err)
{
	const struct watchers_setup setup = {
		.docker = a->docker,
		.channels = streams_channels(a->streams),
		.fleet = a->fleet,
		.hub = a->hub,
		.jobs = a->jobs,
		.decide = decide,
		.tailnet = agent_tailnet_state,
		.ctx = a,
	};
	if (watchers_open(&a->watchers, &setup, err) < 0)
		return -1;
	fleet_set_more(a->fleet, agent_listeners_text, a);
	return 0;
}

/* --- the node --- */

/* What is known of the workspace's own node: what its tailscaled told last, else what the join noted. */
struct node {
	bool connected, userspace;
	char *host, *dns_name;
	const char *ip, *why; /* borrowed; why: not connected */
};

static void read_node(const cJSON *record, const cJSON *live, struct node *n)
{
	const char *state = json_str(live, "state"), *noted = json_str_or(record, "tailnet.state", "none");
	bool told =
		state && strcmp(noted, "none") != 0 ? strcmp(state, "Running") == 0 : strcmp(noted, "connected") == 0;
	const char *dns = json_str(live, "dnsName");
	if (!dns)
		dns = json_str(record, "tailnet.dnsName");
	*n = (struct node){ .connected = (told || (state && strcmp(state, "Running") == 0)) && dns,
			    .ip = json_str(live, "ip") };
	if (!n->ip)
		n->ip = json_str_or(record, "tailnet.ip", "");
	n->userspace = !json_bool_or(live, "tun", true);
	if (n->connected) {
		n->dns_name = xstrdup(dns);
		n->host = xstrndup(dns, strcspn(dns, "."));
	} else {
		n->why = json_str_or(record, "tailnet.error", "the workspace is on no tailnet");
	}
}

static void node_free(struct node *n)
{
	free(n->host);
	free(n->dns_name);
}
#define cleanup_node __attribute__((cleanup(node_free)))

/* --- one port --- */

static bool is_any(const char *address)
{
	return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

/* A server that listens on several addresses is one row: that of the address that reaches farthest. */
static int reach(const cJSON *l)
{
	return is_any(json_str_or(l, "address", "")) ? 2 : !json_bool_or(l, "loopback", false);
}

static const cJSON *row_of(const cJSON *rows, int64_t port)
{
	const cJSON *row;
	cJSON_ArrayForEach(row, rows)
		if (json_int_or(row, "number", 0) == port)
			return row;
	return NULL;
}

static void merge(cJSON *rows, const cJSON *l)
{
	cJSON *row = (cJSON *)row_of(rows, json_int_or(l, "number", 0));
	if (!row) {
		json_push(rows, cJSON_Duplicate(l, 1));
		return;
	}
	bool announce = json_bool_or(row, "announce", false) || json_bool_or(l, "announce", false);
	bool expose = json_bool_or(row, "expose", false) || json_bool_or(l, "expose", false);
	if (reach(l) > reach(row))
		json_merge(row, l);
	json_set_bool(row, "announce", announce);
	json_set_bool(row, "expose", expose);
}

static bool has_number(const cJSON *list, int64_t n)
{
	const cJSON *j;
	cJSON_ArrayForEach(j, list)
		if (cJSON_IsNumber(j) && (int64_t)j->valuedouble == n)
			return true;
	return false;
}

/* NULL: peers reach it. note: what there is to say although they do. Static texts, or those of serve and node. */
static const char *obstacle(const cJSON *row, const struct node *n, const cJSON *serve, const char **note)
{
	int64_t port = json_int_or(row, "number", 0);
	const char *address = json_str_or(row, "address", "");
	bool loopback = json_bool_or(row, "loopback", false), expose = json_bool_or(row, "expose", false);
	if (!n->connected)
		return n->why;
	if (has_number(cJSON_GetObjectItemCaseSensitive(serve, "tcp"), port))
		return NULL;
	if (!loopback)
		return is_any(address) || strcmp(address, n->ip) == 0
			       ? NULL
			       : "it is bound to this one address of the container";
	if (n->userspace && strcmp(address, "::1") != 0) {
		if (!expose)
			*note = "userspace networking hands every port of 127.0.0.1 to the tailnet; that cannot be "
				"held back here";
		return NULL;
	}
	if (!json_bool_or(row, "decided", false))
		return "it has just begun to listen";
	if (!expose)
		return "it is bound to the loopback address, and policy does not expose it (hook ports, "
		       "tailscale.exposeLoopback)";
	return json_str_or(serve, "error", "its forward is not in place yet");
}

char *ports_web_url(const cJSON *web, const char *dns_name)
{
	const char *scheme = json_str_or(web, "scheme", "http");
	int port = (int)json_int_or(web, "port", 0);
	bool usual = port == (strcmp(scheme, "https") == 0 ? 443 : 80);
	return usual ? xasprintf("%s://%s/", scheme, dns_name) : xasprintf("%s://%s:%d/", scheme, dns_name, port);
}

static char *web_address(const cJSON *serve, const struct node *n, int64_t port)
{
	const cJSON *web;
	cJSON_ArrayForEach(web, cJSON_GetObjectItemCaseSensitive(serve, "web"))
		if (json_int_or(web, "target", 0) == port && n->connected)
			return ports_web_url(web, n->dns_name);
	return NULL;
}

static cJSON *port_view(const cJSON *row, const struct node *n, const cJSON *serve)
{
	static const char *const copied[] = { "address", "loopback", "process", "pid", "label", "announce", "expose" };
	int64_t port = json_int_or(row, "number", 0);
	const char *note = NULL, *why = obstacle(row, n, serve, &note);
	cleanup_free char *url = n->connected ? xasprintf("http://%s:%d", n->host, (int)port) : NULL,
			  *web = web_address(serve, n, port);
	cJSON *out = cJSON_CreateObject();
	json_set_int(out, "port", port);
	for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, copied[i]);
		if (v)
			json_set(out, copied[i], cJSON_Duplicate(v, 1));
	}
	json_set_str(out, "url", url);
	json_set_bool(out, "reachable", !why);
	json_set_str(out, "why", why ? why : note);
	json_set_str(out, "web", web);
	return out;
}

/* A row for each port of what watchers_look told. */
static cJSON *listeners_of(const cJSON *look, const struct node *node)
{
	cleanup_json cJSON *rows = cJSON_CreateArray();
	cJSON *list = cJSON_CreateArray();
	const cJSON *serve = cJSON_GetObjectItemCaseSensitive(look, "serve"), *l;
	cJSON_ArrayForEach(l, cJSON_GetObjectItemCaseSensitive(look, "listeners"))
		merge(rows, l);
	cJSON_ArrayForEach(l, rows)
		json_push(list, port_view(l, node, serve));
	return list;
}

cJSON *agent_ports(struct agent *a, const cJSON *record)
{
	const char *name = json_str_or(record, "name", "");
	cleanup_json cJSON *look = watchers_look(a->watchers, name);
	const cJSON *forwards = json_at(record, "ports.forwards");
	cleanup_node struct node node;
	read_node(record, cJSON_GetObjectItemCaseSensitive(look, "tailnet"), &node);
	cJSON *out = cJSON_CreateObject();
	json_set_str(out, "name", name);
	json_set_bool(out, "running", workspace_is_running(record));
	json_set_bool(out, "watching", json_bool_or(look, "watching", false));
	json_set_str(out, "problem",
		     workspace_is_running(record) ? json_str(look, "problem") : "the workspace does not run");
	json_set_str(out, "hostname", node.host);
	json_set_str(out, "dnsName", node.dns_name);
	json_set(out, "listeners", listeners_of(look, &node));
	if (json_int_or(look, "more", 0))
		json_set_int(out, "more", json_int_or(look, "more", 0));
	json_set(out, "forwards", cJSON_IsArray(forwards) ? cJSON_Duplicate(forwards, 1) : cJSON_CreateArray());
	return out;
}

/* Those that are announced, or NULL when there are none. */
static cJSON *announced(struct agent *a, const cJSON *record)
{
	cleanup_json cJSON *look = watchers_look(a->watchers, json_str_or(record, "name", ""));
	cleanup_node struct node node;
	read_node(record, cJSON_GetObjectItemCaseSensitive(look, "tailnet"), &node);
	cJSON *list = listeners_of(look, &node), *l, *next;
	for (l = list->child; l; l = next) {
		next = l->next;
		if (!json_bool_or(l, "announce", false))
			cJSON_Delete(cJSON_DetachItemViaPointer(list, l));
	}
	if (list->child)
		return list;
	cJSON_Delete(list);
	return NULL;
}

void agent_put_listeners(struct agent *a, const cJSON *record, cJSON *view)
{
	cJSON *list = announced(a, record);
	if (list)
		json_set(view, "listeners", list);
}

char *agent_listeners_text(void *agent, const cJSON *record)
{
	cleanup_json cJSON *list = announced(agent, record);
	cleanup_free char *text = list ? json_print(list) : NULL;
	return text ? xasprintf("\"listeners\":%s", text) : NULL;
}
