/* proxy: ports of this machine that lead to servers in a workspace, through the agent: wherever that runs, whatever
 * they are bound to. Each connection is a channel of its own, in a process of its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/ports.h"
#include "cli/stream.h"
#include "cli/text.h"

enum { MAX_PORTS = 64, MAX_CONNECTIONS = 120 /* an agent takes 256 */, BACKLOG = 64 };

struct forward {
	int host, container;
	bool any; /* another port here will do when host is taken */
	int fd;
};
struct proxy {
	struct forward f[MAX_PORTS];
	int n, connections;
	sigset_t old; /* the signals as they were */
};

static int add(struct proxy *p, int host, int container, bool any, struct perry_err **err)
{
	if (p->n == MAX_PORTS)
		return perry_fail(err, PERRY_EUSAGE, "proxy: at most %d ports", MAX_PORTS);
	p->f[p->n++] = (struct forward){ host, container, any, -1 };
	return 0;
}

static int choose(struct proxy *p, const struct args *a, const cJSON *ports, struct perry_err **err)
{
	const cJSON *j;
	for (int i = 1; i < a->nwords; i++) {
		int host, container;
		if (forward_parse(a->words[i], &host, &container, err) < 0 || add(p, host, container, false, err) < 0)
			return -1;
	}
	if (p->n)
		return 0;
	cJSON_ArrayForEach(j, cJSON_GetObjectItemCaseSensitive(ports, "forwards"))
		if (add(p, (int)json_int_or(j, "host", 0), (int)json_int_or(j, "container", 0), false, err) < 0)
			return -1;
	if (p->n)
		return 0;
	cJSON_ArrayForEach(j, cJSON_GetObjectItemCaseSensitive(ports, "listeners"))
		if (json_bool_or(j, "announce", false) && p->n < MAX_PORTS)
			add(p, (int)json_int_or(j, "port", 0), (int)json_int_or(j, "port", 0), true, NULL);
	if (!p->n)
		return perry_fail(err, PERRY_EUSAGE,
				  "proxy: nothing listens in %s, and no forwards are configured: which ports?\n  perry "
				  "proxy %s 3000 8080:80",
				  a->words[0], a->words[0]);
	return 0;
}

static int listen_on(struct forward *f, const char *workspace, struct perry_err **err)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons((uint16_t)f->host),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof addr;
	int one = 1;
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (f->fd < 0)
		return perry_fail_errno(err, errno, "socket");
	setsockopt(f->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	int rc = bind(f->fd, (struct sockaddr *)&addr, sizeof addr);
	if (rc < 0 && f->any) {
		addr.sin_port = 0;
		rc = bind(f->fd, (struct sockaddr *)&addr, sizeof addr);
	}
	if (rc < 0 && errno == EADDRINUSE)
		return perry_fail(err, PERRY_ECONFLICT,
				  "127.0.0.1:%d is taken; choose another port here: perry proxy %s %d:%d", f->host,
				  workspace, f->host < 55536 ? f->host + 10000 : f->host - 10000, f->container);
	if (rc < 0 || listen(f->fd, BACKLOG) < 0 || getsockname(f->fd, (struct sockaddr *)&addr, &n) < 0)
		return perry_fail_errno(err, errno, "127.0.0.1:%d", f->host);
	f->host = ntohs(addr.sin_port);
	printf("127.0.0.1:%d -> %s:%d\n", f->host, workspace, f->container);
	return 0;
}

/* --- one connection --- */

struct peer {
	struct buf said; /* of the helper's complaints */
};

static int on_complaint(void *ctx, int fd, const char *bytes, size_t n)
{
	struct peer *p = ctx;
	if (p->said.len < 1000)
		buf_add(&p->said, bytes, n < 1000 ? n : 1000);
	return 0;
}

static int serve(const struct client *c, const char *workspace, const struct forward *f, int fd)
{
	struct peer peer = { 0 };
	struct stream_ends ends = { .in_fd = fd, .out_fd = fd, .output = on_complaint, .ctx = &peer };
	cleanup_err struct perry_err *err = NULL;
	cJSON *open = cJSON_CreateObject();
	int code = 0;
	signal(SIGPIPE, SIG_IGN);
	json_set_str(open, "kind", "forward");
	json_set_str(open, "name", workspace);
	json_set_int(open, "port", f->container);
	int rc = stream_run(c, open, &ends, &code, &err);
	cleanup_free char *said = printable(str_trim(peer.said.len ? peer.said.data : (char[1]){ 0 }));
	if (rc < 0)
		text_printf(stderr, "perry: %s:%d: %s\n", workspace, f->container, perry_msg(err));
	else if (code > 0 && code < 128)
		text_printf(stderr, "perry: %s:%d: %s\n", workspace, f->container,
			    str_starts(said, "perry-step: ") ? said + 12 : said);
	/* Unread bytes would turn the end into a reset that takes what was sent with it. */
	shutdown(fd, SHUT_WR);
	buf_free(&peer.said);
	return rc < 0 || code;
}

static void take(struct proxy *p, const struct client *c, const char *workspace, const struct forward *f)
{
	cleanup_fd int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC);
	pid_t parent = getpid(), pid = fd < 0 ? -1 : fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGHUP);
		if (getppid() != parent)
			_exit(1);
		for (int i = 0; i < p->n; i++)
			close(p->f[i].fd);
		sigprocmask(SIG_SETMASK, &p->old, NULL);
		_exit(serve(c, workspace, f, fd));
	}
	p->connections += pid > 0;
}

static int loop(struct proxy *p, const struct client *c, const char *workspace, int sigfd)
{
	for (;;) {
		struct pollfd fds[MAX_PORTS + 1] = { { .fd = sigfd, .events = POLLIN } };
		struct signalfd_siginfo s;
		for (int i = 0; i < p->n; i++)
			fds[i + 1] = (struct pollfd){ .fd = p->connections < MAX_CONNECTIONS ? p->f[i].fd : -1,
						      .events = POLLIN };
		if (poll(fds, (nfds_t)p->n + 1, -1) < 0)
			continue;
		if (fds[0].revents && read(sigfd, &s, sizeof s) == sizeof s && s.ssi_signo != SIGCHLD)
			return 128 + (int)s.ssi_signo;
		while (p->connections && waitpid(-1, NULL, WNOHANG) > 0)
			p->connections--;
		for (int i = 0; i < p->n; i++)
			if (fds[i + 1].revents)
				take(p, c, workspace, &p->f[i]);
	}
}

int cmd_proxy(const struct args *a, struct perry_err **err)
{
	cleanup_client struct client *c = NULL;
	cleanup_json cJSON *ports = NULL;
	struct proxy p = { .n = 0 };
	sigset_t set;
	if (client_open(&c, err) < 0 || ports_of(c, a->words[0], &ports, err) < 0)
		return -1;
	if (!json_bool_or(ports, "running", false))
		return perry_fail(err, PERRY_ESTATE, "Workspace is not running");
	if (choose(&p, a, ports, err) < 0)
		return -1;
	for (int i = 0; i < p.n; i++)
		if (listen_on(&p.f[i], a->words[0], err) < 0)
			return -1;
	if (out_flush(err) < 0)
		return -1;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	stream_signals(&set);
	sigprocmask(SIG_BLOCK, &set, &p.old);
	cleanup_fd int sigfd = signalfd(-1, &set, SFD_CLOEXEC);
	/* The connections end with us: see take. */
	return loop(&p, c, a->words[0], sigfd);
}
