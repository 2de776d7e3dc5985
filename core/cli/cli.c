#include "cli/cli.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/args.h"
#include "cli/client.h"
#include "cli/cmd_help.h"
#include "cli/commands.h"
#include "cli/full.h"
#include "cli/next.h"
#include "cli/out.h"
#include "cli/text.h"

static int unknown(int argc, char **argv, struct perry_err **err)
{
	const char *names[128];
	size_t n = 0;
	cleanup_free char *two = argc > 1 && argv[1][0] != '-' ? xasprintf("%s %s", argv[0], argv[1]) : NULL;
	bool group = false;
	for (const struct command *c = commands; c->name && n < 120; c++) {
		names[n++] = c->name;
		if (c->alias)
			names[n++] = c->alias;
		size_t k = strlen(argv[0]);
		group = group || (strncmp(c->name, argv[0], k) == 0 && c->name[k] == ' ');
	}
	names[n] = NULL;
	const char *near = two ? str_nearest(two, names) : NULL;
	if (group && !near)
		return perry_fail(err, PERRY_EUSAGE, "%s: which one?\n  see: perry help %s", argv[0], argv[0]);
	if (!near)
		near = str_nearest(argv[0], names);
	if (near)
		return perry_fail(err, PERRY_EUSAGE, "there is no command \"%s\" (did you mean \"perry %s\"?)",
				  two && group ? two : argv[0], near);
	return perry_fail(err, PERRY_EUSAGE, "there is no command \"%s\"\n  see: perry help", argv[0]);
}

void cli_print_error(const struct perry_err *e)
{
	const cJSON *issue;
	text_printf(stderr, "perry: %s\n", perry_msg(e));
	const char *file = json_str(e->data, "file");
	if (file && !strstr(perry_msg(e), file)) {
		int line = (int)json_int_or(e->data, "line", 0);
		if (line)
			text_printf(stderr, "  %s:%d\n", file, line);
		else
			text_printf(stderr, "  %s\n", file);
	}
	/* The agent's validation names the fields. */
	cJSON_ArrayForEach(issue, json_at(e->data, "issues")) {
		cleanup_buf struct buf path = { 0 };
		const cJSON *step;
		cJSON_ArrayForEach(step, json_at(issue, "path")) {
			if (cJSON_IsString(step))
				buf_addf(&path, "%s%s", path.len ? "." : "", step->valuestring);
			else
				buf_addf(&path, "[%d]", (int)step->valuedouble);
		}
		text_printf(stderr, "  %s: %s\n", path.len ? buf_str(&path) : "input",
			    json_str_or(issue, "message", "?"));
	}
}

/* Takes --agent HOST (before or after the command) out of the way of finding the command. */
static int find_and_run(int argc, char **argv, struct perry_err **err)
{
	struct args a;
	int used;
	while (argc > 0 && (strcmp(argv[0], "--agent") == 0 || str_starts(argv[0], "--agent="))) {
		const char *eq = strchr(argv[0], '=');
		if (!eq && argc < 2)
			return perry_fail(err, PERRY_EUSAGE, "--agent needs HOST");
		client_agent = eq ? eq + 1 : argv[1];
		argc -= eq ? 1 : 2;
		argv += eq ? 1 : 2;
	}
	if (argc == 0) {
		help_all();
		return 0;
	}
	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
		help_all();
		return 0;
	}
	if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-v") == 0)
		argv[0] = xstrdup("version");
	const struct command *c = command_find(argc, argv, &used);
	if (!c)
		return unknown(argc, argv, err);
	int rc = args_parse(c, argc - used, argv + used, &a, err);
	/* cp's are looked at there: a name of this machine may be any bytes. */
	if (rc == 0 && strcmp(c->name, "cp") != 0)
		rc = args_check_text(c, argc - used, argv + used, err);
	if (rc == 0 && args_has(&a, "help")) {
		help_command(c);
	} else if (rc == 0) {
		if (args_str(&a, "agent"))
			client_agent = args_str(&a, "agent");
		rc = c->run ? c->run(&a, err) : full_run(c->name, &a, err);
		cleanup_free char *name = rc < 0 ? next_subject(c, &a) : NULL;
		if (rc < 0 && err)
			next_add(*err, name);
	}
	args_free(&a);
	return rc;
}

int cli_main(int argc, char **argv)
{
	cleanup_err struct perry_err *err = NULL;
	full_argv = argv;
	signal(SIGPIPE, SIG_IGN);
	out_begin();
	int rc = find_and_run(argc - 1, argv + 1, &err);
	/* What was asked for has to get out; a command's own failure is the better news. */
	if (rc >= 0 && out_flush(rc ? NULL : &err) < 0 && rc == 0)
		rc = -1;
	if (rc >= 0)
		return rc;
	if (out_unread())
		return 128 + SIGPIPE;
	if (!err)
		return 1;
	cli_print_error(err);
	return perry_code_row(err->code)->exit_status;
}
