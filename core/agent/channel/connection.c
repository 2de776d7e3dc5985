/* The exec that carries a channel: opened by a thread, then read and written without blocking. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/channel/state.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "docker/step_argv.h"

enum {
	VERSION = 1,
	HEAR_MS = 20000,  /* from the engine's answer to the first frame */
	AGAIN_MS = 60000, /* where there was none, it is tried again after that */
	SAID_MAX = 400,
	LOOK_MS = 5000,
};

static void close_exec(struct channel *ch)
{
	loop_watch_drop(&ch->watch);
	docker_stream_free(take_ptr(ch->exec));
	frame_reader_free(&ch->in);
	buf_free(&ch->out);
	buf_free(&ch->said);
	ch->in = (struct frame_reader){ 0 };
	ch->out = ch->said = (struct buf){ 0 };
	ch->broken = NULL;
}

/* Nobody finds it any more. */
static void unlist(struct channel *ch)
{
	struct channel **at = &ch->all->list;
	while (*at && *at != ch)
		at = &(*at)->next;
	if (*at)
		*at = ch->next;
}

/* Its streams end (whose owners may open new ones, on another), then it is gone. */
static void channel_free(struct channel *ch, const struct perry_err *err)
{
	unlist(ch);
	close_exec(ch);
	loop_timer_stop(&ch->timer);
	loop_timer_stop(&ch->later);
	channel_end_streams(ch, err);
	free(ch);
}

static void on_tell_none(void *owner)
{
	channel_end_streams(owner, NULL);
}

static void on_again(void *owner)
{
	channel_free(owner, NULL);
}

/* There is no channel in this container. */
static void be_none(struct channel *ch, const char *why)
{
	log_info("channel", "%.12s: no channel, commands go through the engine: %s", ch->container, why);
	ch->state = CHANNEL_NONE;
	loop_timer_set(ch->all->loop, &ch->timer, clock_mono_ms() + AGAIN_MS, on_again, ch);
	channel_end_streams(ch, NULL);
}

/* --- the end of one that was open: of the workspace, or of the engine? --- */

struct loss {
	struct channel *ch;
	struct perry_err *err;
};

static void look_thread(void *arg)
{
	struct loss *l = arg;
	cleanup_json cJSON *container = NULL;
	if (docker_container_look(l->ch->all->docker, l->ch->container, LOOK_MS, NULL, &container, &l->err) == 0 &&
	    !json_bool_or(json_at(container, "State"), "Running", true))
		perry_fail(&l->err, PERRY_ESTATE, "Workspace is not running");
}

static void look_done(void *arg)
{
	struct loss *l = arg;
	bool engine = l->err && (l->err->code == PERRY_EUNAVAILABLE || l->err->code == PERRY_ESTATE);
	if (!engine) {
		perry_err_free(take_ptr(l->err));
		perry_fail(&l->err, PERRY_EUNAVAILABLE, "the connection into the workspace broke off");
	}
	channel_free(l->ch, l->err);
	perry_err_free(l->err);
	free(l);
}

static void lost(struct channel *ch, const char *why)
{
	if (ch->state == CHANNEL_QUIET) {
		cleanup_free char *said = xstrdup(*buf_str(&ch->said) ? buf_str(&ch->said) : why);
		close_exec(ch);
		be_none(ch, str_starts(said, "usage: perry-step") ? "its perry-step is of an older version"
								  : str_trim(said));
		return;
	}
	log_debug("channel", "%.12s: %s", ch->container, why);
	close_exec(ch);
	unlist(ch);
	struct loss *l = xcalloc(1, sizeof *l);
	l->ch = ch;
	loop_work(ch->all->loop, look_thread, look_done, l);
}

/* --- reading and writing --- */

static void update(struct channel *ch)
{
	loop_watch_set(ch->watch, EPOLLIN | (ch->out.len || ch->full ? EPOLLOUT : 0));
}

void channel_flush(struct channel *ch)
{
	if (!ch->exec)
		return;
	while (ch->out.len) {
		ssize_t n = docker_stream_write(ch->exec, ch->out.data, ch->out.len);
		if (n <= 0)
			break; /* one that is gone shows when it is read */
		buf_consume(&ch->out, (size_t)n);
	}
	update(ch);
}

static const char *greeted(struct channel *ch, const struct frame *f)
{
	cleanup_json cJSON *j = f->type == FRAME_OPENED ? json_parse(f->payload, f->n, "channel", NULL) : NULL;
	if (json_int_or(j, "version", 0) != VERSION)
		return "a version that is not known";
	if (ch->state != CHANNEL_QUIET)
		return "greeted twice";
	ch->state = CHANNEL_OPEN;
	loop_timer_stop(&ch->timer);
	buf_free(&ch->said);
	ch->said = (struct buf){ 0 };
	channel_send_opens(ch);
	return NULL;
}

