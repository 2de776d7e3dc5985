#include "agent/channel/pipe.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/channel/state.h"
#include "base/mem.h"

struct channel_pipe {
	struct channels *all;
	struct loop *owners;
	char container[65];
	cJSON *open;
	pthread_mutex_t lock; /* of refs */
	int refs;             /* messages under way, the stream and the owner */

	const struct pipe_sink *sink; /* the owner's loop's */
	void *owner;                  /* NULL: it has left, or was told the end */

	struct channel_stream *stream; /* the channels' loop's */
	struct buf in;
};

static void ref(struct channel_pipe *p)
{
	pthread_mutex_lock(&p->lock);
	p->refs++;
	pthread_mutex_unlock(&p->lock);
}

static void unref(struct channel_pipe *p)
{
	pthread_mutex_lock(&p->lock);
	int left = --p->refs;
	pthread_mutex_unlock(&p->lock);
	if (left)
		return;
	cJSON_Delete(p->open);
	buf_free(&p->in);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* From one loop to the other. */
struct message {
	struct channel_pipe *p;
	void (*fn)(struct message *m);
	struct buf bytes;
	size_t n;
	int fd;
};

static void message_free(struct message *m)
{
	unref(m->p);
	buf_free(&m->bytes);
	free(m);
}

static void deliver(void *arg)
{
	struct message *m = arg;
	m->fn(m);
	message_free(m);
}

static bool send(struct channel_pipe *p, struct loop *to, void (*fn)(struct message *m), int fd, const void *bytes,
		 size_t n)
{
	struct message *m = xcalloc(1, sizeof *m);
	m->p = p;
	m->fn = fn;
	m->fd = fd;
	m->n = n;
	if (bytes && n)
		buf_add(&m->bytes, bytes, n);
	ref(p);
	if (loop_post(to, deliver, m))
		return true;
	message_free(m);
	return false;
}

/* --- to the owner --- */

static void tell_output(struct message *m)
{
	if (m->p->owner)
		m->p->sink->output(m->p->owner, m->fd, m->bytes.data, m->bytes.len);
}

static void tell_none(struct message *m)
{
	void *owner = take_ptr(m->p->owner);
	if (!owner)
		return;
	m->p->sink->none(owner);
	unref(m->p); /* the owner's */
}

static void tell_ended(struct message *m)
{
	void *owner = take_ptr(m->p->owner);
	if (!owner)
		return;
	m->p->sink->ended(owner, buf_str(&m->bytes));
	unref(m->p);
}

/* --- on the channels' loop --- */

static void flush(struct channel_pipe *p)
{
	while (p->stream && p->in.len) {
		size_t room = channel_room(p->stream), n = p->in.len < room ? p->in.len : room;
		if (!n)
			return;
		channel_write(p->stream, p->in.data, n);
		buf_consume(&p->in, n);
	}
}

static void on_opened(void *owner, const cJSON *details)
{
}

static void on_output(void *owner, int fd, const char *bytes, size_t n)
{
	struct channel_pipe *p = owner;
	send(p, p->owners, tell_output, fd, bytes, n);
}

static void on_room(void *owner)
{
	flush(owner);
}

static void on_none(void *owner)
{
	struct channel_pipe *p = owner;
	p->stream = NULL;
	send(p, p->owners, tell_none, 0, NULL, 0);
	unref(p); /* the stream's */
}

static void on_ended(void *owner, int code, const struct perry_err *err)
{
	struct channel_pipe *p = owner;
	const char *why = err ? perry_msg(err) : "it ended";
	p->stream = NULL;
	send(p, p->owners, tell_ended, 0, why, strlen(why));
	unref(p);
}

static const struct channel_sink sink = { on_opened, on_output, on_room, on_none, on_ended };

static void do_open(struct message *m)
{
	struct channel_pipe *p = m->p;
	ref(p); /* the stream's */
	p->stream = channel_open(p->all, p->container, p->open, &sink, p);
}

static void do_write(struct message *m)
{
	buf_add(&m->p->in, m->bytes.data, m->bytes.len);
	flush(m->p);
}

static void do_took(struct message *m)
{
	if (m->p->stream)
		channel_took(m->p->stream, m->n);
}

static void do_close(struct message *m)
{
	if (!m->p->stream)
		return;
	channel_leave(take_ptr(m->p->stream));
	unref(m->p); /* the stream's */
}

/* --- the owner's calls --- */

struct channel_pipe *pipe_open(struct channels *all, const char *container, const cJSON *open, struct loop *owners,
			       const struct pipe_sink *to, void *owner)
{
	struct channel_pipe *p = xcalloc(1, sizeof *p);
	p->all = all;
	p->owners = owners;
	snprintf(p->container, sizeof p->container, "%s", container);
	p->open = cJSON_Duplicate(open, 1);
	pthread_mutex_init(&p->lock, NULL);
	p->refs = 1;
	p->sink = to;
	p->owner = owner;
	if (send(p, all->loop, do_open, 0, NULL, 0))
		return p;
	unref(p);
	return NULL;
}

void pipe_write(struct channel_pipe *p, const void *bytes, size_t n)
{
	if (n)
		send(p, p->all->loop, do_write, 0, bytes, n);
}

void pipe_took(struct channel_pipe *p, size_t n)
{
	send(p, p->all->loop, do_took, 0, NULL, n);
}

void pipe_close(struct channel_pipe *p)
{
	p->owner = NULL;
	send(p, p->all->loop, do_close, 0, NULL, 0);
	unref(p); /* the owner's */
}
