/* Who listens. Only a socket that was not there before is worth the search for its process. */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/quote.h"
#include "step/step.h"
#include "step/watch.h"

#define RESOLVER 0x7f00000b /* 127.0.0.11: the engine's own, which no process of the workspace is */

void ports_open(struct ports *p)
{
	*p = (struct ports){ 0 };
	sockets_open(&p->sockets);
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
		unsigned long long inode;
		if (!socket_of(dirfd(d), e->d_name, &inode))
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

/* Without CAP_SYS_PTRACE, which containers lack, a process shows its descriptors to its own user alone: files are
 * looked at as that user. */
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
	for (size_t i = 0; i < f->n; i++) {
		struct listener *l = &f->v[i];
		l->looked_up = true;
		l->tailscaled = !strcmp(l->name, "tailscaled") && !listener_is_loopback(l);
	}
}

bool ports_look(struct ports *p)
{
	struct found f = { 0 };
	struct tcp_socket *all;
	size_t n = sockets_look(&p->sockets, 1u << TCP_IS_LISTENING, &all);
	for (size_t i = 0; i < n; i++) {
		struct listener l = { .v6 = all[i].v6, .port = all[i].port, .inode = all[i].inode };
		memcpy(l.addr, all[i].addr, sizeof l.addr);
		add(&f, &l);
	}
	free(all);
	if (f.n) /* of none there is no array, which qsort may not be given */
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

void ports_print(const struct ports *p, struct buf *out)
{
	size_t told = 0, more = 0;
	buf_adds(out, "{\"ports\":[");
	for (size_t i = 0; i < p->n; i++) {
		const struct listener *l = &p->v[i];
		char addr[INET6_ADDRSTRLEN] = "";
		if (l->tailscaled)
			continue;
		if (told == WATCH_PORTS) {
			more++;
			continue;
		}
		inet_ntop(l->v6 ? AF_INET6 : AF_INET, l->addr, addr, sizeof addr);
		buf_addf(out, "%s{\"number\":%d,\"address\":\"%s\",\"loopback\":%s", told++ ? "," : "", l->port, addr,
			 listener_is_loopback(l) ? "true" : "false");
		if (l->pid) {
			buf_addf(out, ",\"pid\":%d,\"process\":", (int)l->pid);
			json_quote_str(out, l->name);
		}
		buf_adds(out, "}");
	}
	buf_addf(out, more ? "],\"more\":%zu}\n" : "]}\n", more);
}