static int on_bytes(void *ctx, int fd, const char *bytes, size_t n)
{
	struct channel *ch = ctx;
	if (fd == 2) {
		if (ch->said.len < SAID_MAX)
			buf_add(&ch->said, bytes, n < SAID_MAX ? n : SAID_MAX);
		return 0;
	}
	memcpy(frame_room(&ch->in, n), bytes, n);
	frame_filled(&ch->in, n);
	struct frame f;
	int rc;
	while (!ch->broken && (rc = frame_next(&ch->in, &f)) != 0) {
		if (rc < 0)
			ch->broken = "malformed frames";
		else if (!f.stream)
			ch->broken = greeted(ch, &f);
		else if (ch->state != CHANNEL_OPEN)
			ch->broken = "no greeting";
		else
			ch->broken = channel_take(ch, &f);
	}
	return ch->broken ? -1 : 0;
}

static void read_some(struct channel *ch)
{
	cleanup_err struct perry_err *err = NULL;
	int rc = docker_stream_read(ch->exec, on_bytes, ch, &err);
	if (ch->broken)
		lost(ch, ch->broken);
	else if (rc <= 0)
		lost(ch, err ? perry_msg(err) : "it ended");
	else
		channel_flush(ch);
}

static void on_event(void *owner, uint32_t events)
{
	struct channel *ch = owner;
	if (events & EPOLLOUT) {
		channel_flush(ch);
		channel_tell_room(ch);
		update(ch);
	}
	if (events & ~(uint32_t)EPOLLOUT)
		read_some(ch);
}

static void on_silent(void *owner)
{
	lost(owner, "it says nothing");
}

static void on_deaf(void *owner)
{
	lost(owner, "it ends nothing of what is to end");
}

void channel_give_up(struct channel *ch)
{
	if (ch->state == CHANNEL_OPEN)
		loop_timer_set(ch->all->loop, &ch->later, clock_mono_ms(), on_deaf, ch);
}

/* --- opening --- */

struct opening {
	struct channels *all;
	char container[65];
	struct docker_stream *exec;
	struct perry_err *err;
};

static void open_thread(void *arg)
{
	struct opening *o = arg;
	const char *argv[] = { STEP_PATH, "channel", NULL };
	cleanup_free char *life = xasprintf(STEP_LIFE_VAR "=%s", step_life());
	const char *env[] = { life, NULL };
	const struct docker_exec x = { .argv = argv, .env = env, .user = "0:0" };
	docker_exec_open(o->all->docker, o->container, &x, &o->exec, &o->err);
}

static struct channel *known(struct channels *all, const char *container)
{
	struct channel *ch = all->list;
	while (ch && strcmp(ch->container, container) != 0)
		ch = ch->next;
	return ch;
}

static void open_done(void *arg)
{
	struct opening *o = arg;
	struct channel *ch = known(o->all, o->container);
	if (ch && o->exec) {
		ch->exec = take_ptr(o->exec);
		ch->state = CHANNEL_QUIET;
		ch->watch = loop_watch_new(ch->all->loop, docker_stream_fd(ch->exec), on_event, ch);
		loop_timer_set(ch->all->loop, &ch->timer, clock_mono_ms() + HEAR_MS, on_silent, ch);
		read_some(ch); /* what came with the head is not reported */
	} else if (ch) {
		if (!o->err)
			perry_fail(&o->err, PERRY_EINTERNAL, "the engine gave no stream");
		channel_free(ch, o->err);
	}
	docker_stream_free(o->exec);
	perry_err_free(o->err);
	free(o);
}

struct channel *channel_find(struct channels *all, const char *container)
{
	struct channel *ch = known(all, container);
	if (ch && ch->state == CHANNEL_NONE)
		loop_timer_set(all->loop, &ch->later, clock_mono_ms(), on_tell_none, ch);
	if (ch)
		return ch;
	ch = xcalloc(1, sizeof *ch);
	ch->all = all;
	ch->next = all->list;
	all->list = ch;
	snprintf(ch->container, sizeof ch->container, "%s", container);
	if (all->ended) {
		ch->state = CHANNEL_NONE;
		loop_timer_set(all->loop, &ch->later, clock_mono_ms(), on_tell_none, ch);
		return ch;
	}
	struct opening *o = xcalloc(1, sizeof *o);
	o->all = all;
	snprintf(o->container, sizeof o->container, "%s", container);
	loop_work(all->loop, open_thread, open_done, o);
	return ch;
}

/* --- life --- */

struct channels *channels_new(struct loop *l, struct docker *d)
{
	struct channels *all = xcalloc(1, sizeof *all);
	all->loop = l;
	all->docker = d;
	return all;
}

void channels_end(struct channels *all)
{
	cleanup_err struct perry_err *err = NULL;
	perry_fail(&err, PERRY_ECANCELLED, "the agent is ending");
	all->ended = true;
	for (struct channel *ch = all->list, *next; ch; ch = next) {
		next = ch->next;       /* new ones come before it */
		channel_free(ch, err); /* a thread that opens it finds nobody */
	}
}

void channels_free(struct channels *all)
{
	while (all && all->list)
		channel_free(all->list, NULL);
	free(all);
}
