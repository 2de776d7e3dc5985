/* Help, made from the command table. */
#ifndef PERRY_CLI_CMD_HELP_H
#define PERRY_CLI_CMD_HELP_H
#include "cli/command.h"

void help_command(const struct command *c);
void help_all(void);
/* Lists the commands of a group ("hooks"); how many there are. */
int help_group(const char *name);

#endif
