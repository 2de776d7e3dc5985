#include "agent/watch/exec.h"

#include <stdlib.h>
#include <string.h>

#include "agent/channel/pipe.h"
#include "agent/jobs.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "docker/step_argv.h"

enum {
	OPENINGS = 4, /* at once */
	RETRY_MS = 1000,
	RETRY_MAX_MS = 60000,
	LIVED_MS = 30000,    /* a watch that held so long begins anew with the tries */
	GIVE_UP = 6,         /* so many watches that ended without a word */
	READ_PAUSE_MS = 200, /* between two reads of one workspace: it cannot keep us busy */
	SAID_MAX = 400,
};

/* --- the end --- */

static void close_stream(struct entry *e)
{
	if (e->pipe)
		pipe_close(take_ptr(e->pipe));
	loop_watch_drop(&e->watch);
	loop_timer_stop(&e->rest);
	e->unread = 0;
	docker_stream_free(take_ptr(e->stream));
	buf_free(&e->line);
	buf_free(&e->out);
	e->line = e->out = (struct buf){ 0 };
	free(take_ptr(e->sent));
}

bool watcher_is_open(const struct entry *e)
{
	return e->pipe || e->stream;
}

void watcher_close(struct entry *e)
{
	close_stream(e);
	loop_timer_stop(&e->open);
	e->open_due = false;
}

static void on_open(void *owner)
{
	((struct entry *)owner)->open_due = true; /* as soon as there are few enough under way */
}

static void lost(struct entry *e, const char *why)
{
	struct watch_table *t = &e->w->table;
	bool heard = e->heard, old = !heard && strstr(buf_str(&e->said), "usage: perry-step");
	close_stream(e);
	e->tries = heard && clock_mono_ms() - e->opened > LIVED_MS ? 1 : e->tries + 1;
	if (old || (!heard && e->tries >= GIVE_UP)) {
		e->given_up = true;
		watch_table_problem(t, e,
				    old ? "its helper is of an older version of perry, which does not tell what "
					  "listens; perry restart brings the new one"
				    : *buf_str(&e->said) ? str_trim(e->said.data)
							 : why);
		log_warn("ports", "%s: %s", e->name, e->problem);
	} else {
		int64_t wait = (int64_t)RETRY_MS << (e->tries < 10 ? e->tries - 1 : 9);
		watch_table_problem(t, e, why);
		loop_timer_set(e->w->loop, &e->open, clock_mono_ms() + (wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS),
			       on_open, e);
	}
	buf_free(&e->said);
	e->said = (struct buf){ 0 };
}

/* --- reading and writing --- */

static void update(struct entry *e)
{
	if (!e->watch)
		return;
	bool resting = loop_timer_is_set(&e->rest);
	loop_watch_set(e->watch, resting ? 0 : EPOLLIN | (e->out.len ? EPOLLOUT : 0));
}

static void flush(struct entry *e)
{
	if (e->pipe) {
		pipe_write(e->pipe, e->out.data, e->out.len);
		buf_free(&e->out);
		e->out = (struct buf){ 0 };
	}
	while (e->stream && e->out.len) {
		ssize_t n = docker_stream_write(e->stream, e->out.data, e->out.len);
		if (n <= 0)
			break; /* one that is gone shows when it is read */
		buf_consume(&e->out, (size_t)n);
	}
	update(e);
}

static int on_bytes(void *ctx, int fd, const char *bytes, size_t n)
{
	struct entry *e = ctx;
	if (fd == 2) {
		if (e->said.len < SAID_MAX)
			buf_add(&e->said, bytes, n < SAID_MAX ? n : SAID_MAX);
		return 0;
	}
	while (n) {
		const char *end = memchr(bytes, '\n', n);
		size_t k = end ? (size_t)(end - bytes) : n;
		e->skipping |= e->line.len + k > WATCH_LINE_MAX;
		if (e->skipping)
			e->line.len = 0;
		else
			buf_add(&e->line, bytes, k);
		if (!end)
			break;
		if (!e->skipping)
			e->w->take_line(e, buf_str(&e->line), e->line.len);
		e->skipping = false;
		buf_free(&e->line); /* lines are rare: no memory is kept for the next one */
		e->line = (struct buf){ 0 };
		bytes = end + 1;
		n -= k + 1;
	}
	return 0;
}

static void on_rested(void *owner)
{
	struct entry *e = owner;
	if (e->pipe)
		pipe_took(e->pipe, e->unread);
	e->unread = 0;
	update(e);
}

