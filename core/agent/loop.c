#include "agent/loop.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { EVENTS_A_ROUND = 64 };

struct loop_watch {
	struct loop *loop;
	struct loop_watch *next; /* of the dropped ones: freed after the round, so that a late event finds them */
	int fd;
	uint32_t events;
	void (*fn)(void *owner, uint32_t events); /* NULL: dropped */
	void *owner;
};

struct call {
	struct call *next;
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	loop_settle_fn settle;
	void *ctx;
	int epoll_fd, wake_fd;
	pthread_t thread;

	pthread_mutex_t lock; /* of the next lines */
	struct call *calls, **calls_tail;
	int working;
	bool stopping, ended;

	struct loop_timer timers; /* the head of a ring, by due */
	struct loop_watch *dropped;
};

/* --- calls and work --- */

static void wake(struct loop *l)
{
	uint64_t one = 1;
	if (write(l->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		abort(); /* an eventfd does not fail otherwise */
}

/* Under the lock. */
static void add_call(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct call *c = xmalloc(sizeof *c);
	*c = (struct call){ NULL, fn, arg };
	if (!l->calls)
		wake(l); /* the others find it awake */
	*l->calls_tail = c;
	l->calls_tail = &c->next;
}

bool loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&l->lock);
	bool ended = l->ended;
	if (!ended)
		add_call(l, fn, arg);
	pthread_mutex_unlock(&l->lock);
	return !ended;
}

static void run_calls(struct loop *l)
{
	uint64_t count;
	if (read(l->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		abort();
	pthread_mutex_lock(&l->lock);
	struct call *c = l->calls;
	l->calls = NULL;
	l->calls_tail = &l->calls;
	pthread_mutex_unlock(&l->lock);
	while (c) {
		struct call *next = c->next;
		c->fn(c->arg);
		free(c);
		c = next;
	}
}

struct worker {
	struct loop *l;
	void (*work)(void *arg), (*done)(void *arg);
	void *arg;
};

static void *worker_main(void *arg)
{
	struct worker w = *(struct worker *)arg;
	free(arg);
	w.work(w.arg);
	/* Both at once: with the last unlock the loop may be gone. */
	pthread_mutex_lock(&w.l->lock);
	add_call(w.l, w.done, w.arg);
	w.l->working--;
	pthread_mutex_unlock(&w.l->lock);
	return NULL;
}

void loop_work(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct worker *w = xmalloc(sizeof *w);
	*w = (struct worker){ l, work, done, arg };
	pthread_mutex_lock(&l->lock);
	l->working++;
	pthread_mutex_unlock(&l->lock);
	pthread_attr_t detached;
	pthread_t t;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&t, &detached, worker_main, w) != 0)
		worker_main(w); /* no thread to be had: slow is better than not at all */
	pthread_attr_destroy(&detached);
}

/* --- descriptors --- */

struct loop_watch *loop_watch_new(struct loop *l, int fd, void (*fn)(void *owner, uint32_t events), void *owner)
{
	struct loop_watch *w = xcalloc(1, sizeof *w);
	w->loop = l;
	w->fd = fd;
	w->fn = fn;
	w->owner = owner;
	return w;
}

void loop_watch_set(struct loop_watch *w, uint32_t events)
{
	if (events == w->events)
		return;
	struct epoll_event ev = { .events = events, .data.ptr = w };
	int op = !events ? EPOLL_CTL_DEL : w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (epoll_ctl(w->loop->epoll_fd, op, w->fd, &ev) < 0)
		log_error("loop", "descriptor %d: %s", w->fd, strerror(errno));
	w->events = events;
}

uint32_t loop_watch_events(const struct loop_watch *w)
{
	return w->events;
}

void loop_watch_drop(struct loop_watch **place)
{
	struct loop_watch *w = take_ptr(*place);
	if (!w)
		return;
	loop_watch_set(w, 0);
	w->fn = NULL;
	w->next = w->loop->dropped;
	w->loop->dropped = w;
}

