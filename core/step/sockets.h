/* TCP sockets of this network namespace. The kernel is asked over netlink for those in the wanted states alone: reading
 * /proc/net/tcp makes it print its whole table of connections each time (milliseconds), so that is for kernels that
 * cannot be asked. */
#ifndef PERRY_STEP_SOCKETS_H
#define PERRY_STEP_SOCKETS_H
#include <stdbool.h>
#include <stddef.h>

enum { TCP_IS_ESTABLISHED = 1, TCP_IS_LISTENING = 10 }; /* as in linux/tcp_states.h */

struct tcp_socket {
	unsigned char addr[16], peer[16]; /* 4 bytes of them unless v6, network order */
	bool v6;
	unsigned char state;
	unsigned short port, peer_port;
	unsigned long long inode;
};
struct sockets {
	int netlink; /* -1: not to be had */
	unsigned seq;
};
void sockets_open(struct sockets *s);
void sockets_close(struct sockets *s);
/* Those in one of the states (1 << TCP_IS_...), in no order. The caller frees *out. */
size_t sockets_look(struct sockets *s, unsigned states, struct tcp_socket **out);

/* The inode of the socket that an entry of /proc/PID/fd is; false: it is none. */
bool socket_of(int fd_folder, const char *entry, unsigned long long *inode);

#endif