static void read_some(struct entry *e)
{
	cleanup_err struct perry_err *err = NULL;
	if (docker_stream_read(e->stream, on_bytes, e, &err) <= 0) {
		lost(e, err ? perry_msg(err) : "the watch in it ended");
		return;
	}
	loop_timer_set(e->w->loop, &e->rest, clock_mono_ms() + READ_PAUSE_MS, on_rested, e);
	update(e);
}

static void on_event(void *owner, uint32_t events)
{
	struct entry *e = owner;
	if (events & EPOLLOUT)
		flush(e);
	if (events & ~(uint32_t)EPOLLOUT)
		read_some(e);
}

/* --- over the channel --- */

static void on_output(void *owner, int fd, const char *bytes, size_t n)
{
	struct entry *e = owner;
	e->unread += n;
	on_bytes(e, fd, bytes, n);
	if (!loop_timer_is_set(&e->rest))
		loop_timer_set(e->w->loop, &e->rest, clock_mono_ms() + READ_PAUSE_MS, on_rested, e);
}

static void on_none(void *owner)
{
	struct entry *e = owner;
	e->pipe = NULL;
	close_stream(e);
	e->no_channel = e->open_due = true;
}

static void on_ended(void *owner, const char *why)
{
	struct entry *e = owner;
	e->pipe = NULL;
	lost(e, why);
}

static const struct pipe_sink pipe_sink = { on_output, on_none, on_ended };

static void open_pipe(struct entry *e)
{
	cleanup_json cJSON *o = cJSON_CreateObject();
	json_set_str(o, "kind", "watch");
	e->open_due = false;
	e->pipe = pipe_open(e->w->setup.channels, e->container, o, e->w->loop, &pipe_sink, e);
	e->opened = clock_mono_ms();
}

/* --- opening by the engine --- */

struct opening {
	struct watchers *w;
	char *name, container[65];
	struct docker_stream *stream;
	struct perry_err *err;
};

static void opening_free(struct opening *o)
{
	docker_stream_free(o->stream);
	perry_err_free(o->err);
	free(o->name);
	free(o);
}

static void on_opened(void *arg)
{
	struct opening *o = arg;
	struct entry *e = watch_table_find(&o->w->table, o->name);
	o->w->openings--;
	if (e)
		e->opening = false;
	if (e && strcmp(o->container, e->container) != 0) {
		e->open_due = e->container[0]; /* there is another container by now, or none */
	} else if (e && !o->stream) {
		lost(e, o->err ? perry_msg(o->err) : "the engine gave no stream");
	} else if (e) {
		e->stream = take_ptr(o->stream);
		e->opened = clock_mono_ms();
		e->watch = loop_watch_new(e->w->loop, docker_stream_fd(e->stream), on_event, e);
		read_some(e); /* what came with the head is not reported */
	}
	opening_free(o);
}

static void open_watch(void *arg)
{
	struct opening *o = arg;
	cleanup_free char *life = xasprintf(STEP_LIFE_VAR "=%s", step_life());
	const char *argv[] = { STEP_PATH, "watch", NULL }, *env[] = { life, NULL };
	const struct docker_exec x = { .argv = argv, .env = env, .user = "0:0" };
	docker_exec_open(o->w->setup.docker, o->container, &x, &o->stream, &o->err);
	if (!loop_post(o->w->loop, on_opened, o))
		opening_free(o);
}

static void start_opening(struct entry *e)
{
	struct opening *o = xcalloc(1, sizeof *o);
	o->w = e->w;
	o->name = xstrdup(e->name);
	memcpy(o->container, e->container, sizeof e->container);
	e->open_due = false;
	e->opening = jobs_run(e->w->setup.jobs, open_watch, o);
	if (e->opening)
		e->w->openings++;
	else
		opening_free(o);
}

void watcher_open_at(struct entry *e, int64_t due)
{
	e->given_up = false;
	e->tries = 0;
	if (watcher_is_open(e) || e->opening)
		return;
	e->open_due = false;
	loop_timer_set(e->w->loop, &e->open, due, on_open, e);
}

void watcher_settle(struct entry *e)
{
	if (e->open_due && !e->given_up && !e->no_channel)
		open_pipe(e);
	else if (e->open_due && !e->given_up && e->w->openings < OPENINGS)
		start_opening(e);
	if (e->out.len && (e->pipe || (e->stream && !(loop_watch_events(e->watch) & EPOLLOUT))))
		flush(e);
}
