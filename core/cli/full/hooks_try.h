/* Hooks tried out without an agent. */
#ifndef PERRY_CLI_FULL_HOOKS_TRY_H
#define PERRY_CLI_FULL_HOOKS_TRY_H
#include "cli/command.h"

command_fn hooks_check;
command_fn hooks_run; /* with --workspace the agent answers: it has the facts */
command_fn hooks_test;
/* The user's own hooks. Caller frees. */
char *hooks_dir(void);

#endif
