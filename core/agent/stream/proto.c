/* The channels of docs/streams.md, the agent's side. */
#include "agent/stream/proto.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stream/conn.h"
#include "agent/stream/exec.h"
#include "agent/stream/feed.h"
#include "agent/stream/host.h"
#include "agent/stream/session.h"
#include "base/json.h"
#include "base/mem.h"

enum {
	MSG_OPEN = 1,
	MSG_OPENED,
	MSG_STDIN,
	MSG_STDOUT,
	MSG_STDERR,
	MSG_EOF,
	MSG_RESIZE,
	MSG_EXIT,
	MSG_ERROR,
	MSG_WINDOW,
	MSG_SIGNAL,
	MSG_CLOSE,
};
#define HEAD  5
#define GRANT (STREAM_WINDOW / 4) /* granted together: fewer messages */

struct chan {
	struct chan *next;
	struct stream_conn *c;
	uint32_t id;
	struct stream_source *src;
	int64_t credit;  /* output we may send */
	int64_t allowed; /* input the client may send */
	size_t consumed; /* of it, not granted yet */
	bool eof, tty;
};
struct proto {
	struct chan *chans;
	int n;
};

static void send_message(struct stream_conn *c, uint32_t id, int type, const char *bytes, size_t n)
{
	char head[HEAD] = { (char)type, (char)(id >> 24), (char)(id >> 16), (char)(id >> 8), (char)id };
	cleanup_buf struct buf m = { 0 };
	buf_reserve(&m, n + HEAD);
	buf_add(&m, head, HEAD);
	buf_add(&m, bytes, n);
	stream_conn_send(c, m.data, m.len);
}

static void send_json(struct stream_conn *c, uint32_t id, int type, cJSON *take)
{
	cleanup_json cJSON *j = take;
	cleanup_free char *text = json_print(j);
	send_message(c, id, type, text, strlen(text));
}

static void send_error(struct stream_conn *c, uint32_t id, const struct perry_err *err)
{
	const struct perry_code_row *row = perry_code_row(err->code);
	cJSON *j = cJSON_CreateObject();
	json_set_str(j, "code", row->api_code);
	json_set_int(j, "status", row->http_status);
	json_set_str(j, "message", perry_msg(err));
	if (err->data)
		json_set(j, "data", cJSON_Duplicate(err->data, 1));
	send_json(c, id, MSG_ERROR, j);
}

static void chan_free(struct chan *ch)
{
	struct proto *p = ch->c->data;
	struct chan **at = &p->chans;
	while (*at != ch)
		at = &(*at)->next;
	*at = ch->next;
	p->n--;
	if (ch->tty)
		atomic_fetch_sub(&ch->c->s->terminals, 1);
	free(ch);
}

/* --- what the source tells --- */

static void on_opened(void *owner, const cJSON *details)
{
	struct chan *ch = owner;
	cleanup_free char *text = details ? json_print(details) : xstrdup("{}");
	send_message(ch->c, ch->id, MSG_OPENED, text, strlen(text));
}

static void on_resized(void *owner, int cols, int rows)
{
	struct chan *ch = owner;
	cJSON *j = cJSON_CreateObject();
	json_set_int(j, "cols", cols);
	json_set_int(j, "rows", rows);
	send_json(ch->c, ch->id, MSG_RESIZE, j);
}

static size_t room(void *owner)
{
	struct chan *ch = owner;
	if (ch->credit <= 0 || ws_backlog(ch->c->ws) >= STREAM_BACKLOG)
		return 0;
	return ch->credit < STREAM_WINDOW ? (size_t)ch->credit : STREAM_WINDOW;
}

static void on_output(void *owner, int fd, const char *bytes, size_t n)
{
	struct chan *ch = owner;
	ch->credit -= (int64_t)n;
	while (n) {
		size_t k = n < STREAM_PIECE ? n : STREAM_PIECE;
		send_message(ch->c, ch->id, fd == 2 ? MSG_STDERR : MSG_STDOUT, bytes, k);
		bytes += k;
		n -= k;
	}
}

