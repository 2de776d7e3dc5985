/* exec, shell, logs -f, events: what streams. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/number.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/stream.h"
#include "cli/text.h"

static cJSON *open_of(const char *kind, const char *name)
{
	cJSON *o = cJSON_CreateObject();
	json_set_str(o, "kind", kind);
	json_set_str(o, "name", name);
	return o;
}

static cJSON *command_of(const struct args *a)
{
	char **words = a->dashes ? a->rest : a->words + 1;
	int n = a->dashes ? a->nrest : a->nwords - 1;
	cJSON *list = cJSON_CreateArray();
	for (int i = 0; i < n; i++)
		json_push_str(list, words[i]);
	return list;
}

static struct termios saved;
static bool raw;

static void restore(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	raw = false;
}

static void make_raw(void)
{
	struct termios t;
	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return;
	t = saved;
	cfmakeraw(&t);
	raw = true;
	atexit(restore);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
}

/* With a terminal there: its size is this one's, and where this is one its keys are passed on as they are. */
static int run_command(const struct client *c, cJSON *take_open, const struct stream_ends *ends, int *code,
		       struct perry_err **err)
{
	struct winsize w = { .ws_col = 80, .ws_row = 24 };
	json_set_bool(take_open, "tty", ends->tty);
	if (ends->tty) {
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
		json_set_int(take_open, "cols", w.ws_col ? w.ws_col : 80);
		json_set_int(take_open, "rows", w.ws_row ? w.ws_row : 24);
		json_set_str(take_open, "term", getenv("TERM") ? getenv("TERM") : "xterm-256color");
		if (in_is_tty() && ends->in_fd >= 0)
			make_raw();
	}
	int rc = stream_run(c, take_open, ends, code, err);
	restore();
	return rc;
}

int cmd_exec(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	int code = 0;
	cleanup_json cJSON *command = command_of(a);
	if (cJSON_GetArraySize(command) == 0)
		return perry_fail(err, PERRY_EUSAGE,
				  "exec: which command?\n  usage: perry exec NAME [-n] [-t] -- CMD...");
	if (client_open(&c, err) < 0)
		return -1;
	cJSON *o = open_of("exec", a->words[0]);
	json_set(o, "command", take_ptr(command));
	json_set_str(o, "user", args_str(a, "user"));
	json_set_str(o, "cwd", args_str(a, "workdir"));
	struct stream_ends ends = {
		.in_fd = args_has(a, "no-stdin") ? -1 : STDIN_FILENO,
		.out_fd = STDOUT_FILENO,
		.err_fd = STDERR_FILENO,
		.tty = args_has(a, "tty"),
		.typed = !in_is_tty(),
		.command = true,
	};
	return run_command(c, o, &ends, &code, err) < 0 ? -1 : code;
}

static int ssh_shell(const struct client *c, const struct args *a, struct perry_err **err)
{
	cleanup_json cJSON *ws = NULL;
	cJSON *in = cJSON_CreateObject();
	json_set_str(in, "name", a->words[0]);
	if (client_rpc(c, "workspaces/get", in, &ws, err) < 0)
		return -1;
	/* This machine may be on no tailnet; the port is always there. */
	const char *host = c->sock ? NULL : json_str(ws, "tailscale.hostname");
	int port = (int)json_int_or(ws, "ports.ssh", 0);
	if (json_str(ws, "sshMissing"))
		return perry_fail(err, PERRY_ESTATE, "%s: no SSH (%s); leave --ssh away", a->words[0],
				  json_str(ws, "sshMissing"));
	if (!host && !c->sock)
		return perry_fail(
			err, PERRY_ESTATE,
			"%s is on another machine and not on the tailnet: no SSH from here (leave --ssh away)",
			a->words[0]);
	cleanup_free char *target = xasprintf("workspace@%s", host ? host : "127.0.0.1");
	cleanup_free char *port_text = xasprintf("%d", host ? 22 : port);
	char **argv = xcalloc((size_t)a->nrest + 8, sizeof *argv);
	int n = 0;
	argv[n++] = xstrdup("ssh");
	argv[n++] = xstrdup("-p");
	argv[n++] = port_text;
	argv[n++] = target;
	for (int i = 0; i < a->nrest; i++)
		argv[n++] = a->rest[i];
	execvp("ssh", argv);
	free(argv);
	return perry_fail(err, PERRY_ENOTFOUND, "ssh is not installed on this machine");
}

