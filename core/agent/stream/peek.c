#include "agent/stream/peek.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/screen/screen.h"
#include "agent/stream/state.h"
#include "agent/stream/watched.h"
#include "base/mem.h"

enum { WAIT_MS = 15000 };

/* Shared by the one who waits and the loop; gone when both are done with it. */
struct peek {
	struct streams *s;
	char container[65], session[32];
	struct look look; /* the loop's */
	int fd;           /* an eventfd: done */
	pthread_mutex_t lock;
	int refs;
	bool done;
	struct buf text;
	struct perry_err *err;
};

static void unref(struct peek *p)
{
	pthread_mutex_lock(&p->lock);
	int left = --p->refs;
	pthread_mutex_unlock(&p->lock);
	if (left)
		return;
	buf_free(&p->text);
	perry_err_free(p->err);
	if (p->fd >= 0)
		close(p->fd);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static void done(struct peek *p, const struct perry_err *err)
{
	uint64_t one = 1;
	pthread_mutex_lock(&p->lock);
	bool first = !p->done;
	p->done = true;
	if (first && err)
		p->err = perry_err_copy(err);
	else if (first)
		screen_text(watched_screen(&p->look), &p->text);
	pthread_mutex_unlock(&p->lock);
	if (first && write(p->fd, &one, sizeof one) < 0)
		abort(); /* an eventfd that holds 0 takes 1 */
}

static void on_ready(void *owner)
{
	done(owner, NULL);
}

static void on_ended(void *owner, int code, const struct perry_err *err)
{
	cleanup_err struct perry_err *over = NULL;
	perry_fail(&over, PERRY_ENOTFOUND, "the session has ended");
	done(owner, err ? err : over);
	unref(owner); /* the look's */
}

static void on_view(void *owner, const char *bytes, size_t n)
{
}

static void on_nothing(void *owner)
{
}

static const struct look_sink sink = { on_ready, on_view, on_nothing, on_nothing, on_ended };

static void begin(void *arg)
{
	struct peek *p = arg;
	watched_open(p->s, p->container, p->session, &p->look, &sink, p);
}

static void stop(void *arg)
{
	struct peek *p = arg;
	if (p->look.w) {
		watched_close(&p->look);
		unref(p); /* the look's */
	}
	unref(p);
}

int stream_peek(struct streams *s, const char *container, const char *session, struct docker_cancel *cancel,
		struct buf *out, struct perry_err **err)
{
	struct peek *p = xcalloc(1, sizeof *p);
	p->s = s;
	p->refs = 1;
	pthread_mutex_init(&p->lock, NULL);
	snprintf(p->container, sizeof p->container, "%s", container);
	snprintf(p->session, sizeof p->session, "%s", session);
	p->fd = eventfd(0, EFD_CLOEXEC);
	p->refs = 2; /* and the look's */
	if (p->fd < 0 || !loop_post(s->loop, begin, p)) {
		p->refs = 1;
		unref(p);
		return perry_fail(err, PERRY_ECANCELLED, "the agent is ending");
	}
	struct pollfd fds[2] = { { .fd = p->fd, .events = POLLIN },
				 { .fd = cancel ? cancel->fd : -1, .events = POLLIN } };
	poll(fds, 2, WAIT_MS);
	pthread_mutex_lock(&p->lock);
	int rc = !p->done ? perry_fail(err, PERRY_ETIMEOUT, "the workspace does not answer")
		 : p->err ? perry_move(err, take_ptr(p->err))
			  : 0;
	p->done = true;
	if (rc == 0)
		buf_add(out, buf_str(&p->text), p->text.len);
	pthread_mutex_unlock(&p->lock);
	if (!loop_post(s->loop, stop, p))
		unref(p); /* the loop has ended, and with it the look */
	return rc;
}
