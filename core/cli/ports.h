/* What ports and proxy share. */
#ifndef PERRY_CLI_PORTS_H
#define PERRY_CLI_PORTS_H
#include "cli/client.h"

/* "5173" or "8080:5173": the port here, and the one in the workspace. PERRY_EUSAGE */
int forward_parse(const char *text, int *host, int *container, struct perry_err **err);
int ports_of(const struct client *c, const char *workspace, cJSON **out, struct perry_err **err); /* ports/list */

#endif
