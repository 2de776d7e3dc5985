/* A viewer gets the screen as it is, then what is new. One that cannot follow is not fed what it missed: once it has
 * taken what was given to it, it gets the screen as it is by then. So a slow phone holds up nobody, and is never behind
 * by more than a screen. */
#include "agent/stream/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/channel/channel.h"
#include "agent/channel/opening.h"
#include "agent/screen/screen.h"
#include "agent/stream/sessions.h"
#include "agent/stream/watched.h"
#include "base/clock.h"
#include "base/mem.h"
#include "docker/step_argv.h"

enum { BEHIND = 128 << 10 /* bytes that wait for a viewer until it is left out */ };

struct viewer {
	struct stream_source base;
	int refs; /* threads under way, and one until finish */
	cJSON *caller, *open;
	char container[65], session[32];
	char *shell;
	int64_t idle;
	bool read_only, finished, ending;
	struct channel_stream *making; /* while the session is begun */
	struct perry_err *err;
	struct look look;
	int cols, rows;
	bool shown;     /* its first frame was made */
	bool behind;    /* a frame is due once it has taken what waits */
	struct buf out; /* waits for it */
	struct buf in;  /* waits for the session */
};

static void unref(struct viewer *v)
{
	if (--v->refs)
		return;
	cJSON_Delete(v->caller);
	cJSON_Delete(v->open);
	free(v->shell);
	perry_err_free(v->err);
	buf_free(&v->out);
	buf_free(&v->in);
	free(v);
}

static void finish(struct viewer *v, int code, const struct perry_err *err)
{
	if (v->finished)
		return;
	v->finished = true;
	watched_close(&v->look);
	if (v->making)
		channel_leave(take_ptr(v->making));
	stream_source_unlist(&v->base);
	if (v->base.owner)
		v->base.sink->ended(v->base.owner, code, err);
	unref(v);
}

/* --- output --- */

static void flush(struct viewer *v)
{
	while (v->base.owner && (v->out.len || v->behind)) {
		if (!v->out.len) {
			v->behind = false;
			if (watched_ready(&v->look))
				screen_frame(watched_screen(&v->look), &v->out);
			continue;
		}
		size_t room = v->base.sink->room(v->base.owner), n = v->out.len < room ? v->out.len : room;
		if (!n)
			return;
		v->base.sink->output(v->base.owner, 1, v->out.data, n);
		buf_consume(&v->out, n);
	}
}

static void tell_size(struct viewer *v)
{
	int cols, rows;
	screen_size(watched_screen(&v->look), &cols, &rows);
	if (v->base.owner && v->base.sink->resized)
		v->base.sink->resized(v->base.owner, cols, rows);
}

static void on_view(void *owner, const char *bytes, size_t n)
{
	struct viewer *v = owner;
	if (!v->shown || v->behind)
		return; /* the frame that comes has it */
	if (v->out.len + n > BEHIND)
		v->behind = true;
	else
		buf_add(&v->out, bytes, n);
	flush(v);
}

static void on_sized(void *owner)
{
	struct viewer *v = owner;
	if (!v->shown)
		return;
	tell_size(v);
	v->behind = true;
	flush(v);
}

/* --- input --- */

static void type(struct viewer *v)
{
	size_t n = watched_room(&v->look);
	n = n < v->in.len ? n : v->in.len;
	if (!n)
		return;
	watched_size(&v->look, v->cols, v->rows); /* the size is that of who types last */
	watched_type(&v->look, v->in.data, n);
	buf_consume(&v->in, n);
	if (v->base.owner)
		v->base.sink->consumed(v->base.owner, n);
}

static void on_room(void *owner)
{
	type(owner);
}

/* --- the look --- */

static void tell_opened(struct viewer *v)
{
	cleanup_json cJSON *details = cJSON_CreateObject();
	json_set_str(details, "session", v->session);
	if (v->base.owner)
		v->base.sink->opened(v->base.owner, details);
}

static void on_ready(void *owner)
{
	struct viewer *v = owner;
	if (v->shown)
		return;
	if (!v->read_only && watched_alone(&v->look))
		watched_size(&v->look, v->cols, v->rows);
	v->shown = v->behind = true;
	tell_opened(v);
	tell_size(v);
	flush(v);
	type(v);
}

static void on_ended(void *owner, int code, const struct perry_err *err)
{
	struct viewer *v = owner;
	/* What waits is the last of it; a viewer that does not take it is not waited for. */
	flush(v);
	finish(v, code, err);
}

static const struct look_sink look_sink = { on_ready, on_view, on_sized, on_room, on_ended };

static void look(struct viewer *v)
{
	watched_open(v->base.s, v->container, v->session, &v->look, &look_sink, v);
}

/* --- a new session --- */

