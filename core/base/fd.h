/* Descriptors, for whoever wants errno and no error of ours. */
#ifndef PERRY_BASE_FD_H
#define PERRY_BASE_FD_H
#include <stddef.h>

int fd_set_nonblock(int fd, int on); /* 0, or -1 with errno */
/* Writes all of it, waiting where the descriptor does not; -1 with errno. */
int fd_write_all(int fd, const void *data, size_t n);

#endif
