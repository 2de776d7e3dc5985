/* A pack to start from: it checks, tests itself and has a script for its CI. */
#ifndef PERRY_CLI_FULL_PACK_INIT_H
#define PERRY_CLI_FULL_PACK_INIT_H
#include "cli/command.h"

command_fn hooks_pack_init;

#endif
