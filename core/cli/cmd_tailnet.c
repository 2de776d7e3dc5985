/* perry tailnet: the devices of workspaces on the tailnet. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/text.h"

static int call(const char *proc, cJSON *take_input, cJSON **out, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	if (client_open(&c, err) == 0)
		return client_rpc(c, proc, take_input, out, err);
	cJSON_Delete(take_input);
	return -1;
}

/* "3 days" since a time in ms, "" for none. */
static const char *age(int64_t ms, char text[32])
{
	text[0] = 0;
	if (ms > 0)
		clock_age(clock_ms() - ms, text);
	return text;
}

static void print_warnings(const cJSON *list)
{
	const cJSON *w;
	cJSON_ArrayForEach(w, list) {
		cleanup_free char *text = printable(w->valuestring);
		fprintf(stderr, "warning: %s\n", text);
	}
}

/* A line of its label and what is known of it: for eyes under each other, for programs behind a tab. */
__attribute__((format(printf, 2, 3))) static void print_line(const char *label, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	cleanup_free char *text = xvasprintf(fmt, ap), *line = printable(text), *name = printable(label);
	va_end(ap);
	printf(out_is_tty() ? "%-16s  %s\n" : "%s\t%s\n", name, line);
}

static void print_key(const cJSON *j)
{
	const cJSON *key = json_at(j, "key"), *one;
	char text[32];
	if (json_str(key, "error"))
		print_line("key", "cannot be used (%s)", json_str_or(key, "source", "?"));
	else if (cJSON_IsObject(key))
		print_line("key", "configured (%s), in use for %s", json_str_or(key, "source", "?"),
			   age(json_int_or(key, "since", 0), text));
	else
		print_line("key", "none");
	cJSON_ArrayForEach(one, json_at(j, "credentials"))
		print_line("credential", "%s (%s, %s)", json_str_or(one, "name", "?"), json_str_or(one, "type", "?"),
			   json_str_or(one, "server", "?"));
}

static void print_pending(const cJSON *list)
{
	const cJSON *row;
	char text[32];
	cJSON_ArrayForEach(row, list) {
		const char *why = json_str_or(row, "error", "");
		print_line(json_str_or(row, "state", "?"), "%s (workspace %s, %s)%s%s",
			   json_str_or(row, "hostname", "?"), json_str_or(row, "workspace", "?"),
			   age(json_int_or(row, "since", 0), text), *why ? ": " : "", why);
	}
}

