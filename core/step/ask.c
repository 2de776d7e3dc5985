/* ask: do these servers answer to their names on the tailnet? One GET for each pair of PORT and NAME, with that Host.
 * Standard output: "PORT SERVER" for each that refused as a development server does which was not told its name; SERVER
 * is a word of ours. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "step/step.h"

#define ANSWER_MAX  16384
#define PIECE       4096
#define READ_SECS   3
#define ALL_SECS    8 /* of one server */
#define PAIRS_MAX   32
#define NEXT_SCRIPT "/_next/static/chunks/perry"

/* The answer to a GET, as much of it as counts; its status, or 0. */
static int get(long port, const char *path, const char *name, struct buf *answer)
{
	int status = 0, fd = server_dial((in_port_t)port);
	const struct timeval limit = { .tv_sec = READ_SECS };
	if (fd < 0)
		return 0;
	char *head = xasprintf("GET %s HTTP/1.1\r\nHost: %s:%ld\r\nOrigin: http://%s:%ld\r\nAccept: text/html\r\n"
			       "User-Agent: perry\r\nConnection: close\r\n\r\n",
			       path, name, port, name, port);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (!fd_write_all(fd, head, strlen(head))) {
		ssize_t n;
		while (answer->len < ANSWER_MAX && (n = read(fd, buf_reserve(answer, PIECE), PIECE)) > 0)
			answer->len += (size_t)n;
	}
	free(head);
	close(fd);
	if (sscanf(buf_str(answer), "HTTP/1.%*1[01] %3d", &status) != 1)
		return 0;
	return status;
}

static bool has(const struct buf *b, const char *text)
{
	return b->len && memmem(b->data, b->len, text, strlen(text));
}

/* How the servers themselves say it. */
static const struct {
	int status;
	const char *text, *server;
} refusals[] = {
	{ 403, "Blocked request. This host (", "vite" }, /* and what is built on it */
	{ 403, "Invalid Host header", "webpack" },
	{ 200, "\r\n\r\nInvalid Host header", "webpack" }, /* before 5 */
	{ 403, "Blocked host", "rails" },
	{ 400, "DisallowedHost", "django" },
	{ 400, "<h1>Bad Request (400)</h1>", "django" }, /* without DEBUG */
};

static const char *refused_by(int status, const struct buf *answer)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (status == refusals[i].status && has(answer, refusals[i].text))
			return refusals[i].server;
	return NULL;
}

static void ask(long port, const char *name)
{
	struct buf answer = { 0 }, script = { 0 };
	const char *server = refused_by(get(port, "/", name, &answer), &answer);
	/* It gives its page to everybody, and its scripts not. */
	if (!server && has(&answer, "X-Powered-By: Next.js") && get(port, NEXT_SCRIPT, name, &script) == 403)
		server = "next";
	if (server)
		printf("%ld %s\n", port, server);
	fflush(stdout);
}

int cmd_ask(int argc, char **argv)
{
	if (argc < 3 || argc % 2 == 0 || argc > 1 + 2 * PAIRS_MAX)
		die(EXIT_USAGE, "ask needs pairs of a port and a name");
	for (int i = 1; i < argc; i += 2) {
		char *end;
		long port = strtol(argv[i], &end, 10);
		if (port < 1 || port > 65535 || *end || !*argv[i + 1] ||
		    argv[i + 1]
			[strspn(argv[i + 1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")])
			die(EXIT_USAGE, "%s %s is no port and name", argv[i], argv[i + 1]);
		pid_t pid = fork();
		if (pid == 0) {
			alarm(ALL_SECS);
			ask(port, argv[i + 1]);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
