/* One agent per folder, and who holds a port: so that a refusal can name the other program. */
#ifndef PERRY_AGENT_LOCK_H
#define PERRY_AGENT_LOCK_H
#include <stdint.h>

#include "base/err.h"

int lock_take(const char *dir, int *fd, struct perry_err **err); /* PERRY_ECONFLICT names the holder */
int lock_note(int fd, uint16_t port, struct perry_err **err);
/* Who listens on the port at this address or at all: "node (pid 123)", "a program of the user eve", or NULL. Caller
 * frees. */
char *port_holder(const char *addr, uint16_t port);

#endif
