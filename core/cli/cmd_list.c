#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/text.h"

enum { SIZES_MS = 10000 };

static const char *state_text(const cJSON *ws)
{
	if (json_bool_or(ws, "outdated", false))
		return "outdated";
	return json_str_or(ws, "stopReason", "");
}

/* Of a home whose size the engine does not tell: "-". */
static void add_size(struct table *t, const cJSON *size)
{
	double n = cJSON_IsNumber(size) ? size->valuedouble : -1;
	if (n < 0)
		table_add(t, "-");
	else if (n < 1e6)
		table_addf(t, "%.1f kB", n / 1e3);
	else if (n < 1e9)
		table_addf(t, "%.1f MB", n / 1e6);
	else
		table_addf(t, "%.1f GB", n / 1e9);
}

static void add_hostname(struct table *t, const cJSON *ws)
{
	const char *host = json_str(ws, "tailscale.hostname"), *status = json_str_or(ws, "tailscale.status", "none");
	if (host)
		table_add(t, host);
	else if (strcmp(status, "none") != 0)
		table_addf(t, "(%s)", status);
	else
		table_add(t, "-");
}

static void print_rows(const struct args *a, const cJSON *list)
{
	static const char *const heads[] = { "NAME", "STATUS", "HOSTNAME", "SSH", "REPOSITORY", "AGE", "HOME" };
	struct table t = { heads, args_has(a, "size") ? 7 : 6, NULL, 0 };
	const cJSON *ws;
	cJSON_ArrayForEach(ws, list) {
		char age[32];
		int64_t created = clock_parse_iso(json_str(ws, "created"));
		clock_age(created > 0 ? clock_ms() - created : 0, age);
		table_add(&t, json_str_or(ws, "name", "?"));
		if (*state_text(ws))
			table_addf(&t, "%s (%.60s)", json_str_or(ws, "status", "?"), state_text(ws));
		else
			table_add(&t, json_str_or(ws, "status", "?"));
		add_hostname(&t, ws);
		if (json_int_or(ws, "ports.ssh", 0))
			table_addf(&t, "%d", (int)json_int_or(ws, "ports.ssh", 0));
		else
			table_add(&t, "-");
		table_add(&t, json_str_or(ws, "repo", "-"));
		table_add(&t, age);
		if (args_has(a, "size"))
			add_size(&t, cJSON_GetObjectItemCaseSensitive(ws, "size"));
	}
	table_print(&t);
}

/* The list is what was last known while the engine is away. On stderr, because the list itself is for programs, too. */
static void warn_engine(const struct client *c)
{
	cleanup_json cJSON *health = NULL;
	cleanup_err struct perry_err *err = NULL;
	if (client_get(c, "/health", &health, &err) == 0 && json_str(health, "docker"))
		text_printf(stderr, "The container engine is away, this is the last known state (%s)\n",
			    json_str(health, "docker"));
}

/* The engine counts a home's files anew each time, so a list that is watched asks only now and then. */
static int put_sizes(const struct client *c, cJSON *list, struct perry_err **err)
{
	static cJSON *sizes;
	static int64_t asked;
	cJSON *ws;
	if (!sizes || clock_mono_ms() - asked > SIZES_MS) {
		cJSON *fresh = NULL;
		if (client_rpc(c, "workspaces/sizes", NULL, &fresh, err) < 0)
			return -1;
		cJSON_Delete(sizes);
		sizes = fresh;
		asked = clock_mono_ms();
	}
	cJSON_ArrayForEach(ws, list) {
		const cJSON *n = cJSON_GetObjectItemCaseSensitive(sizes, json_str_or(ws, "name", ""));
		json_set(ws, "size", n ? cJSON_Duplicate(n, 1) : cJSON_CreateNull());
	}
	return 0;
}

static void print_name(const cJSON *ws)
{
	cleanup_free char *name = printable(json_str_or(ws, "name", "?"));
	puts(name);
}

static int list_once(const struct client *c, const struct args *a, struct perry_err **err)
{
	cleanup_json cJSON *list = NULL;
	if (client_rpc(c, "workspaces/list", NULL, &list, err) < 0 ||
	    (args_has(a, "size") && put_sizes(c, list, err) < 0))
		return -1;
	const cJSON *ws;
	if (!args_has(a, "quiet"))
		warn_engine(c);
	if (args_has(a, "json"))
		return out_json(a, list, err);
	if (args_has(a, "quiet")) {
		cJSON_ArrayForEach(ws, list)
			print_name(ws);
		return 0;
	}
	if (cJSON_GetArraySize(list) == 0 && err_is_tty())
		fprintf(stderr, "There is no workspace yet. Make one with: perry start NAME\n");
	else
		print_rows(a, list);
	return 0;
}

int cmd_list(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	struct events ev;
	if (client_open(&c, err) < 0)
		return -1;
	if (!args_has(a, "watch"))
		return list_once(c, a, err);
	if (events_open(c, "", &ev, err) < 0)
		return -1;
	int rc = 0;
	for (bool ended = false; rc == 0 && !ended;) {
		if (out_is_tty())
			fputs("\033[H\033[2J", stdout);
		rc = list_once(c, a, err);
		if (rc == 0)
			rc = out_flush(err);
		if (rc < 0)
			break;
		/* A burst of events is one new picture. */
		cJSON_Delete(events_next(&ev, -1, &ended, NULL));
		for (cJSON *more; !ended && (more = events_next(&ev, 100, &ended, NULL));)
			cJSON_Delete(more);
	}
	if (rc == 0)
		rc = perry_fail(err, PERRY_EUNAVAILABLE, "the agent went away");
	events_close(&ev);
	return rc;
}