static void on_made(void *owner, const cJSON *details)
{
	struct viewer *v = owner;
	const char *id = json_str(details, "session");
	if (sessions_id_ok(id))
		snprintf(v->session, sizeof v->session, "%s", id);
}

static void on_made_output(void *owner, int fd, const char *bytes, size_t n)
{
	struct viewer *v = owner;
	channel_took(v->making, n);
}

static void on_made_room(void *owner)
{
}

static void on_made_none(void *owner)
{
	struct viewer *v = owner;
	cleanup_err struct perry_err *err = NULL;
	v->making = NULL;
	perry_fail(&err, PERRY_ESTATE, "sessions cannot be had in this workspace; perry restart brings what they need");
	err->data = cJSON_CreateObject();
	json_set_bool(err->data, "noSessions", true);
	finish(v, 0, err);
}

static void on_made_ended(void *owner, int code, const struct perry_err *err)
{
	struct viewer *v = owner;
	cleanup_err struct perry_err *unknown = NULL;
	v->making = NULL;
	if (!err && !*v->session) {
		perry_fail(&unknown, PERRY_EUNAVAILABLE, "the workspace began no session");
		err = unknown;
	}
	if (err)
		finish(v, code, err);
	else if (v->base.owner && !v->ending)
		look(v);
	else
		finish(v, 0, NULL);
}

static const struct channel_sink making_sink = { on_made, on_made_output, on_made_room, on_made_none, on_made_ended };

static void make(struct viewer *v)
{
	json_set_str(v->open, "shell", v->shell);
	json_set_int(v->open, "idle", v->idle);
	json_set_int(v->open, "cols", v->cols);
	json_set_int(v->open, "rows", v->rows);
	v->making = channel_open(v->base.s->channels, v->container, v->open, &making_sink, v);
}

/* --- may it, and where --- */

static void check_thread(void *arg)
{
	struct viewer *v = arg;
	const struct streams_setup *setup = &v->base.s->setup;
	if (setup->admit && setup->admit(setup->ctx, v->caller, "terminal", v->base.workspace, &v->err) < 0)
		return;
	if (setup->resolve(setup->ctx, v->base.workspace, true, v->container, &v->err) < 0)
		return;
	if (v->open && !json_at(v->open, "command") && setup->shell)
		v->shell = setup->shell(setup->ctx, v->base.workspace);
	if (v->open && setup->session_idle)
		v->idle = setup->session_idle(setup->ctx);
	if (setup->used)
		setup->used(setup->ctx, v->base.workspace);
}

static void check_done(void *arg)
{
	struct viewer *v = arg;
	if (v->err || v->ending)
		finish(v, 0, v->err);
	else if (v->open)
		make(v);
	else
		look(v);
	unref(v);
}

/* --- the owner's calls --- */

static void input(struct stream_source *src, const char *bytes, size_t n)
{
	struct viewer *v = (struct viewer *)src;
	if (v->read_only || v->ending) {
		src->sink->consumed(src->owner, n);
		return;
	}
	buf_add(&v->in, bytes, n);
	type(v);
}

static void resize(struct stream_source *src, int cols, int rows)
{
	struct viewer *v = (struct viewer *)src;
	v->cols = cols;
	v->rows = rows;
	if (!v->read_only && v->shown)
		watched_size(&v->look, cols, rows);
}

static void kick(struct stream_source *src)
{
	flush((struct viewer *)src);
}

static void end(struct stream_source *src)
{
	struct viewer *v = (struct viewer *)src;
	v->ending = true;
	if (v->look.w || v->making) /* one that is begun goes on without us */
		finish(v, 0, NULL);
}

static cJSON *opening(const struct stream_session *spec)
{
	char id[32];
	step_exec_id(id);
	return channel_opening(&(struct channel_opening){
		.kind = "session",
		.id = id,
		.name = spec->name,
		.user = spec->user,
		.cwd = spec->cwd,
		.command = (const char *const *)spec->command,
		.term = spec->term,
		.cols = spec->cols,
		.rows = spec->rows,
	});
}

struct stream_source *stream_session_new(struct streams *s, const struct stream_session *spec, const cJSON *caller,
					 const struct stream_sink *sink, void *owner)
{
	struct viewer *v = xcalloc(1, sizeof *v);
	v->refs = 2;
	v->base.use = STREAM_USE_TERMINAL;
	stream_source_list(&v->base, s, spec->workspace, sink, owner);
	v->base.input = input;
	v->base.resize = resize;
	v->base.kick = kick;
	v->base.end = end;
	v->cols = spec->cols;
	v->rows = spec->rows;
	v->read_only = spec->read_only;
	v->caller = cJSON_Duplicate(caller, 1);
	if (spec->session)
		snprintf(v->session, sizeof v->session, "%s", spec->session);
	else
		v->open = opening(spec);
	loop_work(s->loop, check_thread, check_done, v);
	return &v->base;
}
