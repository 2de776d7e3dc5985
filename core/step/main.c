/* perry-step: argv to command. */
#include "step/step.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "step/tailnet.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
} commands[] = {
	{ "init", cmd_init, "init" },
	{ "exec", cmd_exec, "exec --id ID [--user U] [--cwd DIR] [--login] [--shell SHELL] [-- CMD ARGS...]" },
	{ "run", cmd_run, "run --key KEY [--user U] [--cwd DIR] [--quiet SECONDS] -- CMD ARGS..." },
	{ "kill", cmd_kill, "kill ID [--signal NAME] [--grace SECONDS]" },
	{ "write", cmd_write, "write PATH [--mode 0600] [--owner USER] [--size BYTES]" },
	{ "ready", cmd_ready, "ready" },
	{ "apply", cmd_apply, "apply" },
	{ "join", cmd_join, "join" },
	{ "leave", cmd_leave, "leave [--timeout SECONDS]" },
	{ "look", cmd_look, "look [ADDRESS...]" },
	{ "reach", cmd_reach, "reach [ADDRESS...]" },
	{ "no-link-local", cmd_no_link_local, "no-link-local" },
	{ "watch", cmd_watch, "watch" },
	{ "connect", cmd_connect, "connect PORT" },
	{ "ask", cmd_ask, "ask PORT NAME..." },
	{ "activity", cmd_activity, "activity" },
	{ "channel", cmd_channel, "channel" },
};
#define N_COMMANDS (ARRAY_LEN(commands))

int main(int argc, char **argv)
{
	const char *base = argc > 0 ? strrchr(argv[0], '/') : NULL;
	base = base ? base + 1 : argc > 0 ? argv[0] : "";
	if (!strcmp(base, "perry-sh") || !strcmp(base, "-perry-sh"))
		return cmd_shell(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "version")) {
		puts(PERRY_VERSION);
		return 0;
	}
	tailnet_prepare();
	for (size_t i = 0; argc > 1 && i < N_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(stderr, "%s perry-step %s\n", i ? "      " : "usage:", commands[i].usage);
	return EXIT_USAGE;
}
