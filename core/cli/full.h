/* What only the executable with everything (perry-agent) can do: the small one becomes it. */
#ifndef PERRY_CLI_FULL_H
#define PERRY_CLI_FULL_H
#include "cli/command.h"

struct full_command {
	const char *name; /* as in the table of commands, or with an option of it: "hooks list --packs" */
	command_fn *run;
};
/* Ends with name NULL. The full executable's main sets it; NULL is the small one. */
extern const struct full_command *full_commands;
extern char **full_argv; /* what the full executable gets as its own; set by cli_main */

/* Runs the command of that name, or becomes the executable that has it. */
int full_run(const char *name, const struct args *a, struct perry_err **err);
/* Returns only when the full executable cannot be found. */
int full_become(struct perry_err **err);

#endif
