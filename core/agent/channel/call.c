#include "agent/channel/call.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/channel/opening.h"
#include "agent/channel/state.h"
#include "base/clock.h"
#include "base/mem.h"

enum {
	ANSWER_MAX = 1 << 20,
	ASK_MS = 15000,
	END_MS = 5000,     /* for the end of what is to end; after that it is left alone */
	FLAG_LOOK_MS = 50, /* a cancel without a descriptor is looked at so often */
};

/* Shared by the one who waits and the loop; gone when both are done with it. */
struct waiting {
	struct channels *all;
	char container[65];
	cJSON *open;
	struct buf in;                 /* the loop's */
	struct channel_stream *stream; /* the loop's */
	size_t max;
	bool ask, one_line;
	int fd; /* an eventfd: it has ended */

	pthread_mutex_t lock; /* of what follows */
	int refs;
	bool none, ended;
	cJSON *details;
	struct docker_exec_result res;
	struct perry_err *err;
};

static void unref(struct waiting *w)
{
	pthread_mutex_lock(&w->lock);
	int left = --w->refs;
	pthread_mutex_unlock(&w->lock);
	if (left)
		return;
	cJSON_Delete(w->open);
	cJSON_Delete(w->details);
	buf_free(&w->in);
	buf_free(&w->res.out);
	buf_free(&w->res.err);
	perry_err_free(w->err);
	if (w->fd >= 0)
		close(w->fd);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* --- the loop's thread --- */

static void on_room(void *owner)
{
	struct waiting *w = owner;
	while (w->stream && w->in.len) {
		size_t n = channel_room(w->stream);
		n = n < w->in.len ? n : w->in.len;
		if (!n)
			return;
		channel_write(w->stream, w->in.data, n);
		buf_consume(&w->in, n);
		if (!w->in.len)
			channel_eof(w->stream);
	}
}

static void on_opened(void *owner, const cJSON *details)
{
	struct waiting *w = owner;
	pthread_mutex_lock(&w->lock);
	w->details = details ? cJSON_Duplicate(details, 1) : NULL;
	pthread_mutex_unlock(&w->lock);
	if (!w->in.len && !w->ask)
		channel_eof(w->stream);
}

static void on_output(void *owner, int fd, const char *bytes, size_t n)
{
	struct waiting *w = owner;
	pthread_mutex_lock(&w->lock);
	struct buf *to = fd == 2 ? &w->res.err : &w->res.out;
	size_t room = w->max > to->len ? w->max - to->len : 0, take = n < room ? n : room;
	if (take)
		buf_add(to, bytes, take);
	w->res.dropped += n - take;
	bool enough = w->one_line && w->res.out.len && memchr(w->res.out.data, '\n', w->res.out.len);
	pthread_mutex_unlock(&w->lock);
	channel_took(w->stream, n);
	if (enough)
		channel_close(w->stream);
}

static void over(struct waiting *w, bool none, int code, struct perry_err *take_err)
{
	uint64_t one = 1;
	w->stream = NULL;
	pthread_mutex_lock(&w->lock);
	w->ended = true;
	w->none = none;
	w->res.exit_code = code;
	w->err = take_err;
	pthread_mutex_unlock(&w->lock);
	if (write(w->fd, &one, sizeof one) < 0)
		abort(); /* an eventfd that holds 0 takes 1 */
	unref(w);
}

static void on_none(void *owner)
{
	over(owner, true, 0, NULL);
}

static void on_ended(void *owner, int code, const struct perry_err *err)
{
	over(owner, false, code, err ? perry_err_copy(err) : NULL);
}

static const struct channel_sink sink = { on_opened, on_output, on_room, on_none, on_ended };

static void begin(void *arg)
{
	struct waiting *w = arg;
	w->stream = channel_open(w->all, w->container, w->open, &sink, w);
	on_room(w);
}

static void stop(void *arg)
{
	struct waiting *w = arg;
	if (w->stream)
		channel_close(w->stream);
	unref(w);
}

static void drop(void *arg)
{
	struct waiting *w = arg;
	if (w->stream) {
		channel_leave(take_ptr(w->stream));
		unref(w); /* the stream's */
	}
	unref(w);
}

/* --- the one who waits --- */

static bool is_set(const struct docker_cancel *c)
{
	return c && atomic_load(&c->set);
}

/* Until it has ended (0), the deadline (0: none; PERRY_ETIMEOUT) or the cancel. */
static int await(const struct waiting *w, int64_t deadline, struct docker_cancel *cancel, struct perry_err **err)
{
	for (;;) {
		int64_t left = deadline ? deadline - clock_mono_ms() : 60000;
		if (is_set(cancel))
			return perry_fail(err, PERRY_ECANCELLED, "cancelled");
		if (left <= 0)
			return perry_fail(err, PERRY_ETIMEOUT, "the command did not end in time");
		if (cancel && cancel->fd < 0 && left > FLAG_LOOK_MS)
			left = FLAG_LOOK_MS;
		struct pollfd p[2] = { { .fd = w->fd, .events = POLLIN },
				       { .fd = cancel ? cancel->fd : -1, .events = POLLIN } };
		if (poll(p, 2, left < 60000 ? (int)left : 60000) > 0 && p[0].revents)
			return 0;
	}
}

static bool post(struct waiting *w, void (*fn)(void *arg))
{
	pthread_mutex_lock(&w->lock);
	w->refs++;
	pthread_mutex_unlock(&w->lock);
	if (loop_post(w->all->loop, fn, w))
		return true;
	unref(w);
	return false;
}

static void end_it(struct waiting *w)
{
	if (post(w, stop) && await(w, clock_mono_ms() + END_MS, NULL, NULL) < 0)
		post(w, drop); /* whoever was asked is silent */
}

static struct waiting *waiting_new(struct channels *all, const char *container, cJSON *take_open, size_t max)
{
	struct waiting *w = xcalloc(1, sizeof *w);
	w->all = all;
	snprintf(w->container, sizeof w->container, "%s", container);
	w->open = take_open;
	w->max = max;
	pthread_mutex_init(&w->lock, NULL);
	w->refs = 1;
	w->fd = eventfd(0, EFD_CLOEXEC);
	return w;
}

/* Begins it and waits for its end. */
static int run(struct waiting *w, int timeout_ms, struct docker_cancel *cancel, struct perry_err **err)
{
	w->refs = 2;
	if (w->fd < 0 || !loop_post(w->all->loop, begin, w)) {
		w->refs = 1;
		return perry_fail(err, PERRY_ECANCELLED, "the agent is ending");
	}
	return await(w, timeout_ms ? clock_mono_ms() + timeout_ms : 0, cancel, err);
}

int channel_ask(struct channels *all, const char *container, const cJSON *open, bool one_line,
		struct docker_cancel *cancel, cJSON **details, struct buf *out, struct perry_err **err)
{
	struct waiting *w = waiting_new(all, container, cJSON_Duplicate(open, 1), ANSWER_MAX);
	w->ask = true;
	w->one_line = one_line;
	int rc = run(w, ASK_MS, cancel, err);
	if (rc < 0)
		end_it(w);
	pthread_mutex_lock(&w->lock);
	bool line = one_line && w->res.out.len;
	if (rc == 0 && w->none)
		rc = perry_fail(err, PERRY_ESTATE,
				"This workspace has no sessions; perry restart brings what they need");
	else if (rc == 0 && w->err && !line)
		rc = perry_move(err, take_ptr(w->err));
	if (rc == 0 && details)
		*details = take_ptr(w->details);
	if (rc == 0 && out)
		buf_add(out, buf_str(&w->res.out), w->res.out.len);
	pthread_mutex_unlock(&w->lock);
	unref(w);
	return rc;
}

int channel_exec_collect(struct channels *all, const char *container, const struct channel_call *call,
			 struct docker_cancel *cancel, struct docker_exec_result *res, struct perry_err **err)
{
	struct waiting *w = waiting_new(all, container,
					channel_opening(&(struct channel_opening){ .kind = "exec",
										   .id = call->exec.id,
										   .user = call->exec.user,
										   .cwd = call->exec.cwd,
										   .command = call->exec.command }),
					call->max);
	if (call->input_len)
		buf_add(&w->in, call->input, call->input_len);
	int rc = run(w, call->timeout_ms, cancel, err);
	if (rc < 0)
		end_it(w);
	pthread_mutex_lock(&w->lock);
	*res = w->res; /* also after a failure, as far as it came */
	w->res.out = w->res.err = (struct buf){ 0 };
	if (rc == 0 && w->none)
		rc = 1;
	else if (rc == 0 && w->err)
		rc = perry_move(err, take_ptr(w->err));
	pthread_mutex_unlock(&w->lock);
	unref(w);
	return rc;
}
