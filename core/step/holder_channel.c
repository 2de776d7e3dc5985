/* Channels: frames from an agent and to it, windows, and what runs on them. */
#include "step/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/quote.h"

#define PIECE        65536
#define PIPE_SIZE    (256 << 10) /* of a channel's output */
#define CONTROL_MAX  (1u << 20)  /* of output in all: an agent that asks and never reads is not read any more */
#define GRANT        (FRAME_AHEAD / 4)
#define MAY_SEND_MAX (1u << 30)

struct channel {
	struct source conn, in, out;
	int program;
	char life[LIFE_MAX];
	struct frame_reader reader;
	struct buf pending; /* not sent yet, from at on */
	size_t at;
	bool open;    /* its descriptors have come */
	bool blocked; /* a stream waits for pending to become less */
	bool ended;
	struct stream *streams;
	size_t nstreams;
	struct channel *next;
};
static struct channel *channels;

const char *channel_life(const struct channel *ch)
{
	return ch->life;
}

int channel_program(const struct channel *ch)
{
	return ch->program;
}

static size_t waiting(const struct channel *ch)
{
	return ch->pending.len - ch->at;
}

/* --- streams --- */

static void stream_free(struct stream *st)
{
	struct stream **p = &st->ch->streams;
	while (*p != st)
		p = &(*p)->next;
	*p = st->next;
	st->ch->nstreams--;
	if (st->kind->free)
		st->kind->free(st);
	buf_free(&st->in);
	free(st);
}

static void put(struct channel *ch, enum frame_type type, uint32_t id, const char *text)
{
	frame_write(&ch->pending, type, id, text, strlen(text));
}

void stream_opened(struct stream *st, const char *json)
{
	put(st->ch, FRAME_OPENED, st->id, json);
}

size_t stream_room(struct stream *st)
{
	if (waiting(st->ch) >= OUTPUT_AHEAD) {
		st->ch->blocked = true;
		return 0;
	}
	return st->may_send < FRAME_MAX ? st->may_send : FRAME_MAX;
}

void stream_send(struct stream *st, enum frame_type type, const void *bytes, size_t n)
{
	frame_write(&st->ch->pending, type, st->id, bytes, n);
	st->may_send -= (uint32_t)n;
}

ssize_t stream_pass(struct stream *st, int fd, enum frame_type type)
{
	size_t room = stream_room(st);
	struct buf *out = &st->ch->pending;
	if (!room) {
		errno = EBUSY;
		return -1;
	}
	char *head = buf_reserve(out, FRAME_HEAD + room);
	ssize_t n = read(fd, head + FRAME_HEAD, room);
	if (n > 0) {
		frame_head(head, type, st->id, (size_t)n);
		out->len += FRAME_HEAD + (size_t)n;
		st->may_send -= (uint32_t)n;
	}
	return n;
}

static void grant(struct stream *st, size_t n)
{
	st->taken += (uint32_t)n;
	if (st->taken < GRANT)
		return;
	frame_write_window(&st->ch->pending, st->id, st->taken);
	st->held -= st->taken;
	st->taken = 0;
}

void stream_taken(struct stream *st, size_t n)
{
	st->in_at += n;
	if (st->in_at == st->in.len) {
		st->in_at = 0;
		buf_consume(&st->in, st->in.len);
		if (st->in.cap > PIECE)
			buf_free(&st->in);
	}
	grant(st, n);
}

void stream_write(struct stream *st)
{
	while (st->in_at < st->in.len) {
		if (st->to.fd < 0) {
			stream_taken(st, st->in.len - st->in_at);
			return;
		}
		ssize_t n = write(st->to.fd, st->in.data + st->in_at, st->in.len - st->in_at);
		if (n > 0)
			stream_taken(st, (size_t)n);
		else if (n < 0 && errno == EAGAIN)
			break;
		else if (n == 0 || errno != EINTR)
			source_close(&st->to); /* nobody reads it any more */
	}
	source_want(&st->to, st->in_at < st->in.len ? EPOLLOUT : 0);
}

