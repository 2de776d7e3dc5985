#include "cli/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "net/ws.h"

enum { OPEN = 1, OPENED, STDIN, STDOUT, STDERR, END, RESIZE, EXIT, FAILED, WINDOW, SIGNAL, CLOSE };
enum { CHANNEL = 1, WINDOW_SIZE = 256 << 10, PIECE = 64 << 10, HEAD = 5, OPEN_MAX_BYTES = 4 << 20 };
enum { SILENCE_MS = 5000 }; /* of the agent after a signal, until it is left alone */

/* Output that waits for its descriptor. */
struct queue {
	int fd;
	struct buf bytes;
	size_t at; /* written of them */
};

struct pump {
	struct ws *ws;
	struct conn conn;
	const struct stream_ends *ends;
	long credit;     /* bytes of input we may still send */
	size_t consumed; /* bytes of output to grant back */
	bool opened, in_ended;
	char last;                                            /* byte of input */
	enum { ESCAPE_LINE, ESCAPE_NO, ESCAPE_BEGUN } escape; /* at the beginning of a line; after its ~ */
	bool over;                                            /* the channel is; what is queued goes out yet */
	bool left;                                            /* nor does that matter any more */
	int code;
	struct queue out[2];
	unsigned pings;   /* sent */
	int64_t asked_at; /* the oldest that was not answered */
	int asked_by;     /* the signal that it was sent with */
	uint64_t written; /* of all output, and at the last signal */
	uint64_t written_then;
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
	client_is_usage(p->err);
	p->over = true;
}

/* The user is gone: the agent ends what runs, however it takes a signal. */
static void leave(struct pump *p, int sig)
{
	if (!p->over)
		message(p, CLOSE, NULL, 0);
	p->code = 128 + sig;
	p->over = p->left = true;
}

static void give_up(struct pump *p)
{
	message(p, CLOSE, NULL, 0);
	p->over = p->left = true;
}

static void grant(struct pump *p, size_t n)
{
	p->consumed += n;
	if (p->consumed >= WINDOW_SIZE / 4) {
		uint32_t bytes = htonl((uint32_t)p->consumed);
		message(p, WINDOW, &bytes, 4);
		p->consumed = 0;
	}
}

static size_t queued(const struct queue *q)
{
	return q->bytes.len - q->at;
}

/* Some of what is queued. A descriptor that is ready may still not take all at once, and we must not wait in write(2):
 * signals are ours to read. */
