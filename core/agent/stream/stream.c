#include "agent/stream/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/who/auth.h"
#include "agent/stream/priv.h"
#include "base/clock.h"
#include "base/mem.h"

#define TICK_MS     200
#define GOODBYE_MS  2000  /* for the other side's close frame */
#define SLOW_MS     30000 /* and for what is queued before ours */
#define STOP_MS     3000  /* for all goodbyes at the end */
#define MAX_MESSAGE (4 * STREAM_PIECE)

struct stream_task {
	struct stream_task *next;
	void (*fn)(void *arg);
	void *arg;
};

/* --- the loop --- */

struct stream_watch *stream_watch_new(struct streams *s, int fd, void (*fn)(void *owner, uint32_t events), void *owner)
{
	struct stream_watch *w = xcalloc(1, sizeof *w);
	w->fd = fd;
	w->fn = fn;
	w->owner = owner;
	return w;
}

void stream_watch_set(struct streams *s, struct stream_watch *w, uint32_t events)
{
	if (events == w->events)
		return;
	struct epoll_event ev = { .events = events, .data.ptr = w };
	epoll_ctl(s->epoll_fd, !events ? EPOLL_CTL_DEL : w->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &ev);
	w->added = events != 0;
	w->events = events;
}

void stream_watch_drop(struct streams *s, struct stream_watch **place)
{
	struct stream_watch *w = take_ptr(*place);
	if (!w)
		return;
	stream_watch_set(s, w, 0);
	w->fn = NULL;
	w->next = s->dropped;
	s->dropped = w;
}

/* Under s->lock. */
static void post_locked(struct streams *s, void (*fn)(void *arg), void *arg)
{
	struct stream_task *t = xmalloc(sizeof *t);
	*t = (struct stream_task){ NULL, fn, arg };
	*s->tasks_tail = t;
	s->tasks_tail = &t->next;
	uint64_t one = 1;
	if (write(s->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		abort(); /* an eventfd does not fail otherwise */
}

void stream_post(struct streams *s, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&s->lock);
	post_locked(s, fn, arg);
	pthread_mutex_unlock(&s->lock);
}

struct worker {
	struct streams *s;
	void (*work)(void *arg), (*done)(void *arg);
	void *arg;
};

static void *worker_main(void *arg)
{
	struct worker w = *(struct worker *)arg;
	free(arg);
	w.work(w.arg);
	pthread_mutex_lock(&w.s->lock);
	post_locked(w.s, w.done, w.arg);
	w.s->workers--;
	pthread_mutex_unlock(&w.s->lock);
	return NULL;
}

void stream_work(struct streams *s, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct worker *w = xmalloc(sizeof *w);
	*w = (struct worker){ s, work, done, arg };
	pthread_mutex_lock(&s->lock);
	s->workers++;
	pthread_mutex_unlock(&s->lock);
	pthread_attr_t detached;
	pthread_t t;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&t, &detached, worker_main, w) != 0)
		worker_main(w); /* no thread to be had: slow is better than not at all */
	pthread_attr_destroy(&detached);
}

void stream_timer_add(struct streams *s, struct stream_timer *t)
{
	if (t->prev)
		return;
	t->s = s;
	t->next = s->timers;
	t->prev = &s->timers;
	if (t->next)
		t->next->prev = &t->next;
	s->timers = t;
}

void stream_timer_remove(struct stream_timer *t)
{
	if (!t->prev)
		return;
	if (t->s->timer_next == t)
		t->s->timer_next = t->next;
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->prev = NULL;
}

/* --- sources --- */

void stream_source_list(struct stream_source *src, struct streams *s, const char *workspace,
			const struct stream_sink *sink, void *owner)
{
	src->s = s;
	src->sink = sink;
	src->owner = owner;
	snprintf(src->workspace, sizeof src->workspace, "%s", workspace);
	src->next = s->sources;
	src->prev = &s->sources;
	if (src->next)
		src->next->prev = &src->next;
	s->sources = src;
	if (s->setup.open)
		s->setup.open(s->setup.ctx, src->workspace, src->use, 1);
}

void stream_source_unlist(struct stream_source *src)
{
	*src->prev = src->next;
	if (src->next)
		src->next->prev = src->prev;
	if (src->s->setup.open)
		src->s->setup.open(src->s->setup.ctx, src->workspace, src->use, -1);
}

void stream_source_orphan(struct stream_source *src)
{
	src->owner = NULL;
	src->end(src);
}

/* --- connections --- */

void stream_conn_send(struct stream_conn *c, const void *bytes, size_t n)
{
	if (!c->closing)
		ws_send(c->ws, true, bytes, n);
}

static void conn_free(struct stream_conn *c)
{
	struct streams *s = c->s;
	c->gone(c);
	stream_timer_remove(&c->timer);
	stream_watch_drop(s, &c->watch);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->nconns--;
	ws_free(c->ws);
	cJSON_Delete(c->caller);
	free(c);
}

