/* Who listens. The kernel is asked over netlink for listening sockets alone: reading /proc/net/tcp makes it walk through its whole table of
 * connections each time (milliseconds), so that is for kernels that cannot be asked. Only a socket that was not there before is worth the search for
 * its process. */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "step/step.h"
#include "step/watch.h"

#define NETLINK_SOCK_DIAG 4
#define SOCK_DIAG_BY_FAMILY 20
#define DONE 3  /* NLMSG_DONE */
#define ERROR 2 /* NLMSG_ERROR */
#define REQUEST 0x301 /* NLM_F_REQUEST | NLM_F_DUMP */
#define LISTEN 10 /* TCP_LISTEN; 0A in /proc/net/tcp */
#define RESOLVER 0x7f00000b /* 127.0.0.11: the engine's own, which no process of the workspace is */

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

void ports_open(struct ports *p)
{
	*p = (struct ports){ .netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG) };
	struct timeval wait = { .tv_sec = 1 };
	if (p->netlink >= 0)
		setsockopt(p->netlink, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
}

bool listener_is_loopback(const struct listener *l)
{
	static const unsigned char one[16] = { [15] = 1 }, mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (!l->v6)
		return l->addr[0] == 127;
	return !memcmp(l->addr, one, 16) || (!memcmp(l->addr, mapped, 12) && l->addr[12] == 127);
}

static bool is_resolver(const struct listener *l)
{
	unsigned addr;
	memcpy(&addr, l->addr, 4);
	return !l->v6 && ntohl(addr) == RESOLVER;
}

struct found {
	struct listener *v;
	size_t n, cap;
};

static void add(struct found *f, const struct listener *l)
{
	if (is_resolver(l) || !l->port)
		return;
	if (f->n == f->cap)
		f->v = xrealloc(f->v, (f->cap = f->cap ? 2 * f->cap : 16) * sizeof *f->v);
	f->v[f->n++] = *l;
}

/* --- netlink --- */

/* 1: more is to come, 0: that was all, -1: the kernel refuses. */
static int take_answers(const char *bytes, size_t n, unsigned seq, struct found *f)
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
		struct listener l = { .v6 = a.family == AF_INET6, .port = ntohs(a.port), .inode = a.inode };
		memcpy(l.addr, a.addr, l.v6 ? 16 : 4);
		if (a.state == LISTEN)
			add(f, &l);
	}
	return 1;
}

static int ask_kernel(struct ports *p, int family, struct found *f)
{
	char bytes[16384];
	struct question q = { .head = { sizeof q, SOCK_DIAG_BY_FAMILY, REQUEST, ++p->seq, 0 },
			      .family = (unsigned char)family, .protocol = IPPROTO_TCP, .states = 1u << LISTEN };
	if (p->netlink < 0 || send(p->netlink, &q, sizeof q, 0) != (ssize_t)sizeof q)
		return -1;
	for (;;) {
		ssize_t n = recv(p->netlink, bytes, sizeof bytes, 0);
		int more = n > 0 ? take_answers(bytes, (size_t)n, p->seq, f) : -1;
		if (more <= 0)
			return more;
	}
}

/* --- /proc/net/tcp --- */

/* "0100007F:1F90": each four bytes as the machine has them in a word. */
static bool read_address(const char *s, struct listener *l)
{
	size_t n = strcspn(s, ":");
	if (s[n] != ':' || (n != 8 && n != 32))
		return false;
	l->v6 = n == 32;
	for (size_t i = 0; i < n / 8; i++) {
		char word[9] = { 0 };
		memcpy(word, s + 8 * i, 8);
		unsigned value = (unsigned)strtoul(word, NULL, 16);
		memcpy(l->addr + 4 * i, &value, 4);
	}
	l->port = (unsigned short)strtoul(s + n + 1, NULL, 16);
	return true;
}

/* "  sl  local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ...". */
static void read_line(const char *line, struct found *f)
{
	struct listener l = { 0 };
	char local[48];
	if (sscanf(line, " %*d: %47s %*s 0A %*s %*s %*s %*u %*u %llu", local, &l.inode) == 2 && read_address(local, &l))
		add(f, &l);
}

