/* shell, screen: terminals that live in their workspace, whoever looks at them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/remote.h"
#include "cli/text.h"

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

/* --- sessions --- */

static int sessions_of(const struct client *c, const char *name, cJSON **out, struct perry_err **err)
{
	cJSON *in = cJSON_CreateObject();
	json_set_str(in, "name", name);
	return client_rpc(c, "terminals/list", in, out, err);
}

static int64_t touched(const cJSON *session)
{
	int64_t in = json_int_or(session, "input", 0), created = json_int_or(session, "created", 0);
	return in > created ? in : created;
}

/* The session that is meant: by its id or its name, or the one that was typed in last. *id is the caller's. */
static int find_session(const struct client *c, const char *name, const char *which, char **id, struct perry_err **err)
{
	cleanup_json cJSON *out = NULL;
	const cJSON *best = NULL, *one;
	if (sessions_of(c, name, &out, err) < 0)
		return -1;
	cJSON_ArrayForEach(one, json_at(out, "sessions")) {
		bool meant = !which || strcmp(json_str_or(one, "id", ""), which) == 0 ||
			     strcmp(json_str_or(one, "name", ""), which) == 0;
		if (meant && (!best || touched(one) >= touched(best)))
			best = one;
	}
	if (!best && which)
		return perry_fail(err, PERRY_ENOTFOUND, "%s has no session %s\n  these are there: perry shell %s -l",
				  name, which, name);
	if (!best)
		return perry_fail(err, PERRY_ENOTFOUND, "%s has no session\n  begin one: perry shell %s", name, name);
	*id = xstrdup(json_str(best, "id"));
	return 0;
}

static int list_sessions(const struct client *c, const struct args *a, struct perry_err **err)
{
	static const char *const heads[] = { "ID", "NAME", "RUNS", "STATE", "WATCHED", "TYPED" };
	struct table t = { heads, 6, NULL, 0 };
	cleanup_json cJSON *out = NULL;
	const cJSON *s;
	if (sessions_of(c, a->words[0], &out, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, json_at(out, "sessions"), err);
	cJSON_ArrayForEach(s, json_at(out, "sessions")) {
		char age[32];
		clock_age(clock_ms() - touched(s) * 1000, age);
		table_add(&t, json_str_or(s, "id", "?"));
		table_add(&t, json_str_or(s, "name", ""));
		table_add(&t, json_str_or(s, "program", ""));
		table_add(&t, json_bool_or(s, "busy", false) ? "busy" : "prompt");
		table_add(&t, json_int_or(s, "attached", 0) > 0 ? "yes" : "no");
		table_addf(&t, "%s ago", age);
	}
	if (t.n)
		table_print(&t);
	else if (err_is_tty())
		fprintf(stderr, "No session in %s. perry shell %s begins one.\n", a->words[0], a->words[0]);
	return 0;
}

static bool no_sessions(const struct perry_err *err)
{
	return err && json_bool_or(err->data, "noSessions", false);
}

static int session_shell(const struct client *c, const struct args *a, struct perry_err **err)
{
	bool attach = args_has(a, "attach"), left = false;
	int code = 0;
	cleanup_free char *id = NULL;
	if (attach && find_session(c, a->words[0], a->nwords > 1 ? a->words[1] : NULL, &id, err) < 0)
		return -1;
	cJSON *o = remote_open(attach ? "attach" : "session", a->words[0]);
	cleanup_json cJSON *command = remote_command(a);
	json_set_str(o, "session", id);
	json_set_str(o, "title", args_str(a, "title"));
	json_set_bool(o, "readOnly", args_has(a, "read-only"));
	if (!attach && cJSON_GetArraySize(command) > 0)
		json_set(o, "command", take_ptr(command));
	struct stream_ends ends = { .in_fd = STDIN_FILENO,
				    .out_fd = STDOUT_FILENO,
				    .err_fd = STDERR_FILENO,
				    .tty = true,
				    .command = true,
				    .detached = &left };
	int rc = remote_run(c, o, &ends, &code, err);
	if (left || rc < 0) /* what its program has switched on is not this terminal's any more */
		fputs("\033[?1049l\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?1004l\033[?2004l\033[?1l\033>\033[?"
		      "25h\033[0m",
		      stdout);
	fflush(stdout);
	if (left || (rc < 0 && (*err)->code == PERRY_EUNAVAILABLE))
		fprintf(stderr, "\nThe session goes on: perry shell %s -a\n", a->words[0]);
	return rc < 0 ? -1 : code;
}

static int plain_shell(const struct client *c, const struct args *a, bool tty, struct perry_err **err)
{
	int code = 0;
	cJSON *o = remote_open("exec", a->words[0]);
	cleanup_json cJSON *command = remote_command(a);
	if (cJSON_GetArraySize(command) > 0)
		json_set(o, "command", take_ptr(command));
	else if (!tty)
		json_set(o, "command", script_shell());
	struct stream_ends ends = {
		.in_fd = STDIN_FILENO, .out_fd = STDOUT_FILENO, .err_fd = STDERR_FILENO, .tty = tty, .command = true
	};
	return remote_run(c, o, &ends, &code, err) < 0 ? -1 : code;
}

int cmd_shell(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	bool tty = in_is_tty() && out_is_tty();
	if (a->nwords > 1 && !args_has(a, "attach"))
		return perry_fail(
			err, PERRY_EUSAGE,
			"shell: a session is looked at with -a, a command stands after --\n  usage: perry shell "
			"NAME -a %s",
			a->words[1]);
	if (client_open(&c, err) < 0)
		return -1;
	if (args_has(a, "ssh"))
		return ssh_shell(c, a, err);
	if (args_has(a, "list"))
		return list_sessions(c, a, err);
	if (args_has(a, "attach") && !tty)
		return perry_fail(
			err, PERRY_EUSAGE,
			"shell -a: standard input and output are no terminal\n  its screen as text: perry screen %s",
			a->words[0]);
	if (!tty)
		return plain_shell(c, a, false, err);
	int rc = session_shell(c, a, err);
	if (rc >= 0 || args_has(a, "attach") || !no_sessions(*err))
		return rc;
	perry_err_free(take_ptr(*err));
	return plain_shell(c, a, true, err);
}

int cmd_screen(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *out = NULL, *in = cJSON_CreateObject();
	cleanup_free char *id = NULL;
	if (client_open(&c, err) < 0 || find_session(c, a->words[0], a->nwords > 1 ? a->words[1] : NULL, &id, err) < 0)
		return -1;
	json_set_str(in, "name", a->words[0]);
	json_set_str(in, "session", id);
	if (client_rpc(c, "terminals/screen", take_ptr(in), &out, err) < 0)
		return -1;
	if (args_has(a, "json"))
		return out_json(a, out, err);
	cleanup_free char *text = printable_lines(json_str_or(out, "text", ""), "");
	fputs(text, stdout);
	return 0;
}
