/* What went wrong in an operation and did not end it. */
#ifndef PERRY_CLI_WARNINGS_H
#define PERRY_CLI_WARNINGS_H
#include "base/json.h"

/* One "perry: warning: NAME: ..." each on standard error, what mends it in a line of its own. name and warnings may be
 * NULL. Texts come from inside workspaces: nothing in them moves the cursor. */
void warnings_print(const char *name, const cJSON *warnings);

#endif