static void on_consumed(void *owner, size_t n)
{
	struct chan *ch = owner;
	ch->consumed += n;
	if (ch->consumed >= GRANT) {
		uint32_t grant = htonl((uint32_t)ch->consumed);
		ch->allowed += (int64_t)ch->consumed;
		ch->consumed = 0;
		send_message(ch->c, ch->id, MSG_WINDOW, (char *)&grant, 4);
	}
}

static void on_ended(void *owner, int code, const struct perry_err *err)
{
	struct chan *ch = owner;
	if (err) {
		send_error(ch->c, ch->id, err);
	} else {
		cJSON *j = cJSON_CreateObject();
		json_set_int(j, "code", code);
		send_json(ch->c, ch->id, MSG_EXIT, j);
	}
	chan_free(ch);
}

static const struct stream_sink sink = { on_opened, room, on_output, on_consumed, on_ended, on_resized };

/* --- OPEN --- */

static bool plain_name(const char *s, size_t max, const char *more)
{
	size_t n = strlen(s);
	if (!n || n > max || *s == '-')
		return false;
	for (; *s; s++)
		if (!isascii((unsigned char)*s) || (!isalnum((unsigned char)*s) && !strchr(more, *s)))
			return false;
	return true;
}

/* The members that whatever runs has in common, borrowed but for the array of words, which is the caller's. */
static int read_exec(const cJSON *o, struct stream_exec *x, char ***take_words, struct perry_err **err)
{
	int64_t cols = 80, rows = 24;
	if (json_get_bool(o, "OPEN", "tty", &x->tty, err) < 0 ||
	    json_get_int(o, "OPEN", "cols", 1, 10000, &cols, err) < 0 ||
	    json_get_int(o, "OPEN", "rows", 1, 10000, &rows, err) < 0 ||
	    json_get_str(o, "OPEN", "user", &x->user, err) < 0 || json_get_str(o, "OPEN", "cwd", &x->cwd, err) < 0 ||
	    json_get_str(o, "OPEN", "term", &x->term, err) < 0)
		return -1;
	if (x->user && !plain_name(x->user, 64, "._-"))
		return perry_fail(err, PERRY_EINPUT, "OPEN: user: not a user name");
	if (!plain_name(x->term, 64, "._-+"))
		return perry_fail(err, PERRY_EINPUT, "OPEN: term: not a terminal type");
	if (x->cwd && !*x->cwd)
		x->cwd = NULL;
	x->cols = (int)cols;
	x->rows = (int)rows;
	const cJSON *command = json_at(o, "command"), *word;
	int n = 0;
	if (command && !cJSON_IsArray(command))
		return perry_fail(err, PERRY_EINPUT, "OPEN: command: expected array, got %s", json_type_name(command));
	char **argv = *take_words = xcalloc((size_t)cJSON_GetArraySize(command) + 1, sizeof *argv);
	cJSON_ArrayForEach(word, command) {
		if (!cJSON_IsString(word))
			return perry_fail(err, PERRY_EINPUT, "OPEN: command[%d]: expected string, got %s", n,
					  json_type_name(word));
		argv[n++] = word->valuestring;
	}
	if (n && !*argv[0])
		return perry_fail(err, PERRY_EINPUT, "OPEN: command: the program's name is empty");
	x->command = n ? argv : NULL;
	return 0;
}

static int open_exec(struct chan *ch, const cJSON *o, const char *name, struct perry_err **err)
{
	struct stream_exec x = { .workspace = name, .kind = "exec", .term = "xterm-256color" };
	cleanup_free char **words = NULL;
	if (read_exec(o, &x, &words, err) < 0)
		return -1;
	bool n = x.command;
	if (!n && !x.tty)
		return perry_fail(err, PERRY_EINPUT, "OPEN: command: which one? (only a terminal can do without)");
	if (strcmp(name, STREAM_HOST) == 0) {
		if (n || !x.tty)
			return perry_fail(err, PERRY_EINPUT, "only a terminal can be opened on %s", STREAM_HOST);
		ch->src = stream_host_new(ch->c->s, x.cols, x.rows, ch->c->caller, &sink, ch);
	} else {
		ch->src = stream_exec_new(ch->c->s, &x, ch->c->caller, &sink, ch);
	}
	ch->tty = x.tty;
	if (ch->tty)
		atomic_fetch_add(&ch->c->s->terminals, 1);
	return 0;
}

