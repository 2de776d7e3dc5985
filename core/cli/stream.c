#include "cli/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "net/ws.h"

enum { OPEN = 1, OPENED, STDIN, STDOUT, STDERR, END, RESIZE, EXIT, FAILED, WINDOW, SIGNAL, CLOSE };
enum { CHANNEL = 1, WINDOW_SIZE = 256 << 10, PIECE = 64 << 10, HEAD = 5 };

struct pump {
	struct ws *ws;
	struct conn conn;
	const struct stream_ends *ends;
	long credit;     /* bytes of input we may still send */
	size_t consumed; /* bytes of output to grant back */
	bool opened, in_ended, over;
	int code;
	struct perry_err *err;
};

static void message(struct pump *p, int type, const void *bytes, size_t n)
{
	cleanup_buf struct buf m = { 0 };
	uint32_t channel = htonl(CHANNEL);
	buf_addc(&m, (char)type);
	buf_add(&m, &channel, 4);
	buf_add(&m, bytes, n);
	ws_send(p->ws, true, m.data, m.len);
}

static void message_json(struct pump *p, int type, cJSON *take)
{
	cleanup_json cJSON *j = take;
	cleanup_free char *text = json_print(j);
	message(p, type, text, strlen(text));
}

static void take_error(struct pump *p, const char *bytes, size_t n)
{
	cleanup_json cJSON *j = json_parse(bytes, n, "the agent's answer", NULL);
	perry_fail(&p->err, perry_code_from_api(json_str(j, "code")), "%s",
		   json_str_or(j, "message", "the agent ended the stream without a reason"));
	p->err->status = (int)json_int_or(j, "status", 0);
	p->err->data = cJSON_Duplicate(json_at(j, "data"), 1);
	p->over = true;
}

static void on_message(void *ctx, bool binary, const char *bytes, size_t n)
{
	struct pump *p = ctx;
	if (!binary || n < HEAD || p->over)
		return;
	const char *body = bytes + HEAD;
	size_t len = n - HEAD;
	switch (bytes[0]) {
	case OPENED:
		p->opened = true;
		break;
	case STDOUT:
	case STDERR:
		if (p->ends->output(p->ends->ctx, bytes[0] == STDERR ? 2 : 1, body, len) != 0) {
			message(p, CLOSE, NULL, 0);
			p->over = true;
		}
		p->consumed += len;
		if (p->consumed >= WINDOW_SIZE / 4) {
			uint32_t grant = htonl((uint32_t)p->consumed);
			message(p, WINDOW, &grant, 4);
			p->consumed = 0;
		}
		break;
	case WINDOW:
		if (len == 4) {
			uint32_t grant;
			memcpy(&grant, body, 4);
			p->credit += ntohl(grant);
		}
		break;
	case EXIT: {
		cleanup_json cJSON *j = json_parse(body, len, "the agent's answer", NULL);
		p->code = (int)json_int_or(j, "code", 1);
		p->over = true;
		break;
	}
	case FAILED:
		take_error(p, body, len);
		break;
	default:
		break;
	}
}

static ssize_t io_read(void *ctx, void *bytes, size_t n)
{
	struct pump *p = ctx;
	ssize_t k = p->conn.read ? p->conn.read(p->conn.ctx, bytes, n) : read(p->conn.fd, bytes, n);
	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return k > 0 ? k : -1;
}

static ssize_t io_write(void *ctx, const void *bytes, size_t n)
{
	struct pump *p = ctx;
	ssize_t k = p->conn.write ? p->conn.write(p->conn.ctx, bytes, n) : send(p->conn.fd, bytes, n, MSG_NOSIGNAL);
	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return k >= 0 ? k : -1;
}

static int handshake(const struct client *c, struct pump *p, struct perry_err **err)
{
	char key[32];
	struct answer a = { 0 };
	cleanup_free char *auth = client_headers(c);
	ws_client_key(key);
	cleanup_free char *headers = xasprintf(
		"%sUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
		"Sec-WebSocket-Protocol: perry.v1\r\n",
		auth, key);
	if (client_connect(c, &p->conn, err) < 0)
		return -1;
	if (wire_send(&p->conn, "GET", "/rpc/stream", client_host_header(c), headers, NULL, 0, &a, err) < 0)
		return -1;
	cleanup_free char *accept = wire_header(&a, "Sec-WebSocket-Accept");
	int status = a.status;
	answer_free(&a);
	if (status == 401)
		return perry_fail(err, PERRY_EUNAUTH,
				  "the agent at %s asks for a token\n  save it here with: perry config token --stdin",
				  c->where);
	if (status != 101 || !accept || !ws_accept_ok(key, accept))
		return perry_fail(err, PERRY_EINTERNAL, "the agent at %s opens no stream (HTTP %d)", c->where, status);
	return 0;
}

static void send_size(struct pump *p)
{
	struct winsize w;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || !w.ws_col)
		return;
	cJSON *j = cJSON_CreateObject();
	json_set_int(j, "cols", w.ws_col);
	json_set_int(j, "rows", w.ws_row);
	message_json(p, RESIZE, j);
}