static void print_agent(const cJSON *info)
{
	char age[32];
	clock_age(json_int_or(info, "uptime", 0) * 1000, age);
	text_printf(stdout, "Version:     %s\n", json_str_or(info, "version", "?"));
	text_printf(stdout, "Hostname:    %s\n", json_str_or(info, "hostname", "?"));
	printf("Uptime:      %s\n", age);
	printf("Workspaces:  %d\n", (int)json_int_or(info, "workspacesCount", 0));
	text_printf(stdout, "Docker:      %s\n",
		    json_str_or(info, "dockerVersion", json_str_or(info, "docker.error", "not reachable")));
	const cJSON *limit;
	cJSON_ArrayForEach(limit, json_at(info, "limits")) {
		cleanup_free char *value = cJSON_IsString(limit) ? xstrdup(limit->valuestring) : json_print(limit);
		text_printf(stdout, "%s %s %s\n", limit->prev->next ? "            " : "Limits:     ", limit->string,
			    value);
	}
	const cJSON *ts = json_at(info, "tailscale");
	if (ts) {
		text_printf(stdout, "Tailscale:   %s\n",
			    json_str_or(ts, "dnsName", json_str_or(ts, "state", "not running")));
		if (json_str(ts, "user"))
			text_printf(stdout, "User:        %s\n", json_str(ts, "user"));
		if (json_str(ts, "httpsUrl"))
			text_printf(stdout, "HTTPS URL:   %s\n", json_str(ts, "httpsUrl"));
		if (json_str(ts, "url"))
			text_printf(stdout, "URL:         %s\n", json_str(ts, "url"));
		if (json_bool_or(ts, "running", false) && json_str(ts, "problem"))
			text_printf(stdout, "Problem:     %s%s%s\n", json_str(ts, "problem"),
				    json_str(ts, "mend") ? "\n  mend it: " : "", json_str_or(ts, "mend", ""));
	}
}

static void print_fields(const cJSON *obj, const char *prefix)
{
	const cJSON *v;
	cJSON_ArrayForEach(v, obj) {
		const char *key = v->string ? v->string : "-"; /* of an array's */
		cleanup_free char *path = *prefix ? xasprintf("%s.%s", prefix, key) : xstrdup(key);
		if (cJSON_IsObject(v) && v->child) {
			print_fields(v, path);
		} else if (!cJSON_IsNull(v)) {
			cleanup_free char *text = cJSON_IsString(v) ? xstrdup(v->valuestring) : json_print(v);
			cleanup_free char *line = printable(text), *name = printable(path);
			printf("%-24s %s\n", name, line);
		}
	}
}

/* What a workspace may take, in a reader's units. */
static void print_limits(const cJSON *limits)
{
	double memory = json_num_or(limits, "memory", 0), cpus = json_num_or(limits, "cpus", 0);
	int64_t pids = json_int_or(limits, "pids", 0);
	if (!limits)
		return;
	if (memory >= (double)(1 << 30))
		printf("%-24s %.4g GiB\n", "limits.memory", memory / (double)(1 << 30));
	else if (memory > 0)
		printf("%-24s %.4g MiB\n", "limits.memory", memory / (double)(1 << 20));
	else
		printf("%-24s none\n", "limits.memory");
	if (cpus > 0)
		printf("%-24s %.4g\n", "limits.cpus", cpus);
	else
		printf("%-24s none\n", "limits.cpus");
	if (pids > 0)
		printf("%-24s %lld\n", "limits.pids", (long long)pids);
	else
		printf("%-24s none\n", "limits.pids");
}

/* One line each, instead of their JSON. */
static void print_listeners(const cJSON *list)
{
	const cJSON *l;
	cJSON_ArrayForEach(l, list) {
		bool reachable = json_bool_or(l, "reachable", false);
		const char *where =
			reachable ? json_str_or(l, "web", json_str_or(l, "url", "")) : json_str_or(l, "why", "");
		cleanup_free char *process = printable(json_str_or(l, "process", "?")), *text = printable(where);
		printf("%-24s %d %s %s\n", "listens", (int)json_int_or(l, "port", 0), process, text);
	}
}

int cmd_info(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *j = NULL;
	if (client_open(&c, err) < 0)
		return -1;
	cJSON *in = NULL;
	if (a->nwords) {
		in = cJSON_CreateObject();
		json_set_str(in, "name", a->words[0]);
	}
	if (client_rpc(c, a->nwords ? "workspaces/get" : "info", in, &j, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, j, err);
	if (a->nwords) {
		cleanup_json cJSON *listeners = cJSON_DetachItemFromObjectCaseSensitive(j, "listeners"),
				   *limits = cJSON_DetachItemFromObjectCaseSensitive(j, "limits");
		print_fields(j, "");
		print_limits(limits);
		print_listeners(listeners);
	} else {
		print_agent(j);
	}
	return 0;
}