int cmd_tailnet_status(const struct args *a, struct perry_err **err)
{
	cleanup_json cJSON *j = NULL;
	const cJSON *w;
	if (call("tailnet/status", NULL, &j, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, j, err);
	print_line("workspaces", "%s",
		   json_bool_or(j, "enabled", false) ? "join the tailnet" : "do not join a tailnet");
	if (json_str(j, "loginServer"))
		print_line("control server", "%s", json_str(j, "loginServer"));
	print_key(j);
	cJSON_ArrayForEach(w, json_at(j, "workspaces")) {
		const char *why = json_str_or(w, "error", "");
		print_line("workspace", "%s: %s%s%s%s%s", json_str_or(w, "name", "?"), json_str_or(w, "state", "?"),
			   json_str(w, "dnsName") ? " as " : "", json_str_or(w, "dnsName", ""), *why ? ": " : "", why);
	}
	print_pending(json_at(j, "pending"));
	print_warnings(json_at(j, "warnings"));
	return 0;
}

int cmd_tailnet_devices(const struct args *a, struct perry_err **err)
{
	static const char *const heads[] = { "DEVICE", "WORKSPACE", "STATE", "ONLINE", "KEY", "ID", "REMOVED BY" };
	struct table t = { .heads = heads, .columns = (int)ARRAY_LEN(heads) };
	cleanup_json cJSON *j = NULL;
	const cJSON *d, *v;
	if (call("tailnet/devices", NULL, &j, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, json_at(j, "devices"), err);
	cJSON_ArrayForEach(d, json_at(j, "devices")) {
		bool gone = json_bool_or(d, "gone", false);
		table_add(&t, json_str_or(d, "name", json_str_or(d, "hostname", "?")));
		table_add(&t, json_str(d, "workspace"));
		table_add(&t, json_str(d, "state"));
		v = json_at(d, "online");
		table_add(&t, gone ? "gone" : !v ? "?" : cJSON_IsTrue(v) ? "yes" : "no");
		v = json_at(d, "ephemeral");
		table_add(&t, !v ? "?" : cJSON_IsTrue(v) ? "ephemeral" : "persistent");
		table_add(&t, json_str_or(d, "node", "?"));
		table_add(&t, json_str_or(d, "credential", "-"));
	}
	table_print(&t);
	print_warnings(json_at(j, "problems"));
	return 0;
}

int cmd_tailnet_prune(const struct args *a, struct perry_err **err)
{
	cleanup_json cJSON *j = NULL;
	cJSON *in = cJSON_CreateObject();
	const cJSON *row;
	json_set_bool(in, "dryRun", args_has(a, "dry-run"));
	json_set_bool(in, "forget", args_has(a, "forget"));
	if (call("tailnet/prune", in, &j, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, j, err);
	cJSON_ArrayForEach(row, json_at(j, "removed"))
		print_line(json_bool_or(j, "dryRun", false) ? "would be removed"
			   : args_has(a, "forget")          ? "off the list"
							    : "removed",
			   "%s", json_str_or(row, "hostname", "?"));
	if (!json_bool_or(j, "dryRun", false))
		print_pending(json_at(j, "pending"));
	print_pending(json_at(j, "leftBehind"));
	print_pending(json_at(j, "kept"));
	return 0;
}

/* --- setup --- */

/* A line that is typed without being shown. */
static char *read_hidden(const char *question)
{
	struct termios shown, hidden;
	bool tty = in_is_tty() && tcgetattr(0, &shown) == 0;
	if (tty) {
		hidden = shown;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(0, TCSAFLUSH, &hidden);
		fprintf(stderr, "%s: ", question);
	}
	char *line = read_stdin_line();
	if (tty) {
		tcsetattr(0, TCSAFLUSH, &shown);
		fputc('\n', stderr);
	}
	return line;
}

int cmd_tailnet_setup(const struct args *a, struct perry_err **err)
{
	if (!in_is_tty() && !args_has(a, "stdin"))
		return perry_fail(err, PERRY_EUSAGE,
				  "tailnet setup: a key is read from standard input, so that it stands in no history\n "
				  " usage: perry tailnet setup --stdin < FILE");
	if (in_is_tty() && !args_has(a, "stdin"))
		fprintf(stderr, "An auth key that workspaces join the tailnet with. Tailscale: admin console, Settings "
				"> Keys (reusable, ephemeral, tag:perry-workspace).\n"
				"Headscale: headscale preauthkeys create --reusable --ephemeral\n");
	cleanup_json cJSON *j = NULL;
	cJSON *in = cJSON_CreateObject();
	char *typed = read_hidden("Auth key"), *key = str_trim(typed);
	if (!*key) {
		cJSON_Delete(in);
		free(typed);
		return perry_fail(err, PERRY_EUSAGE, "tailnet setup: standard input had no key, nothing was changed");
	}
	json_set_str(in, "authKey", key);
	wipe(typed, strlen(typed));
	free(typed);
	json_set_str(in, "hostnamePrefix", args_str(a, "prefix"));
	json_set_str(in, "loginServer", args_str(a, "login-server"));
	if (call("tailnet/setup", in, &j, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, j, err);
	fprintf(stderr, "Saved. Whether the control server takes it shows at the first join. Workspaces that run join "
			"after: perry stop NAME && perry start NAME\n");
	print_warnings(json_at(j, "warnings"));
	return 0;
}