/* What takes a script on standard input: bash as ever, and the user's own shell where an image has none. */
static cJSON *script_shell(void)
{
	static const char *const words[] = { "/bin/sh", "-c",
					     "if command -v bash >/dev/null; then exec bash -l; fi\n"
					     "case $SHELL in /*) [ -x \"$SHELL\" ] && exec \"$SHELL\" -l ;; esac\n"
					     "exec /bin/sh -l" };
	cJSON *list = cJSON_CreateArray();
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		json_push_str(list, words[i]);
	return list;
}

int cmd_shell(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	bool tty = in_is_tty() && out_is_tty();
	int code = 0;
	if (client_open(&c, err) < 0)
		return -1;
	if (args_has(a, "ssh"))
		return ssh_shell(c, a, err);
	cJSON *o = open_of("exec", a->words[0]);
	cleanup_json cJSON *command = command_of(a);
	if (cJSON_GetArraySize(command) > 0)
		json_set(o, "command", take_ptr(command));
	else if (!tty)
		json_set(o, "command", script_shell());
	struct stream_ends ends = {
		.in_fd = STDIN_FILENO, .out_fd = STDOUT_FILENO, .err_fd = STDERR_FILENO, .tty = tty, .command = true
	};
	return run_command(c, o, &ends, &code, err) < 0 ? -1 : code;
}

int cmd_logs(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	long long tail = 100;
	int code = 0;
	if (args_str(a, "lines") && str_to_int(args_str(a, "lines"), 0, 10000000, &tail) < 0)
		return perry_fail(err, PERRY_EUSAGE, "logs: -n needs a number, got \"%s\"", args_str(a, "lines"));
	if (client_open(&c, err) < 0)
		return -1;
	cJSON *o = open_of("logs", a->words[0]);
	json_set_int(o, "tail", tail);
	json_set_bool(o, "follow", args_has(a, "follow"));
	json_set_bool(o, "timestamps", args_has(a, "timestamps"));
	struct stream_ends ends = { .in_fd = -1, .out_fd = STDOUT_FILENO, .err_fd = STDERR_FILENO };
	return stream_run(c, o, &ends, &code, err) < 0 ? -1 : code;
}

static void print_event(const struct args *a, const cJSON *e)
{
	char when[32];
	if (args_has(a, "json")) {
		cleanup_free char *text = json_print(e);
		out_data(text);
		return;
	}
	static const char *const fields[] = { "workspace", "action",  "step", "state",
					      "status",    "message", "line", "reason" };
	clock_iso(json_int_or(e, "at", 0), when);
	text_printf(stdout, "%s %-10s", when, json_str_or(e, "kind", "?"));
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		cleanup_free char *v = json_str(e, fields[i]) ? printable(json_str(e, fields[i])) : NULL;
		if (v)
			printf(" %s", v);
	}
	putchar('\n');
	const cJSON *w;
	cJSON_ArrayForEach(w, json_at(e, "warnings")) {
		cleanup_free char *message = printable(json_str(w, "message")), *mend = printable(json_str(w, "mend")),
				  *workspace = printable(json_str(e, "workspace")),
				  *step = printable(json_str_or(w, "step", "?"));
		printf("%s %-10s %s%s%s %s%s%s\n", when, "warning", workspace, *workspace ? " " : "", step, message,
		       *mend ? "; " : "", mend);
	}
}

int cmd_events(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	struct events ev;
	struct buf query = { 0 };
	if (args_str(a, "since")) {
		int64_t since = clock_since(args_str(a, "since"));
		if (since < 0)
			return perry_fail(err, PERRY_EUSAGE,
					  "events: --since needs a duration (5m, 2h) or a time (2026-01-02T15:04:05Z), "
					  "got \"%s\"",
					  args_str(a, "since"));
		buf_addf(&query, "since=%lld", (long long)since);
	} else if (!args_has(a, "follow")) {
		buf_adds(&query, "since=0");
	}
	if (!args_has(a, "follow"))
		buf_adds(&query, "&follow=0");
	cleanup_free char *q = buf_take(&query);
	if (client_open(&c, err) < 0 || events_open(c, q, &ev, err) < 0)
		return -1;
	bool follows = args_has(a, "follow");
	int rc = 0;
	for (bool ended = false; rc == 0 && !ended;) {
		/* Without -f the stored events are all: the agent ends the stream, or nothing more comes. */
		cleanup_json cJSON *e = events_next(&ev, follows ? -1 : 1000, &ended, NULL);
		if (e)
			print_event(a, e);
		else if (!follows)
			break;
		rc = out_flush(err);
	}
	if (rc == 0 && follows)
		rc = perry_fail(err, PERRY_EUNAVAILABLE, "the agent went away");
	events_close(&ev);
	return rc;
}
