/* GET /rpc/terminal/<name>: the terminal that existing clients speak. Nothing runs until it is known who asks, and
 * until the first resize; what is typed before that is kept. */
#include "agent/stream/terminal.h"

#include <stdio.h>
#include <string.h>

#include "agent/stream/conn.h"
#include "agent/stream/exec.h"
#include "agent/stream/host.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/str.h"

#define EARLY_MAX STREAM_PIECE
#define OUT_MAX   STREAM_WINDOW /* queued to the client */
#define IN_MAX    STREAM_WINDOW /* typed or pasted, and not taken by the shell */

#define AUTH_FAILED 4001

struct check;

struct terminal {
	struct stream_conn *c;
	char *name, *peer;   /* peer: of a stranger, else NULL */
	struct check *check; /* of his token, while it is under way */
	struct stream_source *src;
	int cols, rows; /* as asked for last; 0: not yet */
	struct buf early;
	size_t waiting; /* input the source has not passed on */
};

/* A stranger's token is looked at on a thread that may wait. */
struct check {
	struct streams *s;
	struct terminal *t; /* NULL: it is gone */
	char *token;
	cJSON *caller;
	struct perry_err *err;
};

static void on_opened(void *owner, const cJSON *details)
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
		stream_conn_close(t->c, 1011,
				  err->code == PERRY_ESTATE || err->code == PERRY_ENOTFOUND
					  ? perry_msg(err)
					  : "Failed to start terminal");
}

static const struct stream_sink sink = { on_opened, room, on_output, on_consumed, on_ended, NULL };

/* What a message is: input, unless it says otherwise. */
enum message { INPUT, A_RESIZE, AN_AUTH };

static int within(int64_t n)
{
	return (int)(n < 1 ? 1 : n > 10000 ? 10000 : n);
}

static void wipe_free(char *secret)
{
	if (secret)
		wipe(secret, strlen(secret));
	free(secret);
}

/* *token is the caller's to wipe. */
static enum message read_message(struct terminal *t, const char *bytes, size_t n, char **token)
{
	enum message what = INPUT;
	cJSON *j = n && bytes[0] == '{' ? json_parse(bytes, n, "message", NULL) : NULL;
	if (str_eq(json_str(j, "type"), "auth") && cJSON_IsString(json_at(j, "token"))) {
		cJSON *text = cJSON_GetObjectItemCaseSensitive(j, "token");
		*token = xstrdup(text->valuestring);
		wipe(text->valuestring, strlen(text->valuestring));
		what = AN_AUTH;
	} else if (str_eq(json_str(j, "type"), "resize") && cJSON_IsNumber(json_at(j, "cols")) &&
		   cJSON_IsNumber(json_at(j, "rows"))) {
		t->cols = within(json_int_or(j, "cols", 0));
		t->rows = within(json_int_or(j, "rows", 0));
		what = A_RESIZE;
	}
	cJSON_Delete(j);
	return what;
}

static void give_input(struct terminal *t, const char *bytes, size_t n)
{
	t->waiting += n;
	if (t->waiting > IN_MAX)
		t->c->paused = true;
	t->src->input(t->src, bytes, n);
}

static void start(struct terminal *t)
{
	struct stream_conn *c = t->c;
	struct stream_exec x = { .workspace = t->name,
				 .kind = "terminal",
				 .tty = true,
				 .cols = t->cols,
				 .rows = t->rows,
				 .term = "xterm-256color" };
	t->src = strcmp(t->name, STREAM_HOST) == 0 ? stream_host_new(c->s, t->cols, t->rows, c->caller, &sink, t)
						   : stream_exec_new(c->s, &x, c->caller, &sink, t);
	if (t->early.len)
		give_input(t, t->early.data, t->early.len);
	buf_free(&t->early);
	t->early = (struct buf){ 0 };
}

/* --- strangers --- */

static void check_thread(void *arg)
{
	struct check *k = arg;
	const struct streams_setup *setup = &k->s->setup;
	if (!setup->authenticate)
		perry_fail(&k->err, PERRY_EUNAUTH, "Authentication failed");
	else
		setup->authenticate(setup->ctx, k->token, &k->caller, &k->err);
}

static void be_known(struct terminal *t, cJSON *take_caller)
{
	struct stream_conn *c = t->c;
	cJSON_Delete(c->caller);
	c->caller = take_caller;
	ws_set_max_message(c->ws, STREAM_MESSAGE);
	strangers_leave(&c->s->strangers, t->peer);
	free(take_ptr(t->peer));
	atomic_fetch_add(&c->s->terminals, 1);
	if (t->cols)
		start(t);
}

