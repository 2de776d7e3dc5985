/* What to do about an error that the agent has in words of the API, which know no command line. */
#ifndef PERRY_CLI_NEXT_H
#define PERRY_CLI_NEXT_H
#include "cli/command.h"

/* The workspace that a command is about, or NULL; caller frees. */
char *next_subject(const struct command *c, const struct args *a);
/* Adds to e what is next, unless it says so already. name: the workspace it is about, or NULL. May ask the agent. */
void next_add(struct perry_err *e, const char *name);
/* The same with names (NULL at the end), the workspaces that there are, instead of asking. */
void next_add_of(struct perry_err *e, const char *name, const char *const *names);

#endif
