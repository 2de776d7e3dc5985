/* Files of variables (perry start --env-file): lines KEY=VALUE, perhaps after "export ". Blank lines and those that
 * begin with # are skipped; quotes around a value are taken off, and a value in quotes may have several lines. */
#ifndef PERRY_CLI_ENV_FILE_H
#define PERRY_CLI_ENV_FILE_H
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"

/* name: of the file, for errors ("NAME:LINE: ..."). */
int env_file_parse(const char *name, const char *text, size_t n, cJSON *into, struct perry_err **err);

#endif
