/* The policy process as a whole: the zygote, forked before anything is read, and its replacement. */
#ifndef PERRY_POLICY_PROCESS_H
#define PERRY_POLICY_PROCESS_H
#include <sys/types.h>

#include "base/err.h"

struct policy;

/* Forks the zygote. Call first thing in main: before configuration, threads and sockets exist. */
int policy_new(struct policy **out, struct perry_err **err);
void policy_free(struct policy *p);
/* Call before policy_new: a process that replaces a lost zygote is our own binary started anew with a word of its own;
 * there it does not return. */
void policy_main(int argc, char **argv);
pid_t policy_zygote_pid(const struct policy *p);
/* A child of the zygote, which is replaced first when it is gone. */
int policy_child(struct policy *p, int *fd, int *status_fd, struct perry_err **err);

#endif