static void read_table(const char *path, struct found *f)
{
	char *table = read_file(path, NULL);
	for (char *line = table, *end; line && *line && (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		read_line(line, f);
	}
	free(table);
}

static int by_socket(const void *a, const void *b)
{
	const struct listener *x = a, *y = b;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (x->v6 != y->v6)
		return x->v6 ? 1 : -1;
	int c = memcmp(x->addr, y->addr, sizeof x->addr);
	return c ? c : x->inode < y->inode ? -1 : x->inode > y->inode;
}

/* --- processes --- */

struct search {
	struct found *f;
	size_t left;
};

static void name_process(struct listener *l)
{
	char path[64], exe[512];
	snprintf(path, sizeof path, "/proc/%d/comm", (int)l->pid);
	char *name = read_file(path, NULL);
	if (name)
		snprintf(l->name, sizeof l->name, "%.*s", (int)strcspn(name, "\n"), name);
	free(name);
	/* Some runtimes call their first thread so; what they are says the executable. */
	if (strstr(l->name, "MainThread")) {
		snprintf(path, sizeof path, "/proc/%d/exe", (int)l->pid);
		ssize_t n = readlink(path, exe, sizeof exe - 1);
		if (n > 0) {
			exe[n] = 0;
			const char *base = strrchr(exe, '/');
			snprintf(l->name, sizeof l->name, "%.31s", base ? base + 1 : exe);
		}
	}
}

static void look_into(struct search *s, pid_t pid, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	while (d && s->left && (e = readdir(d))) {
		char target[64];
		unsigned long long inode;
		ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
		if (n <= 0)
			continue;
		target[n] = 0;
		if (sscanf(target, "socket:[%llu]", &inode) != 1)
			continue;
		for (size_t i = 0; i < s->f->n; i++) {
			struct listener *l = &s->f->v[i];
			if (l->inode != inode || l->looked_up || l->pid)
				continue;
			l->pid = pid;
			name_process(l);
			s->left--;
		}
	}
	if (d)
		closedir(d);
}

/* Without CAP_SYS_PTRACE, which containers lack, a process shows its descriptors to its own user alone: files are looked at as that user. */
static void find_processes(struct found *f)
{
	struct search s = { f, 0 };
	for (size_t i = 0; i < f->n; i++)
		s.left += !f->v[i].looked_up;
	DIR *proc = s.left ? opendir("/proc") : NULL;
	struct dirent *e;
	while (proc && s.left && (e = readdir(proc))) {
		char dir[64];
		struct stat st;
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(dir, sizeof dir, "/proc/%.20s", e->d_name);
		if (stat(dir, &st))
			continue;
		setfsgid(st.st_gid);
		setfsuid(st.st_uid);
		strcat(dir, "/fd");
		look_into(&s, atoi(e->d_name), dir);
		setfsuid(geteuid());
		setfsgid(getegid());
	}
	if (proc)
		closedir(proc);
	for (size_t i = 0; i < f->n; i++)
		f->v[i].looked_up = true;
}

bool ports_look(struct ports *p)
{
	struct found f = { 0 };
	if (ask_kernel(p, AF_INET, &f) < 0 || ask_kernel(p, AF_INET6, &f) < 0) {
		f.n = 0;
		read_table("/proc/net/tcp", &f);
		read_table("/proc/net/tcp6", &f);
	}
	qsort(f.v, f.n, sizeof *f.v, by_socket);
	bool changed = f.n != p->n;
	for (size_t i = 0, j = 0; i < f.n; i++) {
		while (j < p->n && by_socket(&p->v[j], &f.v[i]) < 0)
			j++;
		if (j < p->n && by_socket(&p->v[j], &f.v[i]) == 0)
			f.v[i] = p->v[j];
		else
			changed = true;
	}
	if (changed)
		find_processes(&f);
	free(p->v);
	p->v = f.v;
	p->n = f.n;
	return changed;
}

void ports_print(const struct ports *p, struct text *out)
{
	size_t n = p->n < WATCH_PORTS ? p->n : WATCH_PORTS;
	text_addf(out, "{\"ports\":[");
	for (size_t i = 0; i < n; i++) {
		const struct listener *l = &p->v[i];
		char addr[INET6_ADDRSTRLEN] = "";
		inet_ntop(l->v6 ? AF_INET6 : AF_INET, l->addr, addr, sizeof addr);
		text_addf(out, "%s{\"number\":%d,\"address\":\"%s\",\"loopback\":%s", i ? "," : "", l->port, addr, listener_is_loopback(l) ? "true" : "false");
		if (l->pid) {
			text_addf(out, ",\"pid\":%d,\"process\":", (int)l->pid);
			text_quote(out, l->name);
		}
		text_addf(out, "}");
	}
	text_addf(out, p->n > n ? "],\"more\":%zu}\n" : "]}\n", p->n - n);
}
