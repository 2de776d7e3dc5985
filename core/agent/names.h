/* Names of workspaces. */
#ifndef PERRY_AGENT_NAMES_H
#define PERRY_AGENT_NAMES_H
#include <stdbool.h>

#define NAME_HOST "@host" /* the reserved name that means this machine */

/* NULL when name is a workspace's name (1 to 63 of a-z, 0-9 and -, no - at the ends) or, with host_too, NAME_HOST; else
 * what is wrong with it, static. */
const char *name_problem(const char *name, bool host_too);

#endif
