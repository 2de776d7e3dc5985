/* The holder's loop: descriptors, timers, children, the end. */
#include "step/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define AGAIN_MS    1000 /* after an accept that failed */
#define TRIM_MS     1000
#define LAST_EVENTS 1000

static int poller;
static struct timer *timers;
static struct source listening, signals;
static struct timer accept_again;
bool holder_stopping;

void source_open(struct source *s, int fd, void (*ready)(struct source *s, unsigned events), void *owner)
{
	*s = (struct source){ .fd = fd, .ready = ready, .owner = owner };
}

void source_want(struct source *s, unsigned events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };
	if (s->fd < 0 || events == s->wanted)
		return;
	/* One that is not wanted leaves: its end would be told again and again. */
	int op = !events ? EPOLL_CTL_DEL : s->wanted ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (!epoll_ctl(poller, op, s->fd, &e))
		s->wanted = events;
}

void source_close(struct source *s)
{
	source_want(s, 0);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void timer_clear(struct timer *t)
{
	if (!t->at)
		return;
	for (struct timer **p = &timers; *p; p = &(*p)->next)
		if (*p == t) {
			*p = t->next;
			break;
		}
	t->at = 0;
}

void timer_set(struct timer *t, long long at)
{
	timer_clear(t);
	t->at = at;
	struct timer **p = &timers;
	while (*p && (*p)->at <= at)
		p = &(*p)->next;
	t->next = *p;
	*p = t;
}

static void accept_one(struct source *s, unsigned events)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		channel_open(fd);
	} else if (errno != EAGAIN && errno != EINTR) {
		source_want(s, 0);
		timer_set(&accept_again, now_ms() + AGAIN_MS);
	}
}

static void accept_anew(struct timer *t)
{
	source_want(&listening, EPOLLIN);
}

/* init ends all, or somebody who is root ends us: what runs may end, what comes finds a new holder. */
static void stop(void)
{
	if (holder_stopping)
		return;
	holder_stopping = true;
	timer_clear(&accept_again);
	source_close(&listening);
	jobs_end_watches();
}

static void take_signals(struct source *s, unsigned events)
{
	struct signalfd_siginfo info;
	while (read(s->fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGTERM)
			stop();
	}
	jobs_reap();
}

static int pause_ms(void)
{
	long long now = now_ms(), most = channels_fat() ? TRIM_MS : -1;
	if (!timers)
		return (int)most;
	long long ms = timers->at > now ? timers->at - now : 0;
	return (int)(most >= 0 && most < ms ? most : ms < 3600000 ? ms : 3600000);
}

void holder_run(int listener)
{
	sigset_t watched;
	prctl(PR_SET_NAME, HOLDER_NAME);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGTERM);
	sigprocmask(SIG_BLOCK, &watched, NULL);
	poller = epoll_create1(EPOLL_CLOEXEC);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	source_open(&listening, listener, accept_one, NULL);
	source_open(&signals, signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK), take_signals, NULL);
	if (poller < 0 || signals.fd < 0)
		_exit(EXIT_STEP);
	accept_again.fire = accept_anew;
	source_want(&listening, EPOLLIN);
	source_want(&signals, EPOLLIN);
	for (int last = 0; last < LAST_EVENTS;) {
		struct epoll_event e;
		bool over = holder_stopping && !jobs_left(); /* what they wrote and how they ended is still told */
		/* One at a time: what it does may close any other. */
		int n = epoll_wait(poller, &e, 1, over ? 0 : pause_ms());
		if (n > 0) {
			struct source *s = e.data.ptr;
			s->ready(s, e.events);
		}
		for (long long now = now_ms(); timers && timers->at <= now;) {
			struct timer *t = timers;
			timer_clear(t);
			t->fire(t);
		}
		channels_turn();
		if (over && n <= 0)
			break;
		last += over;
		if (n == 0)
			channels_trim();
	}
	channels_stop();
	_exit(0);
}
