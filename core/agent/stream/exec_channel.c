/* A command over the channel into its workspace. */
#include "agent/channel/channel.h"
#include "agent/channel/opening.h"
#include "agent/stream/exec_priv.h"
#include "base/clock.h"
#include "base/mem.h"

#define AFTER_KILL_MS 5000 /* then it is let go, whatever is heard of it */

static ssize_t way_write(struct exec *e, const char *bytes, size_t n)
{
	size_t room = e->stream ? channel_room(e->stream) : n;
	if (n > room)
		n = room;
	if (n && e->stream)
		channel_write(e->stream, bytes, n);
	return (ssize_t)n;
}

static void way_close_input(struct exec *e)
{
	if (e->stream)
		channel_eof(e->stream);
}

static void way_resize(struct exec *e)
{
	e->cols = e->want_cols;
	e->rows = e->want_rows;
	if (e->stream)
		channel_resize(e->stream, e->cols, e->rows);
}

static void way_signal(struct exec *e, const char *name)
{
	if (e->stream)
		channel_signal(e->stream, name);
}

static void on_give_up(void *owner)
{
	struct exec *e = owner;
	if (e->stream)
		channel_leave(take_ptr(e->stream));
	exec_finish(e);
}

static void way_kill(struct exec *e)
{
	if (e->stream)
		channel_close(e->stream);
	loop_timer_set(e->base.s->loop, &e->timer, clock_mono_ms() + AFTER_KILL_MS, on_give_up, e);
}

static void way_took(struct exec *e, size_t n)
{
	if (e->stream)
		channel_took(e->stream, n);
}

static void way_update(struct exec *e)
{
}

static void way_leave(struct exec *e)
{
	if (e->stream)
		channel_leave(take_ptr(e->stream));
}

static const struct exec_way way = { way_write, way_close_input, way_resize, way_signal,
				     way_kill,  way_took,        way_update, way_leave };

/* --- what the channel tells --- */

static void on_opened(void *owner, const cJSON *details)
{
	struct exec *e = owner;
	if (!e->opened)
		exec_runs(e, &way);
}

static void on_output(void *owner, int fd, const char *bytes, size_t n)
{
	struct exec *e = owner;
	if (!e->opened) /* why it cannot run */
		exec_runs(e, &way);
	exec_output(e, fd, bytes, n);
}

static void on_room(void *owner)
{
	exec_flush_input(owner);
}

static void on_none(void *owner)
{
	struct exec *e = owner;
	e->stream = NULL;
	exec_engine_start(e);
}

static void on_ended(void *owner, int code, const struct perry_err *err)
{
	struct exec *e = owner;
	e->stream = NULL;
	e->code = code;
	e->err = err ? perry_err_copy(err) : NULL;
	exec_over(e);
}

static const struct channel_sink sink = { on_opened, on_output, on_room, on_none, on_ended };

/* The OPEN of docs/channel.md; the caller frees. */
static cJSON *opening(const struct exec *e)
{
	if (e->port) {
		cJSON *o = cJSON_CreateObject();
		json_set_str(o, "kind", "connect");
		json_set_int(o, "port", e->port);
		return o;
	}
	return channel_opening(&(struct channel_opening){
		.kind = "exec",
		.id = e->id,
		.user = e->user,
		.cwd = e->cwd,
		.shell = e->shell,
		.command = (const char *const *)e->command,
		.term = !e->tty   ? NULL
			: e->term ? e->term
				  : "xterm-256color",
		.cols = e->cols,
		.rows = e->rows,
	});
}

void exec_channel_abandon(struct exec *e)
{
	if (e->stream)
		way_kill(e);
}

void exec_channel_start(struct exec *e)
{
	cleanup_json cJSON *o = opening(e);
	e->stream = channel_open(e->base.s->channels, e->container, o, &sink, e);
}
