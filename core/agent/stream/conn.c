#include "agent/stream/conn.h"

#include <unistd.h>

#include "agent/who/auth.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#define GOODBYE_MS  2000  /* for the other side's close frame */
#define SLOW_MS     30000 /* and for what is queued before ours */
#define LAST_MS     200   /* then for ours, once it is alone */
#define CLOSE_FRAME 125   /* bytes: no control frame has more */

void stream_conn_send(struct stream_conn *c, const void *bytes, size_t n)
{
	if (!c->closing)
		ws_send(c->ws, true, bytes, n);
}

static void conn_free(struct stream_conn *c)
{
	struct streams *s = c->s;
	c->gone(c);
	loop_timer_stop(&c->timer);
	loop_watch_drop(&c->watch);
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	s->nconns--;
	ws_free(c->ws);
	cJSON_Delete(c->caller);
	free(c);
}

static void on_give_up(void *owner)
{
	conn_free(owner);
}

static void on_goodbye_over(void *owner)
{
	struct stream_conn *c = owner;
	/* A slow reader may take its time for what was queued before the close frame; a dead one may not. */
	c->slow = ws_backlog(c->ws) > CLOSE_FRAME;
	if (c->slow)
		loop_timer_set(c->s->loop, &c->timer, clock_mono_ms() + SLOW_MS, on_give_up, c);
	else
		conn_free(c);
}

void stream_conn_close(struct stream_conn *c, uint16_t code, const char *reason)
{
	if (c->closing)
		return;
	c->closing = true;
	ws_close(c->ws, code, reason);
	loop_timer_set(c->s->loop, &c->timer, clock_mono_ms() + GOODBYE_MS, on_goodbye_over, c);
}

/* What is watched follows from what is queued, and how much longer a slow reader is waited for. */
static void update(struct stream_conn *c)
{
	if (c->slow && ws_backlog(c->ws) <= CLOSE_FRAME) {
		c->slow = false;
		loop_timer_set(c->s->loop, &c->timer, clock_mono_ms() + LAST_MS, on_give_up, c);
	}
	uint32_t events = (c->paused && !c->closing ? 0 : EPOLLIN) | (ws_wants_write(c->ws) ? EPOLLOUT : 0);
	loop_watch_set(c->watch, events ? events : EPOLLRDHUP);
}

static void on_event(void *owner, uint32_t events)
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

void stream_conns_flush(struct streams *s)
{
	for (struct stream_conn *c = s->conns, *next; c; c = next) {
		next = c->next;
		if (ws_wants_write(c->ws) && !(loop_watch_events(c->watch) & EPOLLOUT) && ws_on_writable(c->ws) < 0) {
			conn_free(c);
			continue;
		}
		update(c);
	}
}

void stream_conns_close(struct streams *s, uint16_t code, const char *reason)
{
	for (struct stream_conn *c = s->conns; c; c = c->next)
		stream_conn_close(c, code, reason);
}

void stream_conns_close_workspace(struct streams *s, const char *name, uint16_t code, const char *reason)
{
	for (struct stream_conn *c = s->conns; c; c = c->next)
		if (!c->closing)
			c->workspace_closed(c, name, code, reason);
}

void stream_conns_close_caller(struct streams *s, const char *name, uint16_t code, const char *reason)
{
	for (struct stream_conn *c = s->conns; c; c = c->next)
		if (!c->closing && caller_json_is(c->caller, name))
			stream_conn_close(c, code, reason);
}

void stream_conns_drop(struct streams *s)
{
	while (s->conns)
		conn_free(s->conns);
}

/* --- how they come --- */

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
	void (*attach)(struct stream_conn *c, const char *name);
	char *name;
};

static void arrival_free(struct arrival *a)
{
	if (a->fd >= 0)
		close(a->fd);
	buf_free(&a->early);
	cJSON_Delete(a->caller);
	free(a->name);
	free(a);
}

static void on_arrival(void *arg)
{
	struct arrival *a = arg;
	struct streams *s = a->s;
	struct stream_conn *c = xcalloc(1, sizeof *c);
	fd_watch_peer(a->fd, false);
	c->s = s;
	c->caller = take_ptr(a->caller);
	c->ws = ws_new(a->fd, true, STREAM_MESSAGE, NULL, on_message, c);
	c->watch = loop_watch_new(s->loop, a->fd, on_event, c);
	a->fd = -1;
	c->next = s->conns;
	c->prev = &s->conns;
	if (c->next)
		c->next->prev = &c->next;
	s->conns = c;
	a->attach(c, a->name);
	if (s->quit)
		stream_conn_close(c, 1001, "Server shutting down");
	else if (s->nconns >= s->setup.max_connections)
		stream_conn_close(c, 1008, "too many streams");
	s->nconns++;
	if (a->early.len) {
		ws_feed_early(c->ws, a->early.data, a->early.len);
		on_event(c, EPOLLIN);
	}
	arrival_free(a);
}

void stream_conn_take(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller,
		      void (*attach)(struct stream_conn *c, const char *name), const char *name)
{
	if (take_fd < 0)
		return;
	struct arrival *a = xcalloc(1, sizeof *a);
	a->s = s;
	a->fd = take_fd;
	buf_add(&a->early, early, n);
	a->caller = cJSON_Duplicate(caller, 1);
	a->attach = attach;
	a->name = xstrdup(name);
	if (atomic_load(&s->closed) || !loop_post(s->loop, on_arrival, a))
		arrival_free(a);
}
