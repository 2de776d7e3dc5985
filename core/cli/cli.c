#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/paths.h"
#include "base/str.h"
#include "cli/command.h"

const char *cli_agent;
const struct cli_full *cli_full;
static char **whole_argv;

/* How many words of argv are the command's name, 0 when they are not. */
static int name_words(const char *name, int argc, char **argv)
{
	int used = 0;
	for (const char *p = name; *p; used++) {
		size_t n = strcspn(p, " ");
		if (used >= argc || strlen(argv[used]) != n || strncmp(argv[used], p, n) != 0)
			return 0;
		p += n;
		p += *p == ' ';
	}
	return used;
}

const struct command *command_find(int argc, char **argv, int *used)
{
	const struct command *best = NULL;
	*used = 0;
	for (const struct command *c = commands; c->name; c++) {
		int n = name_words(c->name, argc, argv);
		if (!n && c->alias)
			n = name_words(c->alias, argc, argv);
		if (n > *used) {
			best = c;
			*used = n;
		}
	}
	return best;
}

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

int cli_become_full(struct perry_err **err)
{
	static const char *const places[] = { "perry-agent", "../libexec/perry/perry-agent" };
	cleanup_free char *dir = path_self_dir();
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		cleanup_free char *path = path_join(dir, places[i]);
		if (access(path, X_OK) == 0)
			execv(path, whole_argv);
	}
	return perry_fail(err, PERRY_ENOTFOUND,
			  "perry-agent is not installed beside this program (%s)\n  install both with: make install",
			  dir);
}

static void print_error(const struct perry_err *e)
{
	const cJSON *issue;
	fprintf(stderr, "perry: %s\n", perry_msg(e));
	const char *file = json_str(e->data, "file");
	if (file && !strstr(perry_msg(e), file)) {
		int line = (int)json_int_or(e->data, "line", 0);
		if (line)
			fprintf(stderr, "  %s:%d\n", file, line);
		else
			fprintf(stderr, "  %s\n", file);
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
		fprintf(stderr, "  %s: %s\n", path.len ? buf_str(&path) : "input", json_str_or(issue, "message", "?"));
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
		cli_agent = eq ? eq + 1 : argv[1];
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
	if (rc == 0 && args_has(&a, "help")) {
		help_command(c);
	} else if (rc == 0) {
		if (args_str(&a, "agent"))
			cli_agent = args_str(&a, "agent");
		rc = c->full && !cli_full ? cli_become_full(err) : c->run(&a, err);
	}
	args_free(&a);
	return rc;
}

int cli_main(int argc, char **argv)
{
	cleanup_err struct perry_err *err = NULL;
	whole_argv = argv;
	signal(SIGPIPE, SIG_IGN);
	int rc = find_and_run(argc - 1, argv + 1, &err);
	if (fflush(stdout) != 0 && rc >= 0)
		return 1; /* what was asked for did not get out: a full disk, a closed pipe */
	if (rc >= 0)
		return rc;
	if (!err)
		return 1;
	print_error(err);
	return perry_code_row(err->code)->exit_status;
}