static void on_close_timer(void *owner, int64_t now)
{
	struct stream_conn *c = owner;
	/* A slow reader may take its time for what was queued before the close frame; a dead one may not. */
	if (now >= c->close_by + (ws_backlog(c->ws) > 125 ? SLOW_MS : 0))
		conn_free(c);
}

void stream_conn_close(struct stream_conn *c, uint16_t code, const char *reason)
{
	if (c->closing)
		return;
	c->closing = true;
	ws_close(c->ws, code, reason);
	c->close_by = clock_mono_ms() + GOODBYE_MS;
	c->timer.fn = on_close_timer;
	c->timer.owner = c;
	stream_timer_add(c->s, &c->timer);
}

void stream_conn_update(struct stream_conn *c)
{
	uint32_t events = (c->paused && !c->closing ? 0 : EPOLLIN) | (ws_wants_write(c->ws) ? EPOLLOUT : 0);
	stream_watch_set(c->s, c->watch, events ? events : EPOLLRDHUP);
}

static void on_conn_event(void *owner, uint32_t events)
{
	struct stream_conn *c = owner;
	int rc = 0;
	if (events & EPOLLIN)
		rc = ws_on_readable(c->ws);
	else if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		rc = -1;
	if (rc == 0 && (events & EPOLLOUT)) {
		rc = ws_on_writable(c->ws);
		if (rc == 0 && !c->closing)
			c->drained(c);
	}
	if (rc < 0)
		conn_free(c);
}

/* Sends at once what this round queued, instead of asking epoll first. */
static void flush_conns(struct streams *s)
{
	for (struct stream_conn *c = s->conns, *next; c; c = next) {
		next = c->next;
		if (ws_wants_write(c->ws) && !(c->watch->events & EPOLLOUT) && ws_on_writable(c->ws) < 0) {
			conn_free(c);
			continue;
		}
		stream_conn_update(c);
	}
}

static void on_message(void *ctx, bool binary, const char *bytes, size_t n)
{
	struct stream_conn *c = ctx;
	if (!c->closing)
		c->message(c, binary, bytes, n);
}

struct arrival {
	struct streams *s;
	int fd;
	struct buf early;
	cJSON *caller;
	char *terminal; /* NULL: perry.v1 */
};

