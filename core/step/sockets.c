#include "step/sockets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "step/step.h"

#define NETLINK_SOCK_DIAG   4
#define SOCK_DIAG_BY_FAMILY 20
#define DONE                3     /* NLMSG_DONE */
#define ERROR               2     /* NLMSG_ERROR */
#define REQUEST             0x301 /* NLM_F_REQUEST | NLM_F_DUMP */

/* linux/netlink.h and linux/inet_diag.h, which a static libc need not bring. */
struct message {
	unsigned len;
	unsigned short type, flags;
	unsigned seq, port;
};
struct question {
	struct message head;
	unsigned char family, protocol, extensions, pad;
	unsigned states, id[12];
};
struct answer {
	unsigned char family, state, timer, retransmits;
	unsigned short port, peer_port;
	unsigned char addr[16], peer[16];
	unsigned device, cookie[2], expires, rqueue, wqueue, uid, inode;
};

struct list {
	struct tcp_socket *v;
	size_t n, cap;
	unsigned states;
};

void sockets_open(struct sockets *s)
{
	*s = (struct sockets){ .netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG) };
	struct timeval wait = { .tv_sec = 1 };
	if (s->netlink >= 0)
		setsockopt(s->netlink, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
}

void sockets_close(struct sockets *s)
{
	if (s->netlink >= 0)
		close(s->netlink);
	s->netlink = -1;
}

static void add(struct list *l, const struct tcp_socket *s)
{
	if (!(l->states & 1u << s->state))
		return;
	if (l->n == l->cap)
		l->v = xrealloc(l->v, (l->cap = l->cap ? 2 * l->cap : 16) * sizeof *l->v);
	l->v[l->n++] = *s;
}

/* --- netlink --- */

/* 1: more is to come, 0: that was all, -1: the kernel refuses. */
static int take_answers(const char *bytes, size_t n, unsigned seq, struct list *l)
{
	struct message m;
	for (size_t at = 0; n - at >= sizeof m; at += (m.len + 3u) & ~3u) {
		struct answer a;
		memcpy(&m, bytes + at, sizeof m);
		if (m.len < sizeof m || m.len > n - at)
			return -1;
		if (m.seq != seq)
			continue; /* of a question that was given up */
		if (m.type == DONE || m.type == ERROR)
			return m.type == DONE ? 0 : -1;
		if (m.len < sizeof m + sizeof a)
			continue;
		memcpy(&a, bytes + at + sizeof m, sizeof a);
		struct tcp_socket s = { .v6 = a.family == AF_INET6,
					.state = a.state,
					.port = ntohs(a.port),
					.peer_port = ntohs(a.peer_port),
					.inode = a.inode };
		memcpy(s.addr, a.addr, s.v6 ? 16 : 4);
		memcpy(s.peer, a.peer, s.v6 ? 16 : 4);
		add(l, &s);
	}
	return 1;
}

static int ask_kernel(struct sockets *s, int family, struct list *l)
{
	char bytes[16384];
	struct question q = { .head = { sizeof q, SOCK_DIAG_BY_FAMILY, REQUEST, ++s->seq, 0 },
			      .family = (unsigned char)family,
			      .protocol = IPPROTO_TCP,
			      .states = l->states };
	if (s->netlink < 0 || send(s->netlink, &q, sizeof q, 0) != (ssize_t)sizeof q)
		return -1;
	for (;;) {
		ssize_t n = recv(s->netlink, bytes, sizeof bytes, 0);
		int more = n > 0 ? take_answers(bytes, (size_t)n, s->seq, l) : -1;
		if (more <= 0)
			return more;
	}
}

/* --- /proc/net/tcp --- */

/* "0100007F:1F90": each four bytes as the machine has them in a word. */
static bool read_address(const char *s, unsigned char addr[16], unsigned short *port, bool *v6)
{
	size_t n = strcspn(s, ":");
	if (s[n] != ':' || (n != 8 && n != 32))
		return false;
	*v6 = n == 32;
	for (size_t i = 0; i < n / 8; i++) {
		char word[9] = { 0 };
		memcpy(word, s + 8 * i, 8);
		unsigned value = (unsigned)strtoul(word, NULL, 16);
		memcpy(addr + 4 * i, &value, 4);
	}
	*port = (unsigned short)strtoul(s + n + 1, NULL, 16);
	return true;
}

/* "  sl  local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ...". */
static void read_line(const char *line, struct list *l)
{
	struct tcp_socket s = { 0 };
	char local[48], peer[48];
	unsigned state;
	if (sscanf(line, " %*d: %47s %47s %x %*s %*s %*s %*u %*u %llu", local, peer, &state, &s.inode) == 4 &&
	    state < 32 && read_address(local, s.addr, &s.port, &s.v6) &&
	    read_address(peer, s.peer, &s.peer_port, &s.v6)) {
		s.state = (unsigned char)state;
		add(l, &s);
	}
}

static void read_table(const char *path, struct list *l)
{
	char *table = read_file(path, NULL);
	for (char *line = table, *end; line && *line && (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		read_line(line, l);
	}
	free(table);
}

size_t sockets_look(struct sockets *s, unsigned states, struct tcp_socket **out)
{
	struct list l = { .states = states };
	if (ask_kernel(s, AF_INET, &l) < 0 || ask_kernel(s, AF_INET6, &l) < 0) {
		l.n = 0;
		read_table("/proc/net/tcp", &l);
		read_table("/proc/net/tcp6", &l);
	}
	*out = l.v;
	return l.n;
}

bool socket_of(int fd_folder, const char *entry, unsigned long long *inode)
{
	char target[64];
	ssize_t n = readlinkat(fd_folder, entry, target, sizeof target - 1);
	if (n <= 0)
		return false;
	target[n] = 0;
	return sscanf(target, "socket:[%llu]", inode) == 1;
}
