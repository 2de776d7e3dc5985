/* TLS to a remote agent, through libcurl. */
#ifndef PERRY_CLI_FULL_TLS_H
#define PERRY_CLI_FULL_TLS_H
#include "cli/wire.h"

/* PERRY_ENOAGENT when the agent cannot be reached. out is conn_close's. */
int tls_connect(const char *host, int port, struct conn *out, struct perry_err **err);

#endif