/* What it does not ask for any more, because of something earlier in this round, is not told. */
static void tell(struct loop_watch *w, uint32_t events)
{
	events &= w->events | EPOLLERR | EPOLLHUP;
	if (w->fn && w->events && events)
		w->fn(w->owner, events);
}

static void free_dropped(struct loop *l)
{
	for (struct loop_watch *w; (w = l->dropped);) {
		l->dropped = w->next;
		free(w);
	}
}

/* --- timers --- */

static void ring_init(struct loop_timer *head)
{
	head->next = head->prev = head;
}

void loop_timer_stop(struct loop_timer *t)
{
	if (!t->next)
		return;
	t->next->prev = t->prev;
	t->prev->next = t->next;
	t->next = t->prev = NULL;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t due, void (*fn)(void *owner), void *owner)
{
	loop_timer_stop(t);
	t->due = due;
	t->fn = fn;
	t->owner = owner;
	/* From the end: most are due after those that were set before. */
	struct loop_timer *before = l->timers.prev;
	while (before != &l->timers && before->due > due)
		before = before->prev;
	t->prev = before;
	t->next = before->next;
	t->prev->next = t->next->prev = t;
}

static void run_timers(struct loop *l)
{
	if (l->timers.next == &l->timers)
		return;
	/* Those that are due come into a ring of their own: a callback may stop any of them, and what it sets anew
	 * waits for the next round. */
	int64_t now = clock_mono_ms();
	struct loop_timer due, *last = &l->timers;
	ring_init(&due);
	while (last->next != &l->timers && last->next->due <= now)
		last = last->next;
	if (last == &l->timers)
		return;
	due.next = l->timers.next;
	due.prev = last;
	l->timers.next = last->next;
	l->timers.next->prev = &l->timers;
	due.next->prev = last->next = &due;
	while (due.next != &due) {
		struct loop_timer *t = due.next;
		loop_timer_stop(t);
		t->fn(t->owner);
	}
}

/* For epoll_wait: milliseconds, -1: for ever. */
static int until_next(const struct loop *l)
{
	if (l->timers.next == &l->timers)
		return -1;
	int64_t ms = l->timers.next->due - clock_mono_ms();
	return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

/* --- life --- */

static bool settled(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	bool stopping = l->stopping;
	pthread_mutex_unlock(&l->lock);
	bool nothing_left = l->settle ? l->settle(l->ctx, stopping) : true;
	free_dropped(l);
	if (!stopping || !nothing_left)
		return false;
	pthread_mutex_lock(&l->lock);
	bool ended = l->ended = !l->working && !l->calls;
	pthread_mutex_unlock(&l->lock);
	return ended;
}

static void *loop_main(void *arg)
{
	struct loop *l = arg;
	do {
		struct epoll_event ev[EVENTS_A_ROUND];
		bool woken = false;
		int n = epoll_wait(l->epoll_fd, ev, EVENTS_A_ROUND, until_next(l));
		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr)
				tell(ev[i].data.ptr, ev[i].events);
			else
				woken = true;
		}
		if (woken)
			run_calls(l);
		run_timers(l);
	} while (!settled(l));
	return NULL;
}

int loop_open(struct loop **out, loop_settle_fn settle, void *ctx, struct perry_err **err)
{
	struct loop *l = xcalloc(1, sizeof *l);
	l->settle = settle;
	l->ctx = ctx;
	l->calls_tail = &l->calls;
	ring_init(&l->timers);
	pthread_mutex_init(&l->lock, NULL);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event ev = { .events = EPOLLIN };
	bool ok = l->epoll_fd >= 0 && l->wake_fd >= 0 && epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) == 0;
	int rc = ok ? pthread_create(&l->thread, NULL, loop_main, l) : errno;
	if (rc) {
		loop_free(l);
		return perry_fail_errno(err, rc, "cannot start an event loop");
	}
	*out = l;
	return 0;
}

void loop_stop(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	l->stopping = true;
	wake(l);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	free_dropped(l);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
