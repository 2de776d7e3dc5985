/* The confined child: one session of hooks. */
#ifndef PERRY_POLICY_CHILD_H
#define PERRY_POLICY_CHILD_H

/* Confines this process and answers on fd until it is closed. */
__attribute__((noreturn)) void child_main(int fd);

#endif
