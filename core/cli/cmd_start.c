#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/env_file.h"
#include "cli/follow.h"
#include "cli/git.h"
#include "cli/out.h"
#include "cli/plan_out.h"
#include "cli/text.h"

#define TTL_MAX_MS (INT64_C(3650) * 86400000) /* as the agent has it */

static int split_assignment(const char *text, const char *option, char **key, const char **value,
			    struct perry_err **err)
{
	const char *eq = strchr(text, '=');
	if (!eq || eq == text)
		return perry_fail(err, PERRY_EUSAGE, "start: --%s needs KEY=VALUE, got \"%s\"", option, text);
	*key = xstrndup(text, (size_t)(eq - text));
	*value = eq + 1;
	return 0;
}

static int add_assignments(const struct args *a, const char *option, cJSON *into, struct perry_err **err)
{
	const cJSON *it;
	cJSON_ArrayForEach(it, args_list(a, option)) {
		cleanup_free char *key = NULL;
		const char *value = "";
		if (split_assignment(it->valuestring, option, &key, &value, err) < 0)
			return -1;
		json_set_str(into, key, value);
	}
	return 0;
}

static int add_env_file(const char *path, cJSON *into, struct perry_err **err)
{
	cleanup_buf struct buf text = { 0 };
	if (file_read(path, 1 << 20, &text, err) < 0)
		return -1;
	return env_file_parse(path, buf_str(&text), text.len, into, err);
}

static int build_input(const struct args *a, cJSON *in, struct perry_err **err)
{
	long long bytes, depth;
	cleanup_json cJSON *env = cJSON_CreateObject();
	cleanup_json cJSON *labels = cJSON_CreateObject();
	json_set_str(in, "clone", args_str(a, "clone"));
	json_set_str(in, "branch", args_str(a, "branch"));
	if (args_str(a, "depth")) {
		if (str_to_int(args_str(a, "depth"), 1, INT32_MAX, &depth) < 0)
			return perry_fail(err, PERRY_EUSAGE, "start: --depth needs a number of commits, got \"%s\"",
					  args_str(a, "depth"));
		json_set_int(in, "depth", depth);
	}
	json_set_str(in, "image", args_str(a, "image"));
	if (args_str(a, "env-file") && add_env_file(args_str(a, "env-file"), env, err) < 0)
		return -1;
	if (add_assignments(a, "env", env, err) < 0 || add_assignments(a, "label", labels, err) < 0)
		return -1;
	if (env->child)
		json_set(in, "env", take_ptr(env));
	if (labels->child)
		json_set(in, "labels", take_ptr(labels));
	if (args_str(a, "cpus")) {
		char *end;
		double n = strtod(args_str(a, "cpus"), &end);
		if (*end || !(n > 0 && n <= 1024))
			return perry_fail(err, PERRY_EUSAGE, "start: --cpus needs a number, got \"%s\"",
					  args_str(a, "cpus"));
		json_set_num(in, "cpus", n);
	}
	if (args_str(a, "memory")) {
		if (str_to_bytes(args_str(a, "memory"), &bytes) < 0)
			return perry_fail(err, PERRY_EUSAGE, "start: --memory needs a size like 4GiB, got \"%s\"",
					  args_str(a, "memory"));
		json_set_str(in, "memory", args_str(a, "memory"));
	}
	if (args_str(a, "ttl")) {
		int64_t ms = strcmp(args_str(a, "ttl"), "0") == 0 ? 0 : clock_span(args_str(a, "ttl"));
		if (ms < 0 || ms > TTL_MAX_MS || (ms > 0 && ms < 1000))
			return perry_fail(err, PERRY_EUSAGE,
					  "start: --ttl needs a time like 90s, 30m, 2h, 7d, or 0 for none, got \"%s\"",
					  args_str(a, "ttl"));
		json_set_int(in, "ttl", ms / 1000);
	}
	if (args_has(a, "docker"))
		json_set_bool(in, "docker", true);
	return 0;
}

/* What to type next: data on standard output. */
static void print_address(const struct client *c, const cJSON *started, const char *name)
{
	cleanup_json cJSON *all = NULL, *in = cJSON_CreateObject();
	json_set_str(in, "name", name);
	/* What stands in SSH's way is in the whole view only. */
	const cJSON *ws = client_rpc(c, "workspaces/get", take_ptr(in), &all, NULL) == 0 ? all : started;
	const char *host = json_str(ws, "tailscale.hostname");
	int port = (int)json_int_or(ws, "ports.ssh", 0);
	const char *nobody = json_str(ws, "sshMissing") ? NULL : json_str(ws, "sshNobody");
	bool ssh = !json_str(ws, "sshMissing") && !nobody;
	if (host && ssh)
		text_printf(stdout, "http://%s  ssh workspace@%s\n", host, host);
	else if (host)
		text_printf(stdout, "http://%s  perry shell %s\n", host, name);
	else if (port && ssh && c->sock) /* the port is of the agent's machine alone */
		printf("ssh -p %d workspace@127.0.0.1\n", port);
	else
		text_printf(stdout, "perry shell %s\n", name);
	if (err_is_tty())
		fprintf(stderr, "%s is running. Next: perry shell %s\n", name, name);
	if (err_is_tty() && nobody)
		text_printf(stderr, "SSH: %s\n", nobody);
}

/* --dry-run: the plan, and what it would mean for the container that there is. */
static int print_plan(const struct args *a, const cJSON *plan, const char *name, struct perry_err **err)
{
	const char *action = json_str_or(plan, "changes.action", ""), *note = json_str(plan, "changes.note");
	if (args_has(a, "json"))
		return out_json(a, plan, err);
	plan_print(json_at(plan, "fields"), json_at(plan, "decisions"));
	out_flush(NULL);
	text_printf(stderr, "%s: %s. Nothing was touched.\n", name,
		    note                            ? note
		    : strcmp(action, "create") == 0 ? "would be created"
		    : strcmp(action, "make") == 0   ? "would get a new container"
						    : "keeps its container");
	if (json_bool_or(plan, "imageMissing", false))
		text_printf(stderr, "The image %s is not on this machine yet.\n", json_str_or(plan, "image", "?"));
	return 0;
}

int cmd_start(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *in = cJSON_CreateObject();
	cleanup_json cJSON *ws = NULL;
	cleanup_free char *name = a->nwords ? xstrdup(a->words[0]) : NULL;
	if (build_input(a, in, err) < 0)
		return -1;
	if (!name && git_propose(a, &name, in, err) < 0)
		return -1;
	json_set_str(in, "name", name);
	if (client_open(&c, err) < 0)
		return -1;
	if (args_has(a, "dry-run")) {
		json_set_bool(in, "dryRun", true);
		if (client_rpc(c, "workspaces/start", take_ptr(in), &ws, err) < 0)
			return -1;
		return print_plan(a, ws, name, err);
	}
	if (follow_call(c, a, "workspaces/start", name, take_ptr(in), &ws, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return ws ? out_json(a, ws, err) : 0;
	if (ws) {
		print_address(c, ws, name);
	} else if (err_is_tty()) {
		fprintf(stderr, "%s is starting (see: perry list)\n", name);
	}
	return 0;
}
