/* The policy process as a whole: the zygote, forked before anything is read, and its replacement. */
#ifndef PERRY_POLICY_PROCESS_H
#define PERRY_POLICY_PROCESS_H
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct hook_limits;
struct policy;

/* Forks the zygote. Call first thing in main: before configuration, threads and sockets exist. */
int policy_new(struct policy **out, struct perry_err **err);
void policy_free(struct policy *p);
/* Call before policy_new: a process that replaces a lost zygote is our own binary started anew with a word of its own;
 * there it does not return. */
void policy_main(int argc, char **argv);
pid_t policy_zygote_pid(const struct policy *p);
/* From the next session on, instead of those of the points; NULL: those again. A test of one limit sets the others out
 * of reach. */
void policy_limit(struct policy *p, const struct hook_limits *limits);
/* What was set so, or false. */
bool policy_limited(struct policy *p, struct hook_limits *out);
/* A child of the zygote, which is replaced first when it is gone. */
int policy_child(struct policy *p, int *fd, int *status_fd, struct perry_err **err);

#endif