static void check_done(void *arg)
{
	struct check *k = arg;
	struct terminal *t = k->t;
	if (t)
		t->check = NULL;
	if (t && !t->c->closing && k->caller)
		be_known(t, take_ptr(k->caller));
	else if (t && k->err && k->err->code == PERRY_EUNAUTH)
		stream_conn_close(t->c, AUTH_FAILED, "Authentication failed");
	else if (t)
		stream_conn_close(t->c, 1008, perry_msg(k->err));
	wipe_free(k->token);
	cJSON_Delete(k->caller);
	perry_err_free(k->err);
	free(k);
}

static void check_token(struct terminal *t, char *take_token)
{
	struct check *k = xcalloc(1, sizeof *k);
	*k = (struct check){ .s = t->c->s, .t = t, .token = take_token };
	t->check = k;
	loop_timer_stop(&t->c->timer);
	loop_work(t->c->s->loop, check_thread, check_done, k);
}

static void on_too_late(void *owner)
{
	stream_conn_close(owner, AUTH_FAILED, "Authentication timed out");
}

/* --- */

static void on_message(void *ctx, bool binary, const char *bytes, size_t n)
{
	struct stream_conn *c = ctx;
	struct terminal *t = c->data;
	char *token = NULL;
	enum message what = read_message(t, bytes, n, &token);
	bool unknown = t->peer && !t->check;
	if (unknown && what == AN_AUTH)
		check_token(t, take_ptr(token));
	else if (unknown)
		stream_conn_close(c, AUTH_FAILED, "Authentication failed");
	else if (what == AN_AUTH)
		wipe_free(take_ptr(token)); /* who is known already is told no secret; nor is the shell */
	else if (what == A_RESIZE && t->src)
		t->src->resize(t->src, t->cols, t->rows);
	else if (what == A_RESIZE && !t->check)
		start(t);
	else if (what == A_RESIZE)
		return; /* it starts once it is known who asks */
	else if (t->src)
		give_input(t, bytes, n);
	else if (t->early.len + n > EARLY_MAX)
		stream_conn_close(c, 1009, "too much input before the first resize");
	else
		buf_add(&t->early, bytes, n);
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
	if (t->check)
		t->check->t = NULL;
	if (t->peer)
		strangers_leave(&c->s->strangers, t->peer);
	else
		atomic_fetch_sub(&c->s->terminals, 1);
	buf_free(&t->early);
	free(t->peer);
	free(t->name);
	free(t);
}

static struct terminal *make(struct stream_conn *c, const char *name)
{
	struct terminal *t = xcalloc(1, sizeof *t);
	t->c = c;
	t->name = xstrdup(name);
	c->data = t;
	c->message = on_message;
	c->drained = on_drained;
	c->workspace_closed = on_workspace_closed;
	c->gone = on_gone;
	return t;
}

static void attach(struct stream_conn *c, const char *name)
{
	make(c, name);
	atomic_fetch_add(&c->s->terminals, 1);
}

static void attach_stranger(struct stream_conn *c, const char *name)
{
	struct terminal *t = make(c, name);
	t->peer = xstrdup(json_str_or(c->caller, "peer", ""));
	ws_set_max_message(c->ws, STRANGER_MESSAGE);
	loop_timer_set(c->s->loop, &c->timer, clock_mono_ms() + c->s->setup.stranger_ms, on_too_late, c);
}

void streams_take_terminal(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller,
			   const char *name)
{
	stream_conn_take(s, take_fd, early, n, caller, attach, name);
}

bool streams_expect_stranger(struct streams *s, const char *peer)
{
	return strangers_enter(&s->strangers, peer);
}

void streams_forget_stranger(struct streams *s, const char *peer)
{
	strangers_leave(&s->strangers, peer);
}

void streams_take_stranger(struct streams *s, int take_fd, const char *early, size_t n, const char *peer,
			   const char *name)
{
	cleanup_json cJSON *nobody = cJSON_CreateObject();
	json_set_str(nobody, "kind", "stranger");
	json_set_str(nobody, "peer", peer);
	if (take_fd < 0)
		strangers_leave(&s->strangers, peer);
	stream_conn_take(s, take_fd, early, n, nobody, attach_stranger, name);
}
