/* The long-lived execs: opened by jobs, read and written without blocking, opened again when they break. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "agent/jobs.h"
#include "agent/watch/priv.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	RETRY_MS = 1000,
	RETRY_MAX_MS = 60000,
	LIVED_MS = 30000,    /* a watch that held so long begins anew with the tries */
	GIVE_UP = 6,         /* so many watches that ended without a word */
	READ_PAUSE_MS = 200, /* between two reads of one workspace: it cannot keep us busy */
};

void watcher_close(struct watchers *w, struct entry *e)
{
	if (!e->stream)
		return;
	if (!e->resting)
		epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, docker_stream_fd(e->stream), NULL);
	docker_stream_free(take_ptr(e->stream));
	e->resting = false;
	e->read_at = 0;
	buf_free(&e->line);
	buf_free(&e->out);
	e->line = e->out = (struct buf){ 0 };
	free(take_ptr(e->sent));
}

static void watch_output(struct watchers *w, struct entry *e)
{
	struct epoll_event ev = { .events = EPOLLIN | (e->out.len ? EPOLLOUT : 0), .data.ptr = e };
	if (!e->resting)
		epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, docker_stream_fd(e->stream), &ev);
}

void watcher_flush(struct watchers *w, struct entry *e)
{
	while (e->out.len) {
		ssize_t n = docker_stream_write(e->stream, e->out.data, e->out.len);
		if (n <= 0)
			break; /* one that is gone shows when it is read */
		buf_consume(&e->out, (size_t)n);
	}
	watch_output(w, e);
}

static void take_line(struct watchers *w, struct entry *e, const char *text, size_t n)
{
	struct watch_line line;
	cleanup_err struct perry_err *err = NULL;
	if (watch_line_parse(text, n, &line, &err) < 0) {
		log_debug("ports", "%s: %s", e->name, perry_msg(err));
		return;
	}
	if (line.kind == WATCH_PORTS) {
		watcher_ports(w, e, &line);
	} else if (line.kind == WATCH_ACTIVITY) {
		watcher_sampled(w, e, take_ptr(line.object));
	} else if (line.kind == WATCH_TAILNET || line.kind == WATCH_SERVE) {
		cJSON **place = line.kind == WATCH_TAILNET ? &e->tailnet : &e->serve;
		pthread_mutex_lock(&w->lock);
		cJSON_Delete(*place);
		*place = take_ptr(line.object);
		pthread_mutex_unlock(&w->lock);
		if (line.kind == WATCH_TAILNET)
			watcher_tell_tailnet(w, e);
	}
	watch_line_free(&line);
}

struct reading {
	struct watchers *w;
	struct entry *e;
};

static int on_bytes(void *ctx, int fd, const char *bytes, size_t n)
{
	struct reading *r = ctx;
	struct entry *e = r->e;
	if (fd == 2) {
		if (e->said.len < 400)
			buf_add(&e->said, bytes, n < 400 ? n : 400);
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
			take_line(r->w, e, buf_str(&e->line), e->line.len);
		e->skipping = false;
		buf_free(&e->line); /* lines are rare: no memory is kept for the next one */
		e->line = (struct buf){ 0 };
		bytes = end + 1;
		n -= k + 1;
	}
	return 0;
}

static void lost(struct watchers *w, struct entry *e, const char *why)
{
	bool heard = e->heard, old = !heard && strstr(buf_str(&e->said), "usage: perry-step");
	watcher_close(w, e);
	e->tries = heard && clock_mono_ms() - e->opened > LIVED_MS ? 1 : e->tries + 1;
	if (old || (!heard && e->tries >= GIVE_UP)) {
		e->given_up = true;
		watcher_problem(w, e,
				old ? "its helper is of an older version of perry, which does not tell what listens; "
				      "perry restart brings the new one"
				: *buf_str(&e->said) ? str_trim(e->said.data)
						     : why);
		log_warn("ports", "%s: %s", e->name, e->problem);
	} else {
		int64_t wait = (int64_t)RETRY_MS << (e->tries < 10 ? e->tries - 1 : 9);
		watcher_problem(w, e, why);
		e->open_at = clock_mono_ms() + (wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS);
	}
	buf_free(&e->said);
	e->said = (struct buf){ 0 };
}

struct opening {
	struct watchers *w;
	struct news *news;
};

static void open_watch(void *arg)
{
	struct opening *o = arg;
	const char *argv[] = { o->w->step, "watch", NULL };
	const struct docker_exec x = { .argv = argv, .user = "0:0" };
	docker_exec_open(o->w->setup.docker, o->news->container, &x, &o->news->stream, &o->news->err);
	watcher_post(o->w, o->news);
	free(o);
}

void watcher_open(struct watchers *w, struct entry *e)
{
	struct opening *o = xcalloc(1, sizeof *o);
	o->w = w;
	o->news = watcher_news(NEWS_OPENED, e->name);
	memcpy(o->news->container, e->container, sizeof e->container);
	e->open_at = 0;
	e->opening = jobs_run(w->setup.jobs, open_watch, o);
	if (e->opening) {
		w->openings++;
	} else {
		watcher_news_free(o->news);
		free(o);
	}
}

void watcher_read(struct watchers *w, struct entry *e)
{
	struct reading r = { w, e };
	cleanup_err struct perry_err *err = NULL;
	int rc = docker_stream_read(e->stream, on_bytes, &r, &err);
	if (rc <= 0) {
		lost(w, e, err ? perry_msg(err) : "the watch in it ended");
		return;
	}
	epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, docker_stream_fd(e->stream), NULL);
	e->resting = true;
	e->read_at = clock_mono_ms() + READ_PAUSE_MS;
}

void watcher_listen(struct watchers *w, struct entry *e)
{
	struct epoll_event ev = { .events = EPOLLIN | (e->out.len ? EPOLLOUT : 0), .data.ptr = e };
	e->resting = false;
	e->read_at = 0;
	epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, docker_stream_fd(e->stream), &ev);
}

void watcher_opened(struct watchers *w, struct entry *e, struct news *n)
{
	w->openings--;
	if (!e)
		return;
	e->opening = false;
	if (strcmp(n->container, e->container) != 0) {
		e->open_at = clock_mono_ms();
		return;
	}
	if (!n->stream) {
		lost(w, e, n->err ? perry_msg(n->err) : "the engine gave no stream");
		return;
	}
	e->stream = take_ptr(n->stream);
	e->opened = clock_mono_ms();
	watcher_listen(w, e);
	/* What came with the head is not reported. */
	watcher_read(w, e);
}