/* A viewer of a session: of a new one, or of one that is there. */
static int open_session(struct chan *ch, const cJSON *o, const char *name, bool attach, struct perry_err **err)
{
	struct stream_exec x = { .workspace = name, .kind = "terminal", .term = "xterm-256color" };
	struct stream_session v = { .workspace = name };
	cleanup_free char **words = NULL;
	if (strcmp(name, STREAM_HOST) == 0)
		return perry_fail(err, PERRY_EINPUT, "%s has no sessions", STREAM_HOST);
	if (read_exec(o, &x, &words, err) < 0 || json_get_str(o, "OPEN", "session", &v.session, err) < 0 ||
	    json_get_str(o, "OPEN", "title", &v.name, err) < 0 ||
	    json_get_bool(o, "OPEN", "readOnly", &v.read_only, err) < 0)
		return -1;
	if (!attach)
		v.session = NULL;
	else if (!v.session || !plain_name(v.session, 31, "_-"))
		return perry_fail(err, PERRY_EINPUT, "OPEN: session: which one?");
	v.user = x.user;
	v.cwd = x.cwd;
	v.term = x.term;
	v.command = x.command;
	v.cols = x.cols;
	v.rows = x.rows;
	ch->src = stream_session_new(ch->c->s, &v, ch->c->caller, &sink, ch);
	ch->tty = true;
	atomic_fetch_add(&ch->c->s->terminals, 1);
	return 0;
}

/* A connection to a server in the workspace: the helper there connects, so that loopback addresses are reached. */
static int open_forward(struct chan *ch, const cJSON *o, const char *name, struct perry_err **err)
{
	int64_t port = 0;
	if (strcmp(name, STREAM_HOST) == 0)
		return perry_fail(err, PERRY_EINPUT, "%s has no forward", STREAM_HOST);
	if (json_get_int(o, "OPEN", "port", 1, 65535, &port, err) < 0)
		return -1;
	if (!port)
		return perry_fail(err, PERRY_EINPUT, "OPEN: port: which one?");
	const struct stream_exec x = { .workspace = name, .kind = "forward", .port = (int)port };
	ch->src = stream_exec_new(ch->c->s, &x, ch->c->caller, &sink, ch);
	return 0;
}

static int open_feed(struct chan *ch, const cJSON *o, const char *kind, const char *name, struct perry_err **err)
{
	const char *path = NULL, *user = NULL;
	int64_t number = 0;
	bool flag = false;
	if (strcmp(name, STREAM_HOST) == 0)
		return perry_fail(err, PERRY_EINPUT, "%s has no %s", STREAM_HOST, kind);
	if (strcmp(kind, "logs") == 0) {
		if (json_get_int(o, "OPEN", "tail", -1, 10000000, &number, err) < 0 ||
		    json_get_int(o, "OPEN", "since", 0, INT64_MAX / 2, &number, err) < 0 ||
		    json_get_bool(o, "OPEN", "follow", &flag, err) < 0 ||
		    json_get_bool(o, "OPEN", "timestamps", &flag, err) < 0)
			return -1;
	} else {
		if (json_get_str(o, "OPEN", "path", &path, err) < 0 || json_get_str(o, "OPEN", "user", &user, err) < 0)
			return -1;
		if (!path || (path[0] != '/' && !(path[0] == '~' && (!path[1] || path[1] == '/'))))
			return perry_fail(err, PERRY_EINPUT, "OPEN: path: an absolute path is needed, or one below ~");
		if (user && !plain_name(user, 64, "._-"))
			return perry_fail(err, PERRY_EINPUT, "OPEN: user: not a user name");
	}
	ch->src = stream_feed_new(ch->c->s, o, ch->c->caller, &sink, ch);
	return 0;
}

