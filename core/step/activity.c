#include "step/activity.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "step/localapi.h"
#include "step/sockets.h"
#include "step/step.h"

#define CGROUP        "/sys/fs/cgroup"
#define PTS           "/dev/pts"
#define PORTS_MAX     64
#define TAILSCALED_MS 500

/* --- counters --- */

/* The number after the first line that begins with key. */
static bool line_value(const char *text, const char *key, unsigned long long *out)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line != NULL)
		if (!strncmp(line, key, strlen(key)))
			return sscanf(line + strlen(key), " %llu", out) == 1;
	return false;
}

/* Version 2 shows our own group at the root of its mount, and so does the engine with the hierarchies of version 1. */
static void print_cpu(struct buf *out)
{
	unsigned long long n;
	char *v2 = read_file(CGROUP "/cpu.stat", NULL),
	     *v1 = v2 ? NULL : read_file(CGROUP "/cpuacct/cpuacct.usage", NULL);
	if (v2 && line_value(v2, "usage_usec", &n))
		buf_addf(out, ",\"cpuUsec\":%llu", n);
	else if (v1 && sscanf(v1, "%llu", &n) == 1)
		buf_addf(out, ",\"cpuUsec\":%llu", n / 1000);
	free(v2);
	free(v1);
}

/* "8:0 rbytes=1 wbytes=2 rios=..." of each device. */
static unsigned long long sum_io(const char *text)
{
	unsigned long long sum = 0, n;
	for (const char *at = text; (at = strstr(at, "bytes=")); at += 6)
		if (at > text && (at[-1] == 'r' || at[-1] == 'w') && sscanf(at + 6, "%llu", &n) == 1)
			sum += n;
	return sum;
}

static void print_io(struct buf *out)
{
	unsigned long long n;
	char *v2 = read_file(CGROUP "/io.stat", NULL),
	     *v1 = v2 ? NULL : read_file(CGROUP "/blkio/blkio.throttle.io_service_bytes_recursive", NULL);
	if (v2)
		buf_addf(out, ",\"ioBytes\":%llu", sum_io(v2));
	else if (v1 && line_value(v1, "Total", &n))
		buf_addf(out, ",\"ioBytes\":%llu", n);
	free(v2);
	free(v1);
}

/* Between containers inside, bytes pass more than one of these; through eth0 they come and go once. The tailnet's go
 * through it, too, encrypted. */
static bool is_inner(const char *name)
{
	static const char *const inner[] = { "lo", "veth", "docker", "br-", "podman", "cni", "tailscale" };
	for (size_t i = 0; i < ARRAY_LEN(inner); i++)
		if (!strncmp(name, inner[i], strlen(inner[i])))
			return true;
	return false;
}

static void print_network(struct buf *out)
{
	unsigned long long rx = 0, tx = 0;
	char *table = read_file("/proc/net/dev", NULL);
	for (char *line = table, *end; line && *line && (end = strchr(line, '\n')); line = end + 1) {
		unsigned long long r, t;
		char name[32];
		*end = 0;
		if (sscanf(line, " %31[^:]: %llu %*u %*u %*u %*u %*u %*u %*u %llu", name, &r, &t) != 3 ||
		    is_inner(name))
			continue;
		rx += r;
		tx += t;
	}
	if (table)
		buf_addf(out, ",\"netRx\":%llu,\"netTx\":%llu", rx, tx);
	free(table);
}

/* What a loopback server is sent never passes the tailnet's interface, and there may be none: tailscaled itself counts,
 * by path. */
static void print_tailnet(struct buf *out)
{
	static const char counter[] = "\ntailscaled_inbound_bytes_total{";
	struct local_answer a;
	unsigned long long sum = 0, n;
	int found = 0;
	if (local_call("GET", "usermetrics", NULL, NULL, TAILSCALED_MS, &a) == 0) {
		for (const char *at = a.body; a.status == 200 && (at = strstr(at, counter)); at++, found++)
			if (sscanf(at + sizeof counter - 1, "%*[^}]} %llu", &n) == 1)
				sum += n;
		free(a.body);
	}
	if (found)
		buf_addf(out, ",\"tailnetRx\":%llu", sum);
	else
		buf_adds(out, ",\"tailnetUnseen\":true");
}

/* "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens ..." and a line of the values. */
static void print_accepted(struct buf *out)
{
	unsigned long long n;
	char *text = read_file("/proc/net/snmp", NULL), *names = text ? strstr(text, "Tcp:") : NULL,
	     *values = names ? strstr(names + 4, "\nTcp:") : NULL;
	if (values && sscanf(values, " Tcp: %*d %*d %*d %*d %*u %llu", &n) == 1)
		buf_addf(out, ",\"accepted\":%llu", n);
	free(text);
}

