/* Server-sent events: a response that is fed from any thread and suspends its connection while there is nothing to
 * send. */
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/server_priv.h"

#define BACKLOG_MAX (1 << 20)
#define BLOCK       8192

struct sse {
	atomic_int refs; /* the owner's, libmicrohttpd's, those of walks */
	struct server *server;
	struct conn *conn; /* for the server thread, while it reads */
	int fd;            /* -1 once the stream is over; under lock, as what follows */
	struct MHD_Connection *mhd;
	void (*closed)(void *ctx, struct sse *s);
	void *ctx;
	pthread_mutex_t lock;
	struct buf backlog;
	size_t sent; /* of the backlog's front */
	bool suspended, ending, cut, watched;
	struct sse *next, **prev; /* the server's list, under server.lock; prev NULL: not in it */
};

void sse_ref(struct sse *e)
{
	atomic_fetch_add(&e->refs, 1);
}

static void sse_unref(struct sse *e)
{
	if (atomic_fetch_sub(&e->refs, 1) != 1)
		return;
	buf_free(&e->backlog);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

void sse_free(struct sse *e)
{
	if (e)
		sse_unref(e);
}

/* Under e->lock. */
static void wake(struct sse *e)
{
	if (e->suspended) {
		e->suspended = false;
		MHD_resume_connection(e->mhd);
	}
}

static ssize_t read_some(void *arg, uint64_t pos, char *out, size_t max)
{
	struct sse *e = arg;
	ssize_t n = 0;
	pthread_mutex_lock(&e->lock);
	if (!e->watched) {
		e->watched = true;
		conn_watch(e->server, e->conn, NULL, e); /* until the request is complete */
	}
	size_t have = e->backlog.len - e->sent;
	if (e->cut) {
		n = MHD_CONTENT_READER_END_WITH_ERROR;
	} else if (have) {
		if (have > max)
			have = max;
		memcpy(out, e->backlog.data + e->sent, have);
		e->sent += have;
		if (e->sent == e->backlog.len) {
			e->sent = e->backlog.len = 0;
		} else if (e->sent > BACKLOG_MAX / 4) {
			buf_consume(&e->backlog, e->sent);
			e->sent = 0;
		}
		n = (ssize_t)have;
	} else if (e->ending) {
		n = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		e->suspended = true;
		MHD_suspend_connection(e->mhd);
	}
	pthread_mutex_unlock(&e->lock);
	return n;
}

static void unlist(struct server *s, struct sse *e)
{
	pthread_mutex_lock(&s->lock);
	if (e->prev) {
		*e->prev = e->next;
		if (e->next)
			e->next->prev = e->prev;
		e->prev = NULL;
	}
	pthread_mutex_unlock(&s->lock);
}

static void over(void *arg)
{
	struct sse *e = arg;
	unlist(e->server, e);
	pthread_mutex_lock(&e->lock);
	e->fd = -1;
	e->suspended = false;
	e->cut = true;
	pthread_mutex_unlock(&e->lock);
	if (e->closed)
		e->closed(e->ctx, e);
	sse_unref(e);
}

struct sse *req_sse(struct server_req *r, void (*closed)(void *ctx, struct sse *s), void *ctx)
{
	pthread_mutex_lock(&r->lock);
	struct server *s = r->dropped ? NULL : r->server;
	struct conn *c = r->conn;
	struct MHD_Connection *mhd = r->mhd;
	pthread_mutex_unlock(&r->lock);
	if (!s) {
		reply_text(r, 503, "text/plain", "");
		return NULL;
	}
	struct sse *e = xcalloc(1, sizeof *e);
	atomic_init(&e->refs, 2);
	pthread_mutex_init(&e->lock, NULL);
	e->server = s;
	e->conn = c;
	e->fd = c->fd;
	e->mhd = mhd;
	e->closed = closed;
	e->ctx = ctx;
	/* A first byte makes proxies and clients see the head at once. */
	buf_adds(&e->backlog, ": ok\n\n");
	struct MHD_Response *resp = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_some, e, over);
	if (!resp)
		abort(); /* out of memory */
	MHD_add_response_header(resp, "Content-Type", "text/event-stream");
	MHD_add_response_header(resp, "Cache-Control", "no-store");
	MHD_add_response_header(resp, "X-Accel-Buffering", "no");
	pthread_mutex_lock(&s->lock);
	e->next = s->sses;
	e->prev = &s->sses;
	if (e->next)
		e->next->prev = &e->next;
	s->sses = e;
	bool stopping = s->stopping;
	pthread_mutex_unlock(&s->lock);
	if (stopping)
		sse_close(e);
	if (!req_answer(r, 200, resp)) {
		e->closed = NULL;
		MHD_destroy_response(resp);
		sse_unref(e);
		return NULL;
	}
	return e;
}

