/* A command in a workspace: whether it may run, and what waits between it and its client. Where the channel into the
 * workspace can be had it runs over that, else through the engine. */
#include "agent/stream/exec.h"

#include <stdio.h>
#include <string.h>

#include "agent/stream/exec_priv.h"
#include "base/clock.h"
#include "base/mem.h"
#include "docker/step_argv.h"

#define USED_MS 60000

void exec_unref(struct exec *e)
{
	if (--e->refs)
		return;
	for (char **list = e->command; list && *list; list++)
		free(*list);
	free(e->command);
	free(e->user);
	free(e->cwd);
	free(e->term);
	free(e->shell);
	cJSON_Delete(e->caller);
	perry_err_free(e->err);
	docker_stream_free(e->st);
	buf_free(&e->in);
	buf_free(&e->pending);
	buf_free(&e->pending2);
	free(e);
}

void exec_work(struct exec *e, void (*fn)(void *arg), void (*done)(void *arg))
{
	e->refs++;
	loop_work(e->base.s->loop, fn, done, e);
}

static void done_nothing(void *arg)
{
	exec_unref(arg);
}

/* --- the end --- */

void exec_finish(struct exec *e)
{
	if (e->finished)
		return;
	e->finished = true;
	loop_timer_stop(&e->timer);
	if (e->way)
		e->way->leave(e);
	stream_source_unlist(&e->base);
	if (e->base.owner) {
		cleanup_err struct perry_err *err = e->ended ? take_ptr(e->err) : NULL;
		if (!err && !e->exit_known)
			perry_fail(&err, PERRY_ECANCELLED, "the command was ended");
		e->base.sink->ended(e->base.owner, e->exit_known ? e->code : 0, err);
	}
	exec_unref(e);
}

static void maybe_finish(struct exec *e)
{
	if (e->ended && (!e->pending.len || !e->base.owner))
		exec_finish(e);
}

void exec_over(struct exec *e)
{
	e->ended = true;
	e->exit_known = !e->err;
	maybe_finish(e);
}

static void kill_it(struct exec *e)
{
	if (e->killed || !e->opened || e->ended)
		return;
	e->killed = true;
	e->way->kill(e);
}

/* --- what passes --- */

void exec_output(struct exec *e, int fd, const char *bytes, size_t n)
{
	if (e->ending || !e->base.owner) {
		e->way->took(e, n);
		return;
	}
	size_t room = e->pending.len ? 0 : e->base.sink->room(e->base.owner);
	size_t k = n < room ? n : room;
	if (k) {
		e->base.sink->output(e->base.owner, fd, bytes, k);
		e->way->took(e, k);
	}
	bytes += k;
	n -= k;
	if (!n)
		return;
	if (!e->pending.len)
		e->pending_fd = fd;
	/* Of three runs out, err, out the order between the descriptors is given up, never that within one. */
	buf_add(fd == e->pending_fd ? &e->pending : &e->pending2, bytes, n);
}

static void flush_pending(struct exec *e)
{
	while (e->pending.len && e->base.owner) {
		size_t room = e->base.sink->room(e->base.owner), n = e->pending.len < room ? e->pending.len : room;
		if (!n)
			return;
		e->base.sink->output(e->base.owner, e->pending_fd, e->pending.data, n);
		buf_consume(&e->pending, n);
		e->way->took(e, n);
		if (!e->pending.len && e->pending2.len) {
			struct buf empty = e->pending;
			e->pending = e->pending2;
			e->pending2 = empty;
			e->pending_fd = e->pending_fd == 2 ? 1 : 2;
		}
	}
}

bool exec_wants(const struct exec *e)
{
	return !e->pending.len && (e->ending || !e->base.owner || e->base.sink->room(e->base.owner) > 0);
}

void exec_flush_input(struct exec *e)
{
	while (e->opened && e->in.len && !e->input_closed) {
		ssize_t n = e->way->write(e, e->in.data, e->in.len);
		if (n == 0)
			break;
		if (n < 0) {
			/* Nobody reads it any more; the client is not to wait for room. */
			n = (ssize_t)e->in.len;
			e->input_closed = true;
		}
		buf_consume(&e->in, (size_t)n);
		if (e->base.owner)
			e->base.sink->consumed(e->base.owner, (size_t)n);
	}
	if (e->opened && e->eof && !e->in.len && !e->input_closed) {
		e->input_closed = true;
		e->way->close_input(e);
	}
}

/* --- opening --- */

static void used_thread(void *arg)
{
	struct exec *e = arg;
	e->base.s->setup.used(e->base.s->setup.ctx, e->base.workspace);
}

