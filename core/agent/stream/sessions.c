#include "agent/stream/sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/channel/channel.h"
#include "agent/stream/state.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { LINE_MAX_BYTES = 64 << 10, AGAIN_MS = 5000, OPEN_DELAY_MS = 250 };

struct followed {
	struct followed *next;
	struct streams *s;
	char *workspace, container[65];
	struct channel_stream *stream;
	struct loop_timer again;
	struct buf line;
	bool skipping;
	cJSON *list; /* under the lock */
};

/* --- what it says --- */

static void tell(struct followed *f, cJSON *take_list)
{
	pthread_mutex_lock(&f->s->sessions_lock);
	cJSON_Delete(f->list);
	f->list = take_list;
	pthread_mutex_unlock(&f->s->sessions_lock);
	if (f->s->setup.sessions)
		f->s->setup.sessions(f->s->setup.ctx, f->workspace);
}

static void take_line(struct followed *f)
{
	cJSON *list = sessions_parse(buf_str(&f->line), f->line.len);
	if (list)
		tell(f, list);
	else
		log_debug("sessions", "%s: a line that is none", f->workspace);
}

static void on_output(void *owner, int fd, const char *bytes, size_t n)
{
	struct followed *f = owner;
	channel_took(f->stream, n);
	while (n && fd == 1) {
		const char *end = memchr(bytes, '\n', n);
		size_t k = end ? (size_t)(end - bytes) : n;
		f->skipping |= f->line.len + k > LINE_MAX_BYTES;
		if (!f->skipping)
			buf_add(&f->line, bytes, k);
		if (!end)
			return;
		if (!f->skipping)
			take_line(f);
		f->skipping = false;
		buf_free(&f->line); /* lines are rare: no memory is kept for the next one */
		f->line = (struct buf){ 0 };
		bytes = end + 1;
		n -= k + 1;
	}
}

static void on_opened(void *owner, const cJSON *details)
{
}

static void on_room(void *owner)
{
}

static void on_again(void *owner);

static void on_none(void *owner)
{
	struct followed *f = owner;
	f->stream = NULL; /* it has none, and never will in this container */
}

static void on_ended(void *owner, int code, const struct perry_err *err)
{
	struct followed *f = owner;
	f->stream = NULL;
	loop_timer_set(f->s->loop, &f->again, clock_mono_ms() + AGAIN_MS, on_again, f);
}

static const struct channel_sink sink = { on_opened, on_output, on_room, on_none, on_ended };

static void on_again(void *owner)
{
	struct followed *f = owner;
	cleanup_json cJSON *o = cJSON_CreateObject();
	json_set_str(o, "kind", "sessions");
	buf_free(&f->line);
	f->line = (struct buf){ 0 };
	f->skipping = false;
	f->stream = channel_open(f->s->channels, f->container, o, &sink, f);
}

/* --- who is followed --- */

static struct followed **find(struct streams *s, const char *workspace)
{
	struct followed **at = &s->followed;
	while (*at && strcmp((*at)->workspace, workspace) != 0)
		at = &(*at)->next;
	return at;
}

static void forget(struct followed **at)
{
	struct followed *f = *at;
	pthread_mutex_lock(&f->s->sessions_lock);
	*at = f->next;
	cJSON_Delete(f->list);
	pthread_mutex_unlock(&f->s->sessions_lock);
	loop_timer_stop(&f->again);
	if (f->stream)
		channel_leave(f->stream);
	buf_free(&f->line);
	free(f->workspace);
	free(f);
}

struct change {
	struct streams *s;
	char *workspace;
};

static void on_change(void *arg)
{
	struct change *c = arg;
	const struct streams_setup *setup = &c->s->setup;
	char container[65] = "";
	bool runs = setup->running && setup->running(setup->ctx, c->workspace, container);
	struct followed **at = find(c->s, c->workspace);
	if (*at && (!runs || strcmp((*at)->container, container) != 0))
		forget(at);
	if (runs && !*find(c->s, c->workspace) && !c->s->quit) {
		struct followed *f = xcalloc(1, sizeof *f);
		f->s = c->s;
		f->workspace = xstrdup(c->workspace);
		snprintf(f->container, sizeof f->container, "%s", container);
		pthread_mutex_lock(&c->s->sessions_lock);
		f->next = c->s->followed;
		c->s->followed = f;
		pthread_mutex_unlock(&c->s->sessions_lock);
		/* A workspace that starts has more urgent work for the engine. */
		loop_timer_set(f->s->loop, &f->again, clock_mono_ms() + OPEN_DELAY_MS, on_again, f);
	}
	free(c->workspace);
	free(c);
}

void sessions_follow(struct streams *s, const char *workspace)
{
	struct change *c = xcalloc(1, sizeof *c);
	c->s = s;
	c->workspace = xstrdup(workspace);
	if (loop_post(s->loop, on_change, c))
		return;
	free(c->workspace);
	free(c);
}

void sessions_forget_all(struct streams *s)
{
	while (s->followed)
		forget(&s->followed);
}

cJSON *sessions_look(struct streams *s, const char *workspace)
{
	pthread_mutex_lock(&s->sessions_lock);
	const struct followed *f = *find(s, workspace);
	cJSON *list = f && f->list ? cJSON_Duplicate(f->list, 1) : cJSON_CreateArray();
	pthread_mutex_unlock(&s->sessions_lock);
	return list;
}
