/* A hook of one's own: show what answers now, write one, change it. */
#ifndef PERRY_CLI_FULL_HOOKS_WRITE_H
#define PERRY_CLI_FULL_HOOKS_WRITE_H
#include "cli/command.h"

command_fn hooks_show;
command_fn hooks_new;
command_fn hooks_edit;
/* .luarc.json and the types, beside hooks: editors complete with them. */
int hooks_editor_files(const char *dir, struct perry_err **err);

#endif
