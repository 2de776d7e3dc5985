/* GET /rpc/terminal/<name>: the terminal that existing clients speak. Nothing runs until the first resize; what is
 * typed before it is kept. */
#include "agent/stream/terminal.h"

#include <stdio.h>
#include <string.h>

#include "agent/stream/conn.h"
#include "agent/stream/exec.h"
#include "agent/stream/host.h"
#include "base/json.h"
#include "base/mem.h"

#define EARLY_MAX STREAM_PIECE
#define OUT_MAX   STREAM_WINDOW /* queued to the client */
#define IN_MAX    STREAM_WINDOW /* typed or pasted, and not taken by the shell */

struct terminal {
	struct stream_conn *c;
	char *name;
	struct stream_source *src;
	struct buf early;
	size_t waiting; /* input the source has not passed on */
};

static void on_opened(void *owner)
{
}

static size_t room(void *owner)
{
	struct terminal *t = owner;
	size_t queued = ws_backlog(t->c->ws);
	return queued < OUT_MAX ? OUT_MAX - queued : 0;
}

static void on_output(void *owner, int fd, const char *bytes, size_t n)
{
	struct terminal *t = owner;
	stream_conn_send(t->c, bytes, n);
}

static void on_consumed(void *owner, size_t n)
{
	struct terminal *t = owner;
	t->waiting -= n < t->waiting ? n : t->waiting;
	if (t->waiting < IN_MAX / 2)
		t->c->paused = false;
}

static void on_ended(void *owner, int code, const struct perry_err *err)
{
	struct terminal *t = owner;
	char text[64];
	t->src = NULL;
	snprintf(text, sizeof text, "Process exited with code %d", code);
	if (!err)
		stream_conn_close(t->c, 1000, text);
	else if (err->status >= 4000)
		stream_conn_close(t->c, (uint16_t)err->status, perry_msg(err));
	else if (err->code == PERRY_EFORBIDDEN || err->code == PERRY_EPOLICY)
		stream_conn_close(t->c, 1008, perry_msg(err));
	else
		stream_conn_close(t->c, 1011, err->code == PERRY_ESTATE ? perry_msg(err) : "Failed to start terminal");
}

static const struct stream_sink sink = { on_opened, room, on_output, on_consumed, on_ended };

static bool is_resize(const char *bytes, size_t n, int *cols, int *rows)
{
	int64_t c = 0, r = 0;
	if (!n || bytes[0] != '{')
		return false;
	cleanup_json cJSON *j = json_parse(bytes, n, "message", NULL);
	if (!j || !str_eq(json_str(j, "type"), "resize") || !cJSON_IsNumber(json_at(j, "cols")) ||
	    !cJSON_IsNumber(json_at(j, "rows")))
		return false;
	c = json_int_or(j, "cols", 0);
	r = json_int_or(j, "rows", 0);
	*cols = (int)(c < 1 ? 1 : c > 10000 ? 10000 : c);
	*rows = (int)(r < 1 ? 1 : r > 10000 ? 10000 : r);
	return true;
}

static void give_input(struct terminal *t, const char *bytes, size_t n)
{
	t->waiting += n;
	if (t->waiting > IN_MAX)
		t->c->paused = true;
	t->src->input(t->src, bytes, n);
}

static void on_message(void *ctx, bool binary, const char *bytes, size_t n)
{
	struct stream_conn *c = ctx;
	struct terminal *t = c->data;
	int cols, rows;
	bool resize = is_resize(bytes, n, &cols, &rows);
	if (resize && t->src) {
		t->src->resize(t->src, cols, rows);
	} else if (resize) {
		struct stream_exec x = { .workspace = t->name,
					 .kind = "terminal",
					 .tty = true,
					 .cols = cols,
					 .rows = rows,
					 .term = "xterm-256color" };
		t->src = strcmp(t->name, STREAM_HOST) == 0 ? stream_host_new(c->s, cols, rows, c->caller, &sink, t)
							   : stream_exec_new(c->s, &x, c->caller, &sink, t);
		if (t->early.len)
			give_input(t, t->early.data, t->early.len);
		buf_free(&t->early);
		t->early = (struct buf){ 0 };
	} else if (t->src) {
		give_input(t, bytes, n);
	} else if (t->early.len + n > EARLY_MAX) {
		stream_conn_close(c, 1009, "too much input before the first resize");
	} else {
		buf_add(&t->early, bytes, n);
	}
}

static void on_drained(struct stream_conn *c)
{
	struct terminal *t = c->data;
	if (t->src && ws_backlog(c->ws) < OUT_MAX / 2)
		t->src->kick(t->src);
}

static void on_workspace_closed(struct stream_conn *c, const char *workspace, uint16_t code, const char *reason)
{
	struct terminal *t = c->data;
	if (strcmp(t->name, workspace) != 0)
		return;
	stream_conn_close(c, code, reason);
	if (t->src)
		stream_source_orphan(t->src);
	t->src = NULL;
}

static void on_gone(struct stream_conn *c)
{
	struct terminal *t = c->data;
	if (t->src)
		stream_source_orphan(t->src);
	atomic_fetch_sub(&c->s->terminals, 1);
	buf_free(&t->early);
	free(t->name);
	free(t);
}

static void attach(struct stream_conn *c, const char *name)
{
	struct terminal *t = xcalloc(1, sizeof *t);
	t->c = c;
	t->name = xstrdup(name);
	c->data = t;
	c->message = on_message;
	c->drained = on_drained;
	c->workspace_closed = on_workspace_closed;
	c->gone = on_gone;
	atomic_fetch_add(&c->s->terminals, 1);
}

void streams_take_terminal(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller,
			   const char *name)
{
	stream_conn_take(s, take_fd, early, n, caller, attach, name);
}