/* Consumes a reference. */
void sse_hangup(struct sse *e)
{
	pthread_mutex_lock(&e->lock);
	e->cut = true;
	wake(e);
	pthread_mutex_unlock(&e->lock);
	sse_unref(e);
}

static int push_text(struct sse *e, const struct buf *text)
{
	int rc = -1;
	pthread_mutex_lock(&e->lock);
	if (!e->cut && !e->ending) {
		if (e->backlog.len - e->sent + text->len > BACKLOG_MAX) {
			/* libmicrohttpd waits for room in the socket: only the end of the connection wakes it. */
			e->cut = true;
			if (e->suspended)
				wake(e);
			else if (e->fd >= 0)
				shutdown(e->fd, SHUT_RDWR);
		} else {
			buf_add(&e->backlog, text->data, text->len);
			wake(e);
			rc = 0;
		}
	}
	pthread_mutex_unlock(&e->lock);
	return rc;
}

int sse_push(struct sse *e, const char *id, const char *event, const char *data)
{
	cleanup_buf struct buf text = { 0 };
	if (id)
		buf_addf(&text, "id: %s\n", id);
	if (event)
		buf_addf(&text, "event: %s\n", event);
	/* CR, LF and CR LF all end a line of the format; each line of the data gets its own field. */
	for (const char *p = data;; p++) {
		size_t n = strcspn(p, "\r\n");
		buf_adds(&text, "data: ");
		buf_add(&text, p, n);
		buf_addc(&text, '\n');
		p += n;
		if (*p == '\r' && p[1] == '\n')
			p++;
		if (!*p)
			break;
	}
	buf_addc(&text, '\n');
	return push_text(e, &text);
}

size_t sse_backlog(struct sse *e)
{
	pthread_mutex_lock(&e->lock);
	size_t n = e->backlog.len - e->sent;
	pthread_mutex_unlock(&e->lock);
	return n;
}

void sse_close(struct sse *e)
{
	pthread_mutex_lock(&e->lock);
	e->ending = true;
	wake(e);
	pthread_mutex_unlock(&e->lock);
}

/* Calls fn with each open stream, holding a reference and no lock. */
static void each(struct server *s, void (*fn)(struct sse *e))
{
	struct sse **all = NULL;
	size_t n = 0;
	pthread_mutex_lock(&s->lock);
	for (struct sse *e = s->sses; e; e = e->next) {
		all = xrealloc(all, (n + 1) * sizeof(struct sse *));
		sse_ref(e);
		all[n++] = e;
	}
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		fn(all[i]);
		sse_unref(all[i]);
	}
	free(all);
}

static void ping(struct sse *e)
{
	struct buf text = { (char *)(uintptr_t) ":\n\n", 3, 0 };
	push_text(e, &text);
}

void sse_stop_all(struct server *s)
{
	each(s, sse_close);
}

/* A comment now and then: dead peers are found, and proxies do not take the stream for idle. */
void sse_ping_all(struct server *s)
{
	each(s, ping);
}