/* The kernel touches a terminal's times when it is read and written, to eight seconds. */
static void print_terminals(struct buf *out)
{
	DIR *d = opendir(PTS);
	time_t now = time(NULL), typed = 0, printed = 0;
	for (struct dirent *e; d && (e = readdir(d));) {
		struct stat st;
		if (!isdigit((unsigned char)e->d_name[0]) || fstatat(dirfd(d), e->d_name, &st, 0))
			continue;
		typed = st.st_atime > typed ? st.st_atime : typed;
		printed = st.st_mtime > printed ? st.st_mtime : printed;
	}
	if (d)
		closedir(d);
	if (typed)
		buf_addf(out, ",\"typed\":%lld,\"printed\":%lld", (long long)(now > typed ? now - typed : 0),
			 (long long)(now > printed ? now - printed : 0));
}

/* --- connections --- */

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

/* An IPv4 address as an IPv6 socket has it is written as IPv4. */
static void plain(unsigned char addr[16], bool v6)
{
	if (!v6 || memcmp(addr, mapped, sizeof mapped))
		return;
	memmove(addr, addr + 12, 4);
	memset(addr + 4, 0, 12);
}

static int by_ends(const void *a, const void *b)
{
	const struct tcp_socket *x = a, *y = b;
	int c = (int)x->port - y->port;
	c = c ? c : (int)x->peer_port - y->peer_port;
	c = c ? c : memcmp(x->addr, y->addr, 16);
	return c ? c : memcmp(x->peer, y->peer, 16);
}

static int by_inode(const void *a, const void *b)
{
	const unsigned long long *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static int by_port(const void *a, const void *b)
{
	const struct tcp_socket *x = a, *y = b;
	return (int)x->port - y->port;
}

static void sort(void *v, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	if (n)
		qsort(v, n, size, compare);
}

/* Does the other end of it belong to the workspace? One that tailscaled holds stands for a client on the tailnet. */
static bool is_own(const struct tcp_socket *s, const struct tcp_socket *all, size_t n, const unsigned long long *relays,
		   size_t nrelays)
{
	struct tcp_socket wanted = { .port = s->peer_port, .peer_port = s->port };
	memcpy(wanted.addr, s->peer, 16);
	memcpy(wanted.peer, s->addr, 16);
	const struct tcp_socket *other = bsearch(&wanted, all, n, sizeof *all, by_ends);
	return other && (!nrelays || !bsearch(&other->inode, relays, nrelays, sizeof *relays, by_inode));
}

static void print_connections(struct buf *out)
{
	struct sockets kernel;
	struct tcp_socket *servers, *all = NULL;
	unsigned long long *relays = NULL;
	size_t nports = 0;
	sockets_open(&kernel);
	size_t nservers = sockets_look(&kernel, 1u << TCP_IS_LISTENING, &servers);
	size_t n = nservers ? sockets_look(&kernel, 1u << TCP_IS_ESTABLISHED, &all) : 0;
	sockets_close(&kernel);
	size_t nrelays = n ? activity_sockets_of("tailscaled", &relays) : 0;
	for (size_t i = 0; i < n; i++) {
		plain(all[i].addr, all[i].v6);
		plain(all[i].peer, all[i].v6);
	}
	sort(servers, nservers, sizeof *servers, by_port);
	sort(relays, nrelays, sizeof *relays, by_inode);
	sort(all, n, sizeof *all, by_ends);
	buf_adds(out, ",\"connections\":[");
	/* In the order of ports, by that sort. */
	for (size_t i = 0, count = 0; i < n && nports < PORTS_MAX; i++) {
		if (!bsearch(&all[i], servers, nservers, sizeof *servers, by_port))
			continue;
		count += !is_own(&all[i], all, n, relays, nrelays);
		if (count && (i + 1 == n || all[i + 1].port != all[i].port)) {
			buf_addf(out, "%s{\"port\":%u,\"count\":%zu}", nports++ ? "," : "", all[i].port, count);
			count = 0;
		}
	}
	buf_addc(out, ']');
	free(relays);
	free(servers);
	free(all);
}

/* --- */

void activity_print(struct buf *out)
{
	buf_adds(out, "{\"activity\":{");
	bool tailscaled = activity_processes(out);
	print_cpu(out);
	print_io(out);
	print_network(out);
	if (tailscaled)
		print_tailnet(out);
	print_accepted(out);
	print_terminals(out);
	print_connections(out);
	buf_adds(out, "}}\n");
}

int cmd_activity(int argc, char **argv)
{
	struct buf line = { 0 };
	if (argc > 1)
		die(EXIT_USAGE, "activity takes no arguments");
	activity_print(&line);
	return fd_write_all(1, line.data, line.len) ? EXIT_STEP : 0;
}
