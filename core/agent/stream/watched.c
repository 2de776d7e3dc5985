#include "agent/stream/watched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/channel/channel.h"
#include "agent/screen/screen.h"
#include "agent/stream/state.h"
#include "base/clock.h"
#include "base/mem.h"

enum { AGAIN_MS = 100 /* before one that printed faster than it was read is attached to again */ };

struct watched {
	struct watched *next;
	struct streams *s;
	char container[65], id[32];
	struct channel_stream *stream; /* NULL: it has ended, or is attached to again soon */
	struct screen *screen;         /* NULL: not attached yet */
	int64_t kept;                  /* bytes of old output that are still to come */
	bool ready, over, attached;    /* attached: before, too */
	struct loop_timer late;        /* tells those that came when it was ready already */
	struct loop_timer again;       /* attaches again */
	struct look *looks;
};

static void free_watched(struct watched *w)
{
	struct watched **at = &w->s->watched;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	loop_timer_stop(&w->late);
	loop_timer_stop(&w->again);
	if (w->stream)
		channel_leave(w->stream);
	screen_free(w->screen);
	free(w);
}

/* --- what the channel tells --- */

static void be_ready(struct watched *w)
{
	w->ready = true;
	for (struct look *l = w->looks; l; l = l->next) {
		l->sink->ready(l->owner);
		if (w->attached) {
			l->sink->sized(l->owner);
			l->sink->room(l->owner);
		}
	}
	w->attached = true;
}

static void on_opened(void *owner, const cJSON *details)
{
	struct watched *w = owner;
	int64_t cols = json_int_or(details, "cols", 80), rows = json_int_or(details, "rows", 24);
	cols = cols < SCREEN_COLS_MAX ? cols : SCREEN_COLS_MAX;
	rows = rows < SCREEN_ROWS_MAX ? rows : SCREEN_ROWS_MAX;
	screen_free(w->screen);
	w->screen = screen_new(cols < 2 ? 2 : (int)cols, rows < 1 ? 1 : (int)rows, 0);
	w->kept = json_int_or(details, "kept", 0);
	if (w->kept <= 0)
		be_ready(w);
}

static void on_output(void *owner, int fd, const char *bytes, size_t n)
{
	struct watched *w = owner;
	channel_took(w->stream, n);
	if (!w->screen)
		return; /* a holder that speaks before it has opened */
	if (!w->ready) {
		size_t old = (int64_t)n < w->kept ? n : (size_t)w->kept;
		/* What it asked back then has been answered. */
		screen_feed(w->screen, bytes, old, NULL, NULL);
		w->kept -= (int64_t)old;
		bytes += old;
		n -= old;
		if (w->kept > 0)
			return;
		be_ready(w);
	}
	cleanup_buf struct buf view = { 0 }, reply = { 0 };
	screen_feed(w->screen, bytes, n, &view, &reply);
	if (reply.len && channel_room(w->stream) >= reply.len)
		channel_write(w->stream, reply.data, reply.len);
	for (struct look *l = w->looks; l && view.len; l = l->next)
		l->sink->view(l->owner, view.data, view.len);
}

static void on_room(void *owner)
{
	struct watched *w = owner;
	for (struct look *l = w->looks; l; l = l->next)
		l->sink->room(l->owner);
}

static void on_again(void *owner);

static void on_ended(void *owner, int code, const struct perry_err *err)
{
	struct watched *w = owner;
	w->stream = NULL;
	if (err && err->code == PERRY_ECONFLICT && w->screen && w->looks) {
		/* It printed more than is kept there while we read: whoever looks sees how far we came, and goes on
		 * with what is there by then. */
		if (!w->ready)
			be_ready(w);
		w->ready = false;
		loop_timer_set(w->s->loop, &w->again, clock_mono_ms() + AGAIN_MS, on_again, w);
		return;
	}
	w->over = true;
	while (w->looks) {
		struct look *l = w->looks;
		w->looks = l->next;
		l->w = NULL;
		l->sink->ended(l->owner, code, err);
	}
	free_watched(w);
}

static void on_none(void *owner)
{
	cleanup_err struct perry_err *err = NULL;
	perry_fail(&err, PERRY_ESTATE, "sessions cannot be had in this workspace; perry restart brings what they need");
	on_ended(owner, 0, err);
}

static const struct channel_sink sink = { on_opened, on_output, on_room, on_none, on_ended };

/* --- looking --- */

static void on_late(void *owner)
{
	struct watched *w = owner;
	for (struct look *l = w->looks; l; l = l->next)
		l->sink->ready(l->owner);
}

static void attach_to(struct watched *w)
{
	cleanup_json cJSON *o = cJSON_CreateObject();
	json_set_str(o, "kind", "attach");
	json_set_str(o, "session", w->id);
	w->stream = channel_open(w->s->channels, w->container, o, &sink, w);
}

static void on_again(void *owner)
{
	attach_to(owner);
}

static struct watched *attach(struct streams *s, const char *container, const char *session)
{
	struct watched *w = xcalloc(1, sizeof *w);
	w->s = s;
	w->next = s->watched;
	s->watched = w;
	snprintf(w->container, sizeof w->container, "%s", container);
	snprintf(w->id, sizeof w->id, "%s", session);
	attach_to(w);
	return w;
}

void watched_open(struct streams *s, const char *container, const char *session, struct look *look,
		  const struct look_sink *to, void *owner)
{
	struct watched *w = s->watched;
	while (w && (strcmp(w->container, container) != 0 || strcmp(w->id, session) != 0 || w->over))
		w = w->next;
	if (!w)
		w = attach(s, container, session);
	*look = (struct look){ w->looks, w, to, owner };
	w->looks = look;
	if (w->ready)
		loop_timer_set(s->loop, &w->late, clock_mono_ms(), on_late, w);
}

void watched_close(struct look *look)
{
	struct watched *w = take_ptr(look->w);
	if (!w)
		return;
	struct look **at = &w->looks;
	while (*at != look)
		at = &(*at)->next;
	*at = look->next;
	if (!w->looks)
		free_watched(w);
}

bool watched_ready(const struct look *look)
{
	return look->w && look->w->ready;
}

bool watched_alone(const struct look *look)
{
	return look->w && look->w->looks == look && !look->next;
}

struct screen *watched_screen(const struct look *look)
{
	return watched_ready(look) ? look->w->screen : NULL;
}

size_t watched_room(const struct look *look)
{
	return watched_ready(look) && look->w->stream ? channel_room(look->w->stream) : 0;
}

void watched_type(struct look *look, const char *bytes, size_t n)
{
	if (n && look->w && look->w->stream)
		channel_write(look->w->stream, bytes, n);
}

void watched_size(struct look *look, int cols, int rows)
{
	struct watched *w = look->w;
	int now_cols, now_rows;
	if (!watched_ready(look) || !w->stream)
		return;
	screen_size(w->screen, &now_cols, &now_rows);
	/* What a screen cannot be would never be what it is. */
	cols = cols < 2 ? 2 : cols < SCREEN_COLS_MAX ? cols : SCREEN_COLS_MAX;
	rows = rows < 1 ? 1 : rows < SCREEN_ROWS_MAX ? rows : SCREEN_ROWS_MAX;
	if (cols == now_cols && rows == now_rows)
		return;
	screen_resize(w->screen, cols, rows);
	channel_resize(w->stream, cols, rows);
	for (struct look *l = w->looks; l; l = l->next)
		l->sink->sized(l->owner);
}