static int open_source(struct chan *ch, const char *bytes, size_t n, struct perry_err **err)
{
	const char *kind = NULL, *name = NULL;
	cleanup_json cJSON *o = json_parse(bytes, n, "OPEN", err);
	if (!o)
		return -1;
	if (!cJSON_IsObject(o))
		return perry_fail(err, PERRY_EINPUT, "OPEN: expected object, got %s", json_type_name(o));
	if (json_get_str(o, "OPEN", "kind", &kind, err) < 0 || json_get_str(o, "OPEN", "name", &name, err) < 0)
		return -1;
	if (!name || (strcmp(name, STREAM_HOST) != 0 && !plain_name(name, 63, "_-.")))
		return perry_fail(err, PERRY_EINPUT, "OPEN: name: not a workspace name");
	if (kind && strcmp(kind, "exec") == 0)
		return open_exec(ch, o, name, err);
	if (kind && (strcmp(kind, "logs") == 0 || strcmp(kind, "copy_in") == 0 || strcmp(kind, "copy_out") == 0 ||
		     strcmp(kind, "look") == 0))
		return open_feed(ch, o, kind, name, err);
	if (kind && strcmp(kind, "forward") == 0)
		return open_forward(ch, o, name, err);
	if (kind && (strcmp(kind, "session") == 0 || strcmp(kind, "attach") == 0))
		return open_session(ch, o, name, *kind == 'a', err);
	return perry_fail(err, PERRY_EINPUT,
			  "OPEN: kind: exec, session, attach, logs, look, copy_in, copy_out or forward");
}

static void open_chan(struct stream_conn *c, uint32_t id, const char *bytes, size_t n)
{
	struct proto *p = c->data;
	cleanup_err struct perry_err *err = NULL;
	if (p->n >= c->s->setup.max_channels) {
		perry_fail(&err, PERRY_EUNAVAILABLE, "too many channels on one connection (%d)", p->n);
		send_error(c, id, err);
		return;
	}
	struct chan *ch = xcalloc(1, sizeof *ch);
	ch->c = c;
	ch->id = id;
	ch->credit = ch->allowed = STREAM_WINDOW;
	ch->next = p->chans;
	p->chans = ch;
	p->n++;
	if (open_source(ch, bytes, n, &err) < 0) {
		send_error(c, id, err);
		chan_free(ch);
	}
}

/* --- the other messages --- */

static void on_resize(struct stream_conn *c, struct chan *ch, const char *bytes, size_t n)
{
	cleanup_json cJSON *j = json_parse(bytes, n, "RESIZE", NULL);
	int64_t cols = 0, rows = 0;
	if (json_get_int(j, "RESIZE", "cols", 1, 10000, &cols, NULL) < 0 ||
	    json_get_int(j, "RESIZE", "rows", 1, 10000, &rows, NULL) < 0 || !cols || !rows)
		stream_conn_close(c, 1002, "malformed RESIZE");
	else if (ch->src->resize)
		ch->src->resize(ch->src, (int)cols, (int)rows);
}

static void on_signal(struct stream_conn *c, struct chan *ch, const char *bytes, size_t n)
{
	cleanup_json cJSON *j = json_parse(bytes, n, "SIGNAL", NULL);
	const char *name = json_str(j, "signal");
	if (!name || !plain_name(name, 16, "+-"))
		stream_conn_close(c, 1002, "malformed SIGNAL");
	else if (ch->src->signal)
		ch->src->signal(ch->src, name);
}

static void on_stdin(struct stream_conn *c, struct chan *ch, const char *bytes, size_t n)
{
	if ((int64_t)n > ch->allowed) {
		stream_conn_close(c, 1002, "window exceeded");
		return;
	}
	ch->allowed -= (int64_t)n;
	if (ch->src->input && !ch->eof)
		ch->src->input(ch->src, bytes, n);
	else
		on_consumed(ch, n);
}

