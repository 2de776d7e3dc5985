/* Our server's /health beside a bare libmicrohttpd (epoll, two threads, one prepared answer), in one run with the same
 * client. Prints requests per second of both and their ratio; exits 1 when ours makes less than half. http_bench
 * [seconds a round, default 2] */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/server.h"

#define CONNECTIONS 16
#define ROUNDS      3

static const char body[] = "{\"status\":\"ok\",\"version\":\"0.4.0\"}";
static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

static void handle(void *ctx, struct server_req *r)
{
	if (strcmp(req_path(r), "/health") == 0 && req_header(r, "Host"))
		reply_static(r, 200, "application/json", body, sizeof body - 1, NULL);
	else
		reply_text(r, 404, "text/plain", "");
}

static enum MHD_Result bare(void *cls, struct MHD_Connection *c, const char *url, const char *method,
			    const char *version, const char *data, size_t *n, void **ctx)
{
	static int seen;
	if (!*ctx) {
		*ctx = &seen;
		return MHD_YES;
	}
	struct MHD_Response *r =
		MHD_create_response_from_buffer(sizeof body - 1, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
	MHD_add_response_header(r, "Content-Type", "application/json");
	enum MHD_Result rc = MHD_queue_response(c, 200, r);
	MHD_destroy_response(r);
	return rc;
}

static int dial(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
		perror("connect");
		exit(2);
	}
	return fd;
}

/* Answers a second, one request at a time on each connection. An answer is whole when its body is. */
static double measure(uint16_t port, int ms)
{
	int ep = epoll_create1(0), fds[CONNECTIONS];
	for (int i = 0; i < CONNECTIONS; i++) {
		fds[i] = dial(port);
		struct epoll_event ev = { .events = EPOLLIN, .data.fd = fds[i] };
		epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &ev);
		if (send(fds[i], request, sizeof request - 1, 0) < 0)
			exit(2);
	}
	long done = 0;
	int64_t begun = clock_mono_us(), end = begun + ms * 1000LL, now = begun;
	while (now < end) {
		struct epoll_event ev[CONNECTIONS];
		int n = epoll_wait(ep, ev, CONNECTIONS, 100);
		for (int i = 0; i < n; i++) {
			char in[2048];
			ssize_t r = recv(ev[i].data.fd, in, sizeof in - 1, 0);
			if (r <= 0) {
				fprintf(stderr, "the server closed a connection\n");
				exit(2);
			}
			in[r] = '\0';
			if (!strstr(in, body))
				continue; /* the head alone: the rest comes */
			done++;
			if (send(ev[i].data.fd, request, sizeof request - 1, 0) < 0)
				exit(2);
		}
		now = clock_mono_us();
	}
	for (int i = 0; i < CONNECTIONS; i++)
		close(fds[i]);
	close(ep);
	return (double)done * 1e6 / (double)(now - begun);
}

int main(int argc, char **argv)
{
	int ms = (argc > 1 ? atoi(argv[1]) : 2) * 1000, fd = -1;
	uint16_t ours_port = 0;
	struct server *s = NULL;
	struct perry_err *err = NULL;
	if (server_new(&s, &(struct server_limits){ .threads = 2 }, handle, NULL, &err) < 0 ||
	    listen_tcp("127.0.0.1", 0, &fd, &ours_port, &err) < 0 || server_listen(s, fd, 0, &err) < 0 ||
	    server_start(s, &err) < 0) {
		fprintf(stderr, "%s\n", perry_msg(err));
		return 2;
	}
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct MHD_Daemon *d =
		MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, bare, NULL, MHD_OPTION_THREAD_POOL_SIZE,
				 2u, MHD_OPTION_SOCK_ADDR, &any, MHD_OPTION_END);
	const union MHD_DaemonInfo *info = d ? MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT) : NULL;
	if (!info) {
		fprintf(stderr, "cannot start libmicrohttpd\n");
		return 2;
	}
	uint16_t bare_port = info->port;
	double ours = 0, theirs = 0;
	measure(ours_port, 200);
	measure(bare_port, 200);
	for (int i = 0; i < ROUNDS; i++) { /* in turns: the machine's mood changes */
		double a = measure(ours_port, ms), b = measure(bare_port, ms);
		printf("round %d: ours %.0f/s, bare %.0f/s\n", i + 1, a, b);
		ours += a / ROUNDS;
		theirs += b / ROUNDS;
	}
	printf("ours %.0f req/s, bare libmicrohttpd %.0f req/s, ratio %.2f (target 0.50)\n", ours, theirs,
	       ours / theirs);
	MHD_stop_daemon(d);
	server_stop(s, 1000);
	return ours / theirs < 0.5;
}