/* The user is gone: the agent ends what runs, however it takes a signal. */
static void leave(struct pump *p, int sig)
{
	message(p, CLOSE, NULL, 0);
	p->code = 128 + sig;
	p->over = true;
}

/* Moves one piece of input, when there is credit for it. */
static void move_input(struct pump *p)
{
	char bytes[PIECE];
	size_t room = p->credit < PIECE ? (size_t)p->credit : PIECE;
	ssize_t n = p->ends->fill ? p->ends->fill(p->ends->ctx, bytes, room) : read(p->ends->in_fd, bytes, room);
	if (n < 0 && !p->ends->fill && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		message(p, STDIN, bytes, (size_t)n);
		p->credit -= n;
		return;
	}
	p->in_ended = true;
	if (n < 0 && p->ends->fill) {
		message(p, CLOSE, NULL, 0);
		p->over = true;
	} else if (p->ends->tty) {
		leave(p, SIGHUP); /* raw terminals have no end of input: this one is gone */
	} else {
		message(p, END, NULL, 0);
	}
}

static void on_signal(struct pump *p, int sigfd)
{
	struct signalfd_siginfo s;
	if (read(sigfd, &s, sizeof s) != sizeof s)
		return;
	if (s.ssi_signo == SIGWINCH) {
		send_size(p);
		return;
	}
	/* A shell on a terminal ignores TERM. */
	if (s.ssi_signo == SIGHUP || (s.ssi_signo == SIGTERM && p->ends->tty)) {
		leave(p, (int)s.ssi_signo);
		return;
	}
	cJSON *j = cJSON_CreateObject();
	json_set_str(j, "signal", s.ssi_signo == SIGTERM ? "TERM" : "INT");
	message_json(p, SIGNAL, j);
}

static int loop(struct pump *p, int sigfd, struct perry_err **err)
{
	while (!p->over) {
		bool has_in = !p->in_ended && p->opened && p->credit > 0;
		bool no_in = !p->ends->fill && p->ends->in_fd < 0;
		if (has_in && no_in) {
			p->in_ended = true;
			message(p, END, NULL, 0);
			has_in = false;
		}
		bool polled = has_in && !p->ends->fill;
		struct pollfd fds[3] = {
			{ .fd = ws_fd(p->ws), .events = (short)(POLLIN | (ws_wants_write(p->ws) ? POLLOUT : 0)) },
			{ .fd = sigfd, .events = POLLIN },
			{ .fd = polled ? p->ends->in_fd : -1, .events = POLLIN },
		};
		/* A function as input is always ready; a long queue goes out first. */
		bool eager = has_in && p->ends->fill && ws_backlog(p->ws) < WINDOW_SIZE;
		bool more = ws_read_more(p->ws);
		if (poll(fds, 3, eager || more ? 0 : -1) < 0 && errno != EINTR)
			return perry_fail_errno(err, errno, "poll");
		if (fds[1].revents)
			on_signal(p, sigfd);
		if (eager || (polled && fds[2].revents))
			move_input(p);
		if ((more || fds[0].revents & (POLLIN | POLLHUP | POLLERR)) && ws_on_readable(p->ws) < 0 && !p->over)
			return perry_fail(err, PERRY_EUNAVAILABLE, "the agent went away");
		if (ws_wants_write(p->ws) && ws_on_writable(p->ws) < 0 && !p->over)
			return perry_fail(err, PERRY_EUNAVAILABLE, "the agent went away");
	}
	return 0;
}

int stream_run(const struct client *c, cJSON *take_open, const struct stream_ends *ends, int *code,
	       struct perry_err **err)
{
	struct pump p = { .conn.fd = -1, .ends = ends, .credit = WINDOW_SIZE };
	struct ws_io io = { io_read, io_write, &p };
	sigset_t set, old;
	int rc = -1;
	if (handshake(c, &p, err) < 0) {
		cJSON_Delete(take_open);
		conn_close(&p.conn);
		return -1;
	}
	if (p.conn.nonblock)
		p.conn.nonblock(p.conn.ctx, true);
	else
		fd_set_nonblock(p.conn.fd, 1);
	/* The descriptor stays the connection's (TLS closes more than it). */
	p.ws = ws_new(dup(p.conn.fd), false, PIECE + HEAD, &io, on_message, &p);
	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &old);
	cleanup_fd int sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	message_json(&p, OPEN, take_open);
	if (p.conn.in.len)
		ws_feed_early(p.ws, p.conn.in.data, p.conn.in.len);
	rc = loop(&p, sigfd, err);
	if (rc == 0 && p.err)
		rc = perry_move(err, take_ptr(p.err));
	perry_err_free(p.err);
	*code = p.code;
	sigprocmask(SIG_SETMASK, &old, NULL);
	ws_free(p.ws);
	conn_close(&p.conn);
	return rc;
}

int stream_to_stdio(void *ctx, int fd, const char *bytes, size_t n)
{
	return fd_write_all(fd == 2 ? STDERR_FILENO : STDOUT_FILENO, bytes, n);
}