static void on_window(struct stream_conn *c, struct chan *ch, const char *bytes, size_t n)
{
	uint32_t grant = 0;
	if (n == 4)
		memcpy(&grant, bytes, 4);
	ch->credit += ntohl(grant);
	if (n != 4 || ch->credit > INT32_MAX)
		stream_conn_close(c, 1002, "malformed WINDOW");
	else
		ch->src->kick(ch->src);
}

static void on_message(void *ctx, bool binary, const char *bytes, size_t n)
{
	struct stream_conn *c = ctx;
	struct proto *p = c->data;
	uint32_t id = 0;
	if (binary && n >= HEAD)
		memcpy(&id, bytes + 1, 4);
	id = ntohl(id);
	size_t most = binary && n && bytes[0] == MSG_OPEN ? STREAM_OPEN : STREAM_PIECE;
	if (!binary || !id || n > most + HEAD) {
		stream_conn_close(c, 1002,
				  !binary ? "messages are binary"
				  : !id   ? "message without a channel"
					  : "message too large");
		return;
	}
	int type = bytes[0];
	bytes += HEAD;
	n -= HEAD;
	struct chan *ch = p->chans;
	while (ch && ch->id != id)
		ch = ch->next;
	if (type == MSG_OPEN) {
		if (ch)
			stream_conn_close(c, 1002, "channel in use");
		else
			open_chan(c, id, bytes, n);
		return;
	}
	if (type != MSG_STDIN && type != MSG_EOF && type != MSG_RESIZE && type != MSG_WINDOW && type != MSG_SIGNAL &&
	    type != MSG_CLOSE) {
		stream_conn_close(c, 1002, "unknown message type");
		return;
	}
	if (!ch)
		return; /* it ended while this was under way */
	switch (type) {
	case MSG_STDIN:
		on_stdin(c, ch, bytes, n);
		break;
	case MSG_EOF:
		if (!ch->eof && ch->src->eof)
			ch->src->eof(ch->src);
		ch->eof = true;
		break;
	case MSG_RESIZE:
		on_resize(c, ch, bytes, n);
		break;
	case MSG_WINDOW:
		on_window(c, ch, bytes, n);
		break;
	case MSG_SIGNAL:
		on_signal(c, ch, bytes, n);
		break;
	default:
		ch->src->end(ch->src);
	}
}

static void kick_all(struct stream_conn *c)
{
	struct proto *p = c->data;
	if (ws_backlog(c->ws) >= STREAM_BACKLOG / 2)
		return;
	for (struct chan *ch = p->chans, *next; ch; ch = next) {
		next = ch->next;
		ch->src->kick(ch->src); /* may end this channel, no other */
	}
}

static void on_workspace_closed(struct stream_conn *c, const char *workspace, uint16_t code, const char *reason)
{
	struct proto *p = c->data;
	cleanup_err struct perry_err *err = NULL;
	perry_fail(&err, PERRY_ESTATE, "%s", reason);
	for (struct chan *ch = p->chans, *next; ch; ch = next) {
		next = ch->next;
		if (strcmp(ch->src->workspace, workspace) == 0) {
			stream_source_orphan(ch->src);
			send_error(c, ch->id, err);
			chan_free(ch);
		}
	}
}

static void on_gone(struct stream_conn *c)
{
	struct proto *p = c->data;
	while (p->chans) {
		stream_source_orphan(p->chans->src);
		chan_free(p->chans);
	}
	free(p);
}

static void attach(struct stream_conn *c, const char *name)
{
	c->data = xcalloc(1, sizeof(struct proto));
	c->message = on_message;
	c->drained = kick_all;
	c->workspace_closed = on_workspace_closed;
	c->gone = on_gone;
}

void streams_take_perry(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller)
{
	stream_conn_take(s, take_fd, early, n, caller, attach, NULL);
}
