/* The zygote: a process forked before the agent has read, opened or started anything; every session is a confined fork
 * of it. */
#ifndef PERRY_POLICY_ZYGOTE_H
#define PERRY_POLICY_ZYGOTE_H
#include <sys/types.h>

#include "base/err.h"

struct zygote {
	int fd; /* our end of the socket; -1 when there is none */
	pid_t pid;
};

/* Forks it. The caller has one thread. */
int zygote_fork(struct zygote *z, struct perry_err **err);
/* Makes a new one after the first was lost, when threads and secrets exist: executes our own binary anew, so that it
 * starts clean. */
int zygote_respawn(struct zygote *z, struct perry_err **err);
/* The main of a process started by zygote_respawn; returns when argv does not say so. */
void zygote_main_if_asked(int argc, char **argv);
/* Asks for a child that speaks on the other end of *sock; *status is our end of the socket over which the zygote tells
 * the child's wait status (four bytes) and at whose closing it ends the child. PERRY_EUNAVAILABLE when the zygote is
 * gone. */
int zygote_child(const struct zygote *z, int *sock, int *status, struct perry_err **err);
/* Ends it and its children, reaps it. */
void zygote_end(struct zygote *z);

#endif
