/* exec, shell, logs -f, events: what streams. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/number.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/remote.h"
#include "cli/stream.h"
#include "cli/text.h"

int cmd_exec(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	int code = 0;
	cleanup_json cJSON *command = remote_command(a);
	if (cJSON_GetArraySize(command) == 0)
		return perry_fail(err, PERRY_EUSAGE,
				  "exec: which command?\n  usage: perry exec NAME [-n] [-t] -- CMD...");
	if (client_open(&c, err) < 0)
		return -1;
	cJSON *o = remote_open("exec", a->words[0]);
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
	return remote_run(c, o, &ends, &code, err) < 0 ? -1 : code;
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
	cJSON *o = remote_open("logs", a->words[0]);
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
