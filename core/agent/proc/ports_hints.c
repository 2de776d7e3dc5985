/* Development servers that refuse the name under which `perry ports` shows them, and what they must be told. The word
 * of the workspace decides only which of our own texts is shown. */
#include <stdio.h>
#include <string.h>

#include "agent/internal.h"
#include "agent/ports.h"
#include "agent/rpc/call.h"
#include "agent/rpc/handlers.h"
#include "base/mem.h"
#include "docker/docker.h"
#include "docker/step_argv.h"

enum { ASKED_MAX = 32, ASK_MS = 12000, SAID_MAX = 4096 };

/* What stands before and after the short name and a pattern of its domain. */
static const struct {
	const char *server, *before, *pattern, *after;
} hints[] = {
	{ "vite", "Vite refuses this name: server: { allowedHosts: [", ".", "] } in its configuration" },
	{ "webpack", "webpack-dev-server refuses this name: devServer: { allowedHosts: [", ".",
	  "] } in its configuration" },
	{ "next", "Next refuses its scripts under this name: allowedDevOrigins: [", "*.", "] in its configuration" },
	{ "rails", "Rails refuses this name: config.hosts.push(", ".", ") in config/environments/development.rb" },
	{ "django", "Django refuses this name: ALLOWED_HOSTS = ['localhost', ", ".", "] in its settings" },
};

/* The name in a URL of ours. Caller frees. */
static char *host_of(const char *url)
{
	const char *at = url ? strstr(url, "://") : NULL;
	return at ? xstrndup(at + 3, strcspn(at + 3, ":/")) : NULL;
}

static char *hint_text(const char *server, const cJSON *ports)
{
	const char *name = json_str_or(ports, "hostname", ""), *dns = json_str_or(ports, "dnsName", "");
	const char *dot = strchr(dns, '.');
	for (size_t i = 0; i < ARRAY_LEN(hints); i++)
		if (strcmp(hints[i].server, server) == 0)
			return xasprintf("%s'%s', '%s%s'%s", hints[i].before, name, hints[i].pattern,
					 dot ? dot + 1 : dns, hints[i].after);
	return NULL;
}

/* Whoever is to be asked, as words of perry-step: "PORT", "NAME". Caller frees. */
static cJSON *questions(const cJSON *ports)
{
	cJSON *words = cJSON_CreateArray();
	const cJSON *l;
	json_push_str(words, STEP_PATH);
	json_push_str(words, "ask");
	cJSON_ArrayForEach(l, cJSON_GetObjectItemCaseSensitive(ports, "listeners")) {
		cleanup_free char *host = host_of(json_str_or(l, "web", json_str(l, "url")));
		if (!host || !json_bool_or(l, "announce", false) || !json_bool_or(l, "reachable", false) ||
		    cJSON_GetArraySize(words) >= 2 + 2 * ASKED_MAX)
			continue;
		cleanup_free char *port = xasprintf("%d", (int)json_int_or(l, "port", 0));
		json_push_str(words, port);
		json_push_str(words, host);
	}
	return words;
}

static bool was_asked(const cJSON *words, int port)
{
	cleanup_free char *text = xasprintf("%d", port);
	for (const cJSON *w = words->child->next->next; w; w = w->next->next)
		if (strcmp(w->valuestring, text) == 0)
			return true;
	return false;
}

/* "PORT SERVER" lines. */
static void take(const char *said, const cJSON *words, const cJSON *ports, cJSON *list)
{
	for (const char *line = said; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		int port;
		char server[16];
		if (sscanf(line, "%5d %15[a-z]\n", &port, server) != 2 || !was_asked(words, port) ||
		    cJSON_GetArraySize(list) >= ASKED_MAX)
			continue;
		cleanup_free char *text = hint_text(server, ports);
		if (!text)
			continue;
		cJSON *hint = cJSON_CreateObject();
		json_set_int(hint, "port", port);
		json_set_str(hint, "server", server);
		json_set_str(hint, "text", text);
		json_push(list, hint);
	}
}

int proc_ports_hints(struct call *c, cJSON **out, struct perry_err **err)
{
	cleanup_json cJSON *record = NULL;
	if (call_running_workspace(c, "name", &record, err) < 0)
		return -1;
	cleanup_json cJSON *ports = agent_ports(c->a, record), *words = questions(ports);
	cJSON *list = cJSON_CreateArray();
	*out = cJSON_CreateObject();
	json_set(*out, "hints", list);
	if (cJSON_GetArraySize(words) == 2)
		return 0;
	cleanup_free const char **argv = step_words(words);
	const struct docker_exec x = { .argv = argv, .user = "0:0", .timeout_ms = ASK_MS };
	struct docker_exec_result said = { 0 };
	/* What cannot be asked, by a helper of an older version as well, has no hint. */
	if (docker_exec_collect(c->a->docker, json_str_or(record, "containerId", ""), &x, SAID_MAX, &c->cancel, &said,
				NULL) == 0)
		take(buf_str(&said.out), words, ports, list);
	buf_free(&said.out);
	buf_free(&said.err);
	return 0;
}
