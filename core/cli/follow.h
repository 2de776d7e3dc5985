/* Following an operation to its end: each step as it happens, on a terminal. */
#ifndef PERRY_CLI_FOLLOW_H
#define PERRY_CLI_FOLLOW_H
#include "cli/client.h"
#include "cli/command.h"

/* Calls the procedure, follows its operation (unless --no-wait), gives its result and tells its warnings. One line a
 * step on standard error when that is a terminal. Ctrl-C asks whether to detach or to cancel. *out may come back NULL
 * (--no-wait). */
int follow_call(const struct client *c, const struct args *a, const char *proc, const char *workspace,
		cJSON *take_input, cJSON **out, struct perry_err **err);

#endif
