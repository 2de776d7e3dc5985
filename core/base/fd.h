/* Descriptors, for whoever wants errno and no error of ours. */
#ifndef PERRY_BASE_FD_H
#define PERRY_BASE_FD_H
#include <stdbool.h>
#include <stddef.h>

int fd_set_nonblock(int fd, int on); /* 0, or -1 with errno */
/* A TCP connection whose other side's machine does not answer for a minute is over: a cut network says nothing by
 * itself. Other sockets stay as they are. hurry: also when it has not taken what was sent for so long, be its program
 * stopped or the network cut; else that takes a quarter of an hour, and only the network counts. */
void fd_watch_peer(int fd, bool hurry);
/* Writes all of it, waiting where the descriptor does not; -1 with errno. */
int fd_write_all(int fd, const void *data, size_t n);

#endif
