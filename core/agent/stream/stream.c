#include "agent/stream/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/channel/channel.h"
#include "agent/stream/conn.h"
#include "agent/stream/source.h"
#include "base/clock.h"
#include "base/mem.h"

struct channels *streams_channels(struct streams *s)
{
	return s->channels;
}

int streams_count(struct streams *s)
{
	return atomic_load(&s->terminals);
}

/* --- the end of all streams of a workspace, or of a caller --- */

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
	stream_conns_close_workspace(e->s, e->name, e->code, e->reason);
	end_free(e);
}

static void on_caller_end(void *arg)
{
	struct end *e = arg;
	stream_conns_close_caller(e->s, e->name, e->code, e->reason);
	end_free(e);
}

static void post_end(struct streams *s, void (*fn)(void *arg), const char *name, uint16_t code, const char *reason)
{
	struct end *e = xmalloc(sizeof *e);
	*e = (struct end){ s, code, xstrdup(name), xstrdup(reason) };
	if (!loop_post(s->loop, fn, e))
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

static void on_stop_over(void *owner)
{
	struct streams *s = owner;
	uint64_t one = 1;
	stream_conns_drop(s);
	channels_end(s->channels);
	atomic_store(&s->cancel.set, true);
	if (write(s->cancel.fd, &one, sizeof one) < 0)
		abort(); /* an eventfd that holds 0 takes 1 */
}

static bool settle(void *ctx, bool stopping)
{
	struct streams *s = ctx;
	if (stopping && !s->quit) {
		s->quit = true;
		loop_timer_set(s->loop, &s->stop, clock_mono_ms() + s->setup.stop_ms, on_stop_over, s);
		stream_conns_close(s, 1001, "Server shutting down");
		stream_sources_end(s);
		sessions_forget_all(s);
	}
	stream_conns_flush(s);
	bool nothing_left = !s->conns && !s->sources;
	if (stopping && nothing_left)
		channels_end(s->channels);
	return nothing_left;
}

int streams_open(struct streams **out, const struct streams_setup *setup, struct perry_err **err)
{
	struct streams *s = xcalloc(1, sizeof *s);
	s->setup = *setup;
	strangers_init(&s->strangers);
	pthread_mutex_init(&s->sessions_lock, NULL);
	if (!s->setup.max_connections)
		s->setup.max_connections = 256;
	if (!s->setup.max_channels)
		s->setup.max_channels = 64;
	if (!s->setup.stop_ms)
		s->setup.stop_ms = 3000;
	if (!s->setup.stranger_ms)
		s->setup.stranger_ms = STRANGER_MS;
	s->cancel.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int rc = s->cancel.fd >= 0 ? loop_open(&s->loop, settle, s, err) : perry_fail_errno(err, errno, "eventfd");
	if (rc < 0) {
		streams_free(s);
		return perry_wrap(err, "cannot start the streams");
	}
	s->channels = channels_new(s->loop, s->setup.docker);
	*out = s;
	return 0;
}

void streams_stop(struct streams *s)
{
	if (!s)
		return;
	atomic_store(&s->closed, true);
	loop_stop(s->loop);
}

void streams_free(struct streams *s)
{
	if (!s)
		return;
	channels_free(s->channels);
	loop_free(s->loop);
	if (s->cancel.fd >= 0)
		close(s->cancel.fd);
	pthread_mutex_destroy(&s->strangers.lock);
	pthread_mutex_destroy(&s->sessions_lock);
	free(s);
}