static void on_arrival(void *arg)
{
	struct arrival *a = arg;
	struct streams *s = a->s;
	struct stream_conn *c = xcalloc(1, sizeof *c);
	int on = 1;
	setsockopt(a->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	c->s = s;
	c->caller = a->caller;
	c->ws = ws_new(a->fd, true, MAX_MESSAGE, NULL, on_message, c);
	c->watch = stream_watch_new(s, a->fd, on_conn_event, c);
	c->next = s->conns;
	c->prev = &s->conns;
	if (c->next)
		c->next->prev = &c->next;
	s->conns = c;
	if (a->terminal)
		stream_terminal_attach(c, a->terminal);
	else
		stream_proto_attach(c);
	if (s->quit)
		stream_conn_close(c, 1001, "Server shutting down");
	else if (s->nconns >= s->setup.max_connections)
		stream_conn_close(c, 1008, "too many streams");
	s->nconns++;
	if (a->early.len) {
		ws_feed_early(c->ws, a->early.data, a->early.len);
		on_conn_event(c, EPOLLIN);
	}
	buf_free(&a->early);
	free(a->terminal);
	free(a);
}

static void take(struct streams *s, int fd, const char *early, size_t n, const cJSON *caller, const char *terminal)
{
	if (fd < 0)
		return;
	struct arrival *a = xcalloc(1, sizeof *a);
	a->s = s;
	a->fd = fd;
	buf_add(&a->early, early, n);
	a->caller = cJSON_Duplicate(caller, 1);
	a->terminal = xstrdup(terminal);
	pthread_mutex_lock(&s->lock);
	bool closed = s->closed;
	if (!closed)
		post_locked(s, on_arrival, a);
	pthread_mutex_unlock(&s->lock);
	if (closed) {
		close(fd);
		buf_free(&a->early);
		cJSON_Delete(a->caller);
		free(a->terminal);
		free(a);
	}
}

void streams_take_perry(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller)
{
	take(s, take_fd, early, n, caller, NULL);
}

void streams_take_terminal(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller,
			   const char *name)
{
	take(s, take_fd, early, n, caller, name);
}

int streams_count(struct streams *s)
{
	return atomic_load(&s->terminals);
}

/* The end of all streams of a workspace, or of a caller. */
struct end {
	struct streams *s;
	uint16_t code;
	char *name, *reason;
};

static void end_free(struct end *e)
{
	free(e->name);
	free(e->reason);
	free(e);
}

static void on_workspace_end(void *arg)
{
	struct end *e = arg;
	for (struct stream_conn *c = e->s->conns; c; c = c->next)
		if (!c->closing)
			c->workspace_closed(c, e->name, e->code, e->reason);
	end_free(e);
}

static void on_caller_end(void *arg)
{
	struct end *e = arg;
	for (struct stream_conn *c = e->s->conns; c; c = c->next)
		if (!c->closing && caller_json_is(c->caller, e->name))
			stream_conn_close(c, e->code, e->reason);
	end_free(e);
}

static void post_end(struct streams *s, void (*fn)(void *arg), const char *name, uint16_t code, const char *reason)
{
	struct end *e = xmalloc(sizeof *e);
	*e = (struct end){ s, code, xstrdup(name), xstrdup(reason) };
	pthread_mutex_lock(&s->lock);
	bool closed = s->closed;
	if (!closed)
		post_locked(s, fn, e);
	pthread_mutex_unlock(&s->lock);
	if (closed)
		end_free(e);
}

void streams_close_workspace(struct streams *s, const char *name, uint16_t code, const char *reason)
{
	post_end(s, on_workspace_end, name, code, reason);
}

void streams_close_caller(struct streams *s, const char *name)
{
	post_end(s, on_caller_end, name, 1008, "Access was removed");
}

/* --- life --- */

static void run_tasks(struct streams *s)
{
	uint64_t count;
	if (read(s->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		abort();
	pthread_mutex_lock(&s->lock);
	struct stream_task *t = s->tasks;
	s->tasks = NULL;
	s->tasks_tail = &s->tasks;
	pthread_mutex_unlock(&s->lock);
	while (t) {
		struct stream_task *next = t->next;
		t->fn(t->arg);
		free(t);
		t = next;
	}
}

static void run_timers(struct streams *s)
{
	int64_t now = clock_mono_ms();
	for (struct stream_timer *t = s->timers; t; t = s->timer_next) {
		s->timer_next = t->next;
		t->fn(t->owner, now); /* may remove any */
	}
}

static bool may_end(struct streams *s)
{
	pthread_mutex_lock(&s->lock);
	bool idle = !s->workers && !s->tasks;
	pthread_mutex_unlock(&s->lock);
	return idle && !s->conns && !s->sources;
}

static void *io_main(void *arg)
{
	struct streams *s = arg;
	int64_t ticked = 0, stop_by = 0;
	for (;;) {
		struct epoll_event ev[64];
		int n = epoll_wait(s->epoll_fd, ev, ARRAY_LEN(ev), s->timers || s->quit ? TICK_MS : -1);
		for (int i = 0; i < n; i++) {
			struct stream_watch *w = ev[i].data.ptr;
			if (!w)
				run_tasks(s);
			else if (w->fn)
				w->fn(w->owner, ev[i].events);
		}
		int64_t now = clock_mono_ms();
		if (now - ticked >= TICK_MS) {
			ticked = now;
			run_timers(s);
		}
		flush_conns(s);
		for (struct stream_watch *w; (w = s->dropped);) {
			s->dropped = w->next;
			free(w);
		}
		if (!s->quit)
			continue;
		if (!stop_by)
			stop_by = now + STOP_MS;
		if (now >= stop_by && !atomic_load(&s->cancel.set)) {
			while (s->conns)
				conn_free(s->conns);
			uint64_t one = 1;
			atomic_store(&s->cancel.set, true);
			if (write(s->cancel.fd, &one, sizeof one) < 0)
				abort();
		}
		if (may_end(s))
			return NULL;
	}
}

void streams_free(struct streams *s)
{
	if (!s)
		return;
	int fds[] = { s->epoll_fd, s->wake_fd, s->cancel.fd };
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pthread_mutex_destroy(&s->lock);
	free((char *)(uintptr_t)s->setup.step);
	free(s);
}

int streams_open(struct streams **out, const struct streams_setup *setup, struct perry_err **err)
{
	struct streams *s = xcalloc(1, sizeof *s);
	s->setup = *setup;
	s->setup.step = xstrdup(setup->step ? setup->step : "/opt/perry/bin/perry-step");
	if (!s->setup.max_connections)
		s->setup.max_connections = 256;
	if (!s->setup.max_channels)
		s->setup.max_channels = 64;
	s->tasks_tail = &s->tasks;
	pthread_mutex_init(&s->lock, NULL);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->cancel.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	bool ok = s->epoll_fd >= 0 && s->wake_fd >= 0 && s->cancel.fd >= 0;
	int rc = ok && epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->wake_fd, &ev) == 0 ? 0 : errno;
	if (!rc)
		rc = pthread_create(&s->thread, NULL, io_main, s);
	if (rc) {
		streams_free(s);
		return perry_fail_errno(err, rc, "cannot start the streams");
	}
	*out = s;
	return 0;
}

static void on_stop(void *arg)
{
	struct streams *s = arg;
	s->quit = true;
	for (struct stream_conn *c = s->conns; c; c = c->next)
		stream_conn_close(c, 1001, "Server shutting down");
	for (struct stream_source *src = s->sources, *next; src; src = next) {
		next = src->next;
		src->end(src);
	}
}

void streams_stop(struct streams *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->closed = true;
	post_locked(s, on_stop, s);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
}
