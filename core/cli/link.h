/* Links that sign a browser in once, within two minutes. */
#ifndef PERRY_CLI_LINK_H
#define PERRY_CLI_LINK_H
#include <stdbool.h>

#include "base/err.h"

/* A new one of the agent in use, the caller's. elsewhere: under an address that other devices reach; PERRY_ESTATE where
 * there is none. */
int link_make(bool elsewhere, char **url, struct perry_err **err);

#endif
