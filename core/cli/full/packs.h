/* The team's packs of hooks: taken into use, updated, left. */
#ifndef PERRY_CLI_FULL_PACKS_H
#define PERRY_CLI_FULL_PACKS_H
#include "cli/command.h"

command_fn hooks_packs; /* hooks list --packs */
command_fn hooks_add;
command_fn hooks_update;
command_fn hooks_outdated;
command_fn hooks_remove;
command_fn hooks_pack_hash;

/* The newest files of a pack, by its address or the name it was added under, in a temporary folder: the caller removes
 * and frees *dir, also after an error. */
int packs_newest(const char *what, char **dir, struct perry_err **err);

#endif
