/* What a change of policy would change for the workspaces that exist. */
#ifndef PERRY_CLI_FULL_PREVIEW_H
#define PERRY_CLI_FULL_PREVIEW_H
#include "cli/command.h"

command_fn hooks_preview;
/* The answer of hooks/preview, for people. */
void preview_print(const cJSON *out);

#endif
