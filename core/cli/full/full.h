/* Commands that only the full executable has (full/hooks.c). */
#ifndef PERRY_CLI_FULL_H
#define PERRY_CLI_FULL_H
#include "cli/command.h"

int hooks_show(const struct args *a, struct perry_err **err);
int hooks_new(const struct args *a, struct perry_err **err);
int hooks_edit(const struct args *a, struct perry_err **err);
int hooks_editor_files(const char *dir, struct perry_err **err); /* .luarc.json and the types, beside hooks */
int hooks_packs(const struct args *a, struct perry_err **err);
int hooks_add(const struct args *a, struct perry_err **err);
int hooks_update(const struct args *a, struct perry_err **err);
int hooks_outdated(const struct args *a, struct perry_err **err);
int hooks_remove(const struct args *a, struct perry_err **err);
int hooks_pack_init(const struct args *a, struct perry_err **err);
int hooks_pack_hash(const struct args *a, struct perry_err **err);
int hooks_preview(const struct args *a, struct perry_err **err);
void preview_print(const cJSON *out);
int hooks_check_files(const struct args *a, struct perry_err **err);
int hooks_run_point(const struct args *a, struct perry_err **err);
int hooks_test_dir(const struct args *a, struct perry_err **err);

#endif