static void write_some(struct pump *p, struct queue *q)
{
	struct stat st;
	const char *bytes = q->bytes.data + q->at;
	size_t n = queued(q);
	ssize_t k = send(q->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (k < 0 && errno == ENOTSOCK) {
		bool file = fstat(q->fd, &st) == 0 && S_ISREG(st.st_mode);
		k = write(q->fd, bytes, file || n < PIPE_BUF ? n : PIPE_BUF);
	}
	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (k < 0) {
		if (errno == EPIPE || errno == ECONNRESET) { /* a reader that has read enough is no news */
			leave(p, SIGPIPE);
			return;
		}
		char text[128];
		perry_fail(&p->err, PERRY_EINTERNAL, "cannot write the output: %s",
			   strerror_r(errno, text, sizeof text));
		give_up(p);
		return;
	}
	q->at += (size_t)k;
	p->written += (uint64_t)k;
	if (!queued(q))
		q->bytes.len = q->at = 0;
	else if (q->at >= WINDOW_SIZE)
		buf_consume(&q->bytes, q->at), q->at = 0;
	grant(p, (size_t)k);
}

static void take_output(struct pump *p, int fd, const char *bytes, size_t n)
{
	struct queue *q = &p->out[fd - 1];
	if (q->fd > 0) {
		buf_add(&q->bytes, bytes, n); /* at most a window */
		if (queued(q) > 2 * WINDOW_SIZE)
			perry_fail(&p->err, PERRY_EINTERNAL, "the agent sends more than it may"), give_up(p);
	} else if (p->ends->output(p->ends->ctx, fd, bytes, n) != 0) {
		give_up(p);
	} else {
		grant(p, n);
	}
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
		take_output(p, bytes[0] == STDERR ? 2 : 1, body, len);
		break;
	case WINDOW:
		if (len == 4) {
			uint32_t more;
			memcpy(&more, body, 4);
			p->credit += ntohl(more);
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

/* Enter ~ . leaves a session as it leaves ssh. What is typed is passed on without what was meant for us. */
static size_t escape_filter(struct pump *p, char *bytes, size_t n, size_t max)
{
	char in[PIECE];
	size_t k = 0;
	memcpy(in, bytes, n);
	for (size_t i = 0; i < n && k + 1 < max; i++) {
		char c = in[i];
		if (p->escape == ESCAPE_BEGUN && c == '.') {
			*p->ends->detached = p->over = p->left = true;
			message(p, CLOSE, NULL, 0);
			return 0;
		}
		if (p->escape == ESCAPE_LINE && c == '~') {
			p->escape = ESCAPE_BEGUN;
			continue;
		}
		if (p->escape == ESCAPE_BEGUN && c != '~')
			bytes[k++] = '~';
		bytes[k++] = c;
		p->escape = c == '\r' || c == '\n' ? ESCAPE_LINE : ESCAPE_NO;
	}
	return k;
}

/* Moves one piece of input, when there is credit for it. */
static void move_input(struct pump *p)
{
	char bytes[PIECE];
	size_t room = p->credit < PIECE ? (size_t)p->credit : PIECE;
	if (p->ends->detached && room > 1)
		room--; /* for a ~ that was kept back */
	ssize_t n = p->ends->fill ? p->ends->fill(p->ends->ctx, bytes, room) : read(p->ends->in_fd, bytes, room);
	if (n < 0 && !p->ends->fill && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0 && p->ends->detached)
		n = (ssize_t)escape_filter(p, bytes, (size_t)n, sizeof bytes);
	if (p->left || (n == 0 && p->escape == ESCAPE_BEGUN))
		return;
	if (n > 0) {
		message(p, STDIN, bytes, (size_t)n);
		p->credit -= n;
		p->last = bytes[n - 1];
		if (p->ends->got_input)
			*p->ends->got_input = true;
		return;
	}
	p->in_ended = true;
	if (n < 0 && !p->ends->fill && errno != EIO) { /* that is a terminal that is gone */
		char text[128];
		perry_fail(&p->err, PERRY_EINTERNAL, "cannot read the input: %s", strerror_r(errno, text, sizeof text));
	}
	if (n < 0 && (p->ends->fill || p->err)) {
		give_up(p);
	} else if (p->ends->tty && p->ends->typed) {
		/* The first one ends a line that was begun, and the input when there is none. */
		message(p, STDIN, "\4\4", p->last && p->last != '\n' ? 2 : 1);
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
	int sig = (int)s.ssi_signo;
	if (sig == SIGWINCH) {
		if (p->ends->tty)
			send_size(p);
		return;
	}
	/* A shell on a terminal ignores TERM; a command that has ended takes no signal, nor does an agent that has not
	 * even answered since the last one. What has ended is not told while its output finds no reader. */
	bool silent = p->pings != ws_pongs(p->ws),
	     stuck = p->pings && p->written == p->written_then && (queued(&p->out[0]) || queued(&p->out[1]));
	if (sig == SIGHUP || (sig == SIGTERM && p->ends->tty) || !p->ends->command || p->over || silent || stuck) {
		leave(p, sig);
		return;
	}
	cJSON *j = cJSON_CreateObject();
	json_set_str(j, "signal", sig == SIGTERM ? "TERM" : "INT");
	message_json(p, SIGNAL, j);
	if (ws_ping(p->ws) == 0) {
		p->pings++;
		p->asked_at = clock_mono_ms();
		p->asked_by = sig;
		p->written_then = p->written;
	}
}

/* How long poll may wait: until a signal's answer is overdue. */
static int patience(struct pump *p)
{
	if (p->pings == ws_pongs(p->ws))
		return -1;
	int64_t left = p->asked_at + SILENCE_MS - clock_mono_ms();
	if (left > 0)
		return (int)left;
	fprintf(stderr, "perry: the agent is silent\n");
	leave(p, p->asked_by);
	return 0;
}

static int loop(struct pump *p, int sigfd, struct perry_err **err)
{
	bool gone = false; /* the connection */
	while (!p->left && !(p->over && !queued(&p->out[0]) && !queued(&p->out[1]))) {
		bool has_in = !p->over && !p->in_ended && p->opened && p->credit > 0;
		bool no_in = !p->ends->fill && p->ends->in_fd < 0;
		if (has_in && no_in) {
			p->in_ended = true;
			if (!p->ends->tty) /* a terminal that nobody types at is none that is gone */
				message(p, END, NULL, 0);
			has_in = false;
		}
		bool polled = has_in && !p->ends->fill;
		struct pollfd fds[5] = {
			{ .fd = gone ? -1 : ws_fd(p->ws),
			  .events = (short)(POLLIN | (ws_wants_write(p->ws) ? POLLOUT : 0)) },
			{ .fd = sigfd, .events = POLLIN },
			{ .fd = polled ? p->ends->in_fd : -1, .events = POLLIN },
			{ .fd = queued(&p->out[0]) ? p->out[0].fd : -1, .events = POLLOUT },
			{ .fd = queued(&p->out[1]) ? p->out[1].fd : -1, .events = POLLOUT },
		};
		/* A function as input is always ready; a long queue goes out first. */
		bool eager = has_in && p->ends->fill && ws_backlog(p->ws) < WINDOW_SIZE;
		bool more = !gone && ws_read_more(p->ws);
		int wait = p->over ? -1 : patience(p);
		if (p->left)
			break;
		if (poll(fds, 5, eager || more ? 0 : wait) < 0) {
			if (errno == EINTR)
				continue;
			return perry_fail_errno(err, errno, "poll");
		}
		if (fds[1].revents)
			on_signal(p, sigfd);
		for (int i = 0; i < 2 && !p->left; i++)
			if (fds[3 + i].revents)
				write_some(p, &p->out[i]);
		if (!p->over && (eager || (polled && fds[2].revents)))
			move_input(p);
		if (gone)
			continue;
		if ((more || fds[0].revents & (POLLIN | POLLHUP | POLLERR)) && ws_on_readable(p->ws) < 0)
			gone = true;
		if (!gone && ws_wants_write(p->ws) && ws_on_writable(p->ws) < 0)
			gone = true;
		if (gone && !p->over) { /* what came before goes out */
			perry_fail(&p->err, PERRY_EUNAVAILABLE, "the agent went away");
			p->over = true;
		}
	}
	return 0;
}

void stream_signals(sigset_t *set)
{
	for (const int *sig = (const int[]){ SIGINT, SIGTERM, SIGHUP, 0 }; *sig; sig++) {
		struct sigaction now;
		if (sigaction(*sig, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(set, *sig);
	}
}

static int check_open(const cJSON *open, struct perry_err **err)
{
	cleanup_free char *text = json_print(open);
	size_t n = strlen(text);
	return n <= OPEN_MAX_BYTES ? 0
				   : perry_fail(err, PERRY_EUSAGE,
						"the command is too long: %zu bytes, and %d are the most; "
						"give it its data on standard input",
						n, OPEN_MAX_BYTES);
}

int stream_run(const struct client *c, cJSON *take_open, const struct stream_ends *ends, int *code,
	       struct perry_err **err)
{
	struct pump p = { .conn.fd = -1, .ends = ends, .credit = WINDOW_SIZE };
	p.out[0].fd = ends->out_fd;
	p.out[1].fd = ends->err_fd;
	struct ws_io io = { io_read, io_write, &p };
	sigset_t set, old;
	int rc = -1;
	if (check_open(take_open, err) < 0 || handshake(c, &p, err) < 0) {
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
	stream_signals(&set);
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
	buf_free(&p.out[0].bytes);
	buf_free(&p.out[1].bytes);
	return rc;
}