static void note_use(struct exec *e)
{
	if (!e->base.s->setup.used || (e->used_at && clock_mono_ms() - e->used_at <= USED_MS))
		return;
	e->used_at = clock_mono_ms();
	exec_work(e, used_thread, done_nothing);
}

static void check_thread(void *arg)
{
	struct exec *e = arg;
	const struct streams_setup *setup = &e->base.s->setup;
	if (setup->admit && setup->admit(setup->ctx, e->caller, e->kind, e->base.workspace, &e->err) < 0)
		return;
	if (setup->resolve(setup->ctx, e->base.workspace, true, e->container, &e->err) < 0)
		return;
	if (!e->command && !e->port && setup->shell)
		e->shell = setup->shell(setup->ctx, e->base.workspace);
}

static void check_done(void *arg)
{
	struct exec *e = arg;
	if (e->err || e->ending) {
		e->ended = e->err;
		exec_finish(e);
	} else {
		exec_channel_start(e);
	}
	exec_unref(e);
}

void exec_runs(struct exec *e, const struct exec_way *way)
{
	e->way = way;
	e->opened = true;
	if (e->ending)
		kill_it(e);
	else if (e->base.owner)
		e->base.sink->opened(e->base.owner, NULL);
	if (e->want_cols && (e->want_cols != e->cols || e->want_rows != e->rows))
		way->resize(e);
	note_use(e);
	exec_flush_input(e);
}

/* --- the owner's calls --- */

static void update(struct exec *e)
{
	if (e->opened)
		e->way->update(e);
}

static void on_input(struct stream_source *src, const char *bytes, size_t n)
{
	struct exec *e = (struct exec *)src;
	if (e->input_closed || e->ending) {
		src->sink->consumed(src->owner, n);
		return;
	}
	buf_add(&e->in, bytes, n);
	exec_flush_input(e);
	update(e);
	if (e->opened)
		note_use(e);
}

static void on_eof(struct stream_source *src)
{
	struct exec *e = (struct exec *)src;
	e->eof = true;
	exec_flush_input(e);
	update(e);
}

static void on_resize(struct stream_source *src, int cols, int rows)
{
	struct exec *e = (struct exec *)src;
	e->want_cols = cols;
	e->want_rows = rows;
	if (e->opened && e->tty)
		e->way->resize(e);
}

static void on_signal(struct stream_source *src, const char *name)
{
	struct exec *e = (struct exec *)src;
	if (e->opened && !e->ending && !e->ended)
		e->way->signal(e, name);
}

static void on_kick(struct stream_source *src)
{
	struct exec *e = (struct exec *)src;
	flush_pending(e);
	update(e);
	maybe_finish(e);
}

static void on_end(struct stream_source *src)
{
	struct exec *e = (struct exec *)src;
	e->ending = true;
	size_t dropped = e->pending.len + e->pending2.len;
	buf_free(&e->pending);
	buf_free(&e->pending2);
	e->pending = e->pending2 = (struct buf){ 0 };
	if (e->opened && dropped)
		e->way->took(e, dropped);
	if (e->opened)
		kill_it(e);
	else
		exec_channel_abandon(e);
	update(e);
	maybe_finish(e);
}

static char **copy_list(char *const *list)
{
	size_t n = 0;
	while (list && list[n])
		n++;
	char **copy = n ? xcalloc(n + 1, sizeof *copy) : NULL;
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(list[i]);
	return copy;
}

struct stream_source *stream_exec_new(struct streams *s, const struct stream_exec *spec, const cJSON *caller,
				      const struct stream_sink *sink, void *owner)
{
	struct exec *e = xcalloc(1, sizeof *e);
	e->refs = 1;
	e->base.use = spec->tty                            ? STREAM_USE_TERMINAL
		      : strcmp(spec->kind, "forward") == 0 ? STREAM_USE_OTHER
							   : STREAM_USE_EXEC;
	stream_source_list(&e->base, s, spec->workspace, sink, owner);
	e->base.input = on_input;
	e->base.eof = on_eof;
	e->base.resize = on_resize;
	e->base.signal = on_signal;
	e->base.kick = on_kick;
	e->base.end = on_end;
	step_exec_id(e->id);
	snprintf(e->kind, sizeof e->kind, "%s", spec->kind);
	e->command = copy_list(spec->command);
	e->user = xstrdup(spec->user);
	e->cwd = xstrdup(spec->cwd);
	e->term = xstrdup(spec->term);
	e->tty = spec->tty;
	e->cols = spec->cols;
	e->rows = spec->rows;
	e->port = spec->port;
	e->caller = cJSON_Duplicate(caller, 1);
	exec_work(e, check_thread, check_done);
	return &e->base;
}