void stream_exit(struct stream *st, int code)
{
	char text[32];
	snprintf(text, sizeof text, "{\"code\":%d}", code);
	put(st->ch, FRAME_EXIT, st->id, text);
	stream_free(st);
}

static void put_error(struct channel *ch, uint32_t id, int status, const char *message)
{
	const char *code = status == 404 ? "NOT_FOUND" : status == 409 ? "CONFLICT" : "BAD_REQUEST";
	struct buf text = { 0 };
	buf_addf(&text, "{\"code\":\"%s\",\"status\":%d,\"message\":", status == 503 ? "SERVICE_UNAVAILABLE" : code,
		 status);
	json_quote_str(&text, message);
	buf_addc(&text, '}');
	put(ch, FRAME_ERROR, id, text.data);
	buf_free(&text);
}

void stream_error(struct stream *st, int status, const char *fmt, ...)
{
	char message[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	put_error(st->ch, st->id, status, message);
	stream_free(st);
}

void streams_each(const struct kind *kind, void (*fn)(struct stream *st))
{
	for (struct channel *ch = channels; ch; ch = ch->next)
		for (struct stream *st = ch->streams, *next; st; st = next) {
			next = st->next;
			if (st->kind == kind)
				fn(st);
		}
}

/* --- frames from the agent --- */

static struct stream *find(struct channel *ch, uint32_t id)
{
	struct stream *st = ch->streams;
	while (st && st->id != id)
		st = st->next;
	return st;
}

static const struct kind *kind_named(const char *name)
{
	static const struct kind *const kinds[] = { &kind_exec,   &kind_watch, &kind_connect, &kind_session,
						    &kind_attach, &kind_end,   &kind_rename,  &kind_sessions };
	for (size_t i = 0; name && i < ARRAY_LEN(kinds); i++)
		if (!strcmp(kinds[i]->name, name))
			return kinds[i];
	return NULL;
}

static bool open_stream(struct channel *ch, const struct frame *f)
{
	if (find(ch, f->stream))
		return false;
	struct span request = json_check(f->payload, f->n);
	char *name = json_text(json_get(request, "kind"));
	const struct kind *kind = kind_named(name);
	free(name);
	if (ch->nstreams >= STREAMS_MAX) {
		put_error(ch, f->stream, 503, "too many streams on one channel");
	} else if (holder_stopping) {
		put_error(ch, f->stream, 503, "the workspace is stopping");
	} else if (!kind) {
		put_error(ch, f->stream, 400, request.s ? "a kind that is not known here" : "this is no JSON");
	} else {
		struct stream *st = xcalloc(1, sizeof *st);
		st->ch = ch;
		st->id = f->stream;
		st->kind = kind;
		st->may_send = FRAME_AHEAD;
		st->to.fd = -1;
		for (int i = 0; i < STREAM_FROM_MAX; i++)
			st->from[i].fd = -1;
		st->next = ch->streams;
		ch->streams = st;
		ch->nstreams++;
		kind->open(st, request);
	}
	return true;
}

static bool take_input(struct stream *st, const struct frame *f)
{
	if (f->n > FRAME_AHEAD - st->held)
		return false;
	st->held += (uint32_t)f->n;
	if (!st->kind->input || st->eof || st->closing) { /* nobody wants it */
		grant(st, f->n);
		return true;
	}
	buf_add(&st->in, f->payload, f->n);
	st->kind->input(st);
	return true;
}

static bool take_window(struct stream *st, const struct frame *f)
{
	uint32_t n = frame_window(f);
	if (n > MAY_SEND_MAX - st->may_send)
		return false;
	st->may_send += n;
	if (st->kind->room)
		st->kind->room(st);
	return true;
}

static void take_signal(struct stream *st, const struct frame *f)
{
	char *name = json_text(json_get(json_check(f->payload, f->n), "signal"));
	int sig = name ? signal_number(name) : 0;
	free(name);
	if (sig && st->kind->signal)
		st->kind->signal(st, sig);
}

static void take_close(struct stream *st)
{
	if (st->kind->close)
		st->kind->close(st);
	else
		stream_exit(st, 0);
}

/* False: malformed. */
static bool take(struct channel *ch, const struct frame *f)
{
	struct stream *st = f->stream ? find(ch, f->stream) : NULL;
	unsigned cols, rows;
	if (!f->stream)
		return false;
	switch (f->type) {
	case FRAME_OPEN:
		return open_stream(ch, f);
	case FRAME_STDIN:
		return !st || take_input(st, f); /* what is over here is not yet over there */
	case FRAME_WINDOW:
		return !st || take_window(st, f);
	case FRAME_EOF:
		if (st && !st->eof) {
			st->eof = true;
			if (st->kind->input && !st->closing)
				st->kind->input(st);
		}
		return true;
	case FRAME_RESIZE:
		if (st && st->kind->resize && size_take(json_check(f->payload, f->n), &cols, &rows))
			st->kind->resize(st, cols, rows);
		return true;
	case FRAME_SIGNAL:
		if (st)
			take_signal(st, f);
		return true;
	case FRAME_CLOSE:
		if (st)
			take_close(st);
		return true;
	default:
		return false;
	}
}

static void take_frames(struct source *s, unsigned events)
{
	struct channel *ch = s->owner;
	ssize_t n = read(s->fd, frame_room(&ch->reader, PIECE), PIECE);
	if (n <= 0) {
		ch->ended = n == 0 || (errno != EAGAIN && errno != EINTR);
		return;
	}
	frame_filled(&ch->reader, (size_t)n);
	struct frame f;
	int got;
	while ((got = frame_next(&ch->reader, &f)) == 1)
		if (!take(ch, &f)) {
			ch->ended = true;
			return;
		}
	ch->ended = got < 0;
	if (waiting(ch) >= CONTROL_MAX)
		source_want(&ch->in, 0);
}

/* --- to the agent --- */

static void flush(struct channel *ch)
{
	while (waiting(ch) && ch->out.fd >= 0) {
		ssize_t n = write(ch->out.fd, ch->pending.data + ch->at, waiting(ch));
		if (n > 0) {
			ch->at += (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			break;
		} else if (n == 0 || errno != EINTR) {
			ch->ended = true;
			return;
		}
	}
	if (!waiting(ch) || ch->at > CONTROL_MAX) {
		buf_consume(&ch->pending, ch->at);
		ch->at = 0;
	}
	source_want(&ch->out, waiting(ch) ? EPOLLOUT : 0);
	source_want(&ch->in, waiting(ch) < CONTROL_MAX ? EPOLLIN : 0);
}

static void may_flush(struct source *s, unsigned events)
{
	flush(s->owner);
}

/* Those that waited go on; who was first is last the next time. */
static void resume(struct channel *ch)
{
	ch->blocked = false;
	for (struct stream *st = ch->streams, *next; st; st = next) {
		next = st->next;
		if (st->kind->room)
			st->kind->room(st);
	}
	struct stream *first = ch->streams, **last = &ch->streams;
	if (!first || !first->next)
		return;
	ch->streams = first->next;
	while (*last)
		last = &(*last)->next;
	*last = first;
	first->next = NULL;
}

static void channel_free(struct channel *ch)
{
	while (ch->streams)
		stream_free(ch->streams);
	source_close(&ch->in);
	source_close(&ch->out);
	source_close(&ch->conn); /* the process that opened it ends now */
	if (ch->program >= 0)
		close(ch->program);
	frame_reader_free(&ch->reader);
	buf_free(&ch->pending);
	free(ch);
}

void channels_turn(void)
{
	for (struct channel **p = &channels, *ch; (ch = *p);) {
		if (waiting(ch) && !ch->ended && !ch->out.wanted)
			flush(ch);
		while (ch->blocked && !ch->ended && waiting(ch) < OUTPUT_AHEAD) {
			resume(ch);
			if (!ch->out.wanted)
				flush(ch);
		}
		if (ch->ended) {
			*p = ch->next;
			channel_free(ch);
		} else {
			p = &ch->next;
		}
	}
}

void channels_stop(void)
{
	for (struct channel *ch = channels; ch; ch = ch->next)
		flush(ch);
}

static bool is_fat(const struct channel *ch)
{
	return (ch->pending.cap > PIECE && !waiting(ch)) || (ch->reader.in.cap && ch->reader.at == ch->reader.in.len);
}

bool channels_fat(void)
{
	for (struct channel *ch = channels; ch; ch = ch->next)
		if (is_fat(ch))
			return true;
	return false;
}

void channels_trim(void)
{
	for (struct channel *ch = channels; ch; ch = ch->next) {
		if (!is_fat(ch))
			continue;
		if (!waiting(ch)) {
			buf_free(&ch->pending);
			ch->at = 0;
		}
		if (ch->reader.at == ch->reader.in.len)
			frame_reader_free(&ch->reader);
	}
}

/* --- the beginning --- */

static size_t count_channels(void)
{
	size_t n = 0;
	for (struct channel *ch = channels; ch; ch = ch->next)
		n += ch->open;
	return n;
}

static void begin(struct channel *ch)
{
	struct buf text = { 0 };
	fcntl(ch->in.fd, F_SETFL, fcntl(ch->in.fd, F_GETFL) | O_NONBLOCK);
	fcntl(ch->out.fd, F_SETFL, fcntl(ch->out.fd, F_GETFL) | O_NONBLOCK);
	if (count_channels() >= CHANNELS_MAX) {
		put_error(ch, 0, 503, "too many channels into one workspace");
		flush(ch);
		ch->ended = true;
		return;
	}
	ch->open = true;
	fcntl(ch->out.fd, F_SETPIPE_SZ, PIPE_SIZE); /* fewer and larger writes; where it cannot be had it is as it is */
	buf_addf(&text, "{\"version\":1,\"step\":\"%s\"}", PERRY_VERSION);
	put(ch, FRAME_OPENED, 0, text.data);
	buf_free(&text);
	source_want(&ch->in, EPOLLIN);
	ch->ended = !ch->in.wanted; /* nothing that can be waited for */
}

/* The one message of who connects, and after that only the end of that process. */
static void hear(struct source *s, unsigned events)
{
	struct channel *ch = s->owner;
	int fds[HANDED_FDS];
	union {
		char bytes[CMSG_SPACE(sizeof fds)];
		struct cmsghdr align;
	} control = { 0 };
	char text[LIFE_MAX] = "";
	struct iovec iov = { text, sizeof text };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
	};
	ssize_t n = recvmsg(s->fd, &message, MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	size_t got = c && c->cmsg_type == SCM_RIGHTS ? (c->cmsg_len - CMSG_LEN(0)) / sizeof *fds : 0;
	if (got)
		memcpy(fds, CMSG_DATA(c), got * sizeof *fds);
	if (got != HANDED_FDS || ch->in.fd >= 0) {
		for (size_t i = 0; i < got; i++)
			close(fds[i]);
		ch->ended = true;
		return;
	}
	text[LIFE_MAX - 1] = 0;
	if (text[0] != ' ')
		memcpy(ch->life, text, sizeof ch->life);
	source_open(&ch->in, fds[0], take_frames, ch);
	source_open(&ch->out, fds[1], may_flush, ch);
	ch->program = fds[2];
	begin(ch);
}

void channel_open(int conn)
{
	struct channel *ch = xcalloc(1, sizeof *ch);
	ch->in.fd = ch->out.fd = ch->program = -1;
	source_open(&ch->conn, conn, hear, ch);
	source_want(&ch->conn, EPOLLIN);
	ch->next = channels;
	channels = ch;
}
