/* What a git checkout says of itself, read from its files. */
#ifndef PERRY_CLI_GIT_H
#define PERRY_CLI_GIT_H
#include "base/err.h"
#include "base/json.h"
#include "cli/command.h"

/* For `perry start` without a name: proposes name, remote and branch of the checkout we are in, asks, and fills *name
 * and in. */
int git_propose(const struct args *a, char **name, cJSON *in, struct perry_err **err);
/* The remote and branch of a checkout; NULLs where there is none. Callers free. 0, or -1 when dir is in no checkout. */
int git_describe(const char *dir, char **top, char **remote, char **branch);

#endif
