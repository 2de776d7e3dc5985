/* The libmicrohttpd daemon behind the accept loop: request by request, from its callbacks to our handler. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/server_priv.h"

/* A body that is too large is still read (and thrown away) up to this many times the limit, so that the client sees the
 * 413 and not a reset. */
#define SWALLOW 16

void server_error_text(struct buf *out, const char *text)
{
	buf_addf(out, "{\"error\":\"%s\"}", text);
}

int server_new(struct server **out, const struct server_limits *limits, server_handler fn, void *ctx,
	       struct perry_err **err)
{
	struct server *s = xcalloc(1, sizeof *s);
	struct server_limits *l = &s->limits;
	if (limits)
		*l = *limits;
	if (!l->max_body)
		l->max_body = 1 << 20;
	if (!l->max_head)
		l->max_head = 16 << 10;
	if (!l->head_timeout_ms)
		l->head_timeout_ms = 10 * 1000;
	if (!l->body_timeout_ms)
		l->body_timeout_ms = 30 * 1000;
	if (!l->idle_timeout_s)
		l->idle_timeout_s = 60;
	if (!l->max_per_peer)
		l->max_per_peer = 64;
	if (!l->max_connections)
		l->max_connections = 512;
	if (!l->max_bodies)
		l->max_bodies = 16 * l->max_body;
	if (!l->threads) {
		long cores = sysconf(_SC_NPROCESSORS_ONLN);
		l->threads = cores > 0 && cores < 64 ? (int)cores : 1;
	}
	s->fn = fn;
	s->ctx = ctx;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->listen_lock, NULL);
	for (int i = 0; i < MAX_LISTENERS; i++)
		s->listeners[i].fd = -1;
	clock_cond_init(&s->emptied);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->epoll_fd < 0 || s->wake_fd < 0) {
		int e = errno;
		server_stop(s, 0);
		return perry_fail_errno(err, e, "cannot make the server");
	}
	*out = s;
	return 0;
}

void server_set_screen(struct server *s, server_screen fn)
{
	s->screen = fn;
}

int server_listen(struct server *s, int take_fd, int tag, struct perry_err **err)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof sa;
	if (getsockname(take_fd, (struct sockaddr *)&sa, &len) < 0) {
		int e = errno;
		close(take_fd);
		return perry_fail_errno(err, e, "not a listening socket");
	}
	int i = 0, rc = 0;
	pthread_mutex_lock(&s->listen_lock);
	while (i < MAX_LISTENERS && s->listeners[i].fd >= 0)
		i++;
	if (i == MAX_LISTENERS) {
		close(take_fd);
		rc = perry_fail(err, PERRY_EINPUT, "more than %d listening sockets", MAX_LISTENERS);
	} else {
		s->listeners[i] = (struct listener){ .fd = take_fd, .tag = tag, .is_unix = sa.ss_family == AF_UNIX };
		rc = s->running ? accept_listen(s, i, err) : 0;
	}
	pthread_mutex_unlock(&s->listen_lock);
	return rc;
}

void server_unlisten(struct server *s, int fd)
{
	pthread_mutex_lock(&s->listen_lock);
	for (int i = 0; fd >= 0 && i < MAX_LISTENERS; i++)
		if (s->listeners[i].fd == fd) {
			s->listeners[i].fd = -1;
			epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
			close(fd);
		}
	pthread_mutex_unlock(&s->listen_lock);
}

/* --- libmicrohttpd's callbacks --- */

static struct conn *conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct server *s = arg;
	struct conn *c = *context;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	pthread_mutex_lock(&s->lock);
	if (!c && info && info->connect_fd < s->nslots)
		c = s->conns[info->connect_fd];
	if (what == MHD_CONNECTION_NOTIFY_STARTED && c) {
		c->started = true;
		*context = c;
	} else if (what == MHD_CONNECTION_NOTIFY_CLOSED && c) {
		/* The descriptor is closed after this, so nobody can find it in the table once its number is free
		 * again. */
		*context = NULL;
		conn_release(s, c);
	}
	pthread_mutex_unlock(&s->lock);
}

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *mhd)
{
	struct conn *c = conn_of(mhd);
	if (!c)
		return NULL;
	conn_phase(c, PHASE_HEAD);
	return req_new(arg, c, mhd, uri);
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode why)
{
	struct server_req *r = *context;
	*context = NULL;
	if (r)
		req_completed(r);
}

/* The target is decoded by us, strictly. */
static size_t keep_escaped(void *arg, struct MHD_Connection *mhd, char *text)
{
	return strlen(text);
}

struct seen {
	const char *host;
	int hosts, lengths, encodings;
	bool chunked;
	unsigned long long length;
	bool bad_length, expects;
};

static enum MHD_Result see_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct seen *seen = arg;
	/* A header's first letter decides whether it is one of the four. */
	switch (name[0] | 0x20) {
	case 'h':
		if (strcasecmp(name, "host") == 0) {
			seen->hosts++;
			seen->host = value;
		}
		break;
	case 'c':
		if (strcasecmp(name, "content-length") == 0) {
			char *end;
			seen->lengths++;
			errno = 0;
			seen->length = value ? strtoull(value, &end, 10) : 0;
			seen->bad_length |= !value || value[0] < '0' || value[0] > '9' || *end || errno;
		}
		break;
	case 't':
		if (strcasecmp(name, "transfer-encoding") == 0) {
			seen->encodings++;
			seen->chunked = value && strcasecmp(value, "chunked") == 0;
		}
		break;
	case 'e':
		seen->expects |= strcasecmp(name, "expect") == 0;
		break;
	}
	return MHD_YES;
}

static enum MHD_Result queue_error(struct MHD_Connection *mhd, int status, const char *text, bool close)
{
	cleanup_buf struct buf body = { 0 };
	server_error_text(&body, text);
	struct MHD_Response *resp = MHD_create_response_from_buffer(body.len, body.data, MHD_RESPMEM_MUST_COPY);
	if (!resp)
		return MHD_NO;
	MHD_add_response_header(resp, "Content-Type", "application/json");
	if (close)
		MHD_add_response_header(resp, "Connection", "close");
	enum MHD_Result rc = MHD_queue_response(mhd, (unsigned)status, resp);
	MHD_destroy_response(resp);
	return rc;
}

struct written {
	struct buf text;
	size_t empty; /* headers without a value */
	bool cut;     /* a NUL in one */
};

static enum MHD_Result write_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_size,
				    const char *value, size_t size)
{
	struct written *w = arg;
	(void)kind;
	w->empty += !size;
	w->cut |= strlen(name) != name_size || (value && strlen(value) != size);
	buf_addf(&w->text, size ? "%s: %s\r\n" : "%s:\r\n", name, value);
	return MHD_YES;
}

/* libmicrohttpd read this head from the socket by itself, and forgives much (bare line feeds, lines that go on, blanks
 * before a colon). So the head is written down again from what it understood, must pass the same judge as a
 * connection's first, and be as long as what came. */
static int judge_later_head(struct server *s, struct server_req *r, const char *version, size_t came, const char **text)
{
	struct written w = { 0 };
	buf_addf(&w.text, "%s %s %s\r\n", r->method, r->target, version);
	MHD_get_connection_values_n(r->mhd, MHD_HEADER_KIND, write_header, &w);
	buf_adds(&w.text, "\r\n");
	int verdict = head_judge(w.text.data, w.text.len, s->limits.max_head, text);
	if (verdict == 1 && (w.cut || came < w.text.len || came > w.text.len + w.empty)) {
		verdict = 400;
		*text = "a header is not written as 'Name: value' with CR LF";
	}
	buf_free(&w.text);
	return verdict == 1 ? 0 : verdict ? verdict : 400;
}

/* The head is in. Sets early_status when the answer is clear already; true: answer without waiting for the body. */
static bool judge(struct server *s, struct server_req *r, const char *version)
{
	struct seen seen = { 0 };
	MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, see_header, &seen);
	const union MHD_ConnectionInfo *size = MHD_get_connection_info(r->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	const char *text = NULL;
	int status = 400;
	bool now = false, later = r->conn->judged;
	int verdict = 0;
	r->conn->judged = true;
	if (size && size->header_size > s->limits.max_head) {
		status = 431;
		text = "request header too large";
	} else if (later && size && (verdict = judge_later_head(s, r, version, size->header_size, &text))) {
		status = verdict;
		now = true;
	} else if (r->bad_uri) {
		text = "malformed percent-escape";
	} else if (seen.hosts > 1 || (!seen.hosts && strcmp(version, "HTTP/1.1") == 0)) {
		text = "exactly one Host header is needed";
	} else if (r->authority && (!seen.host || strcasecmp(r->authority, seen.host) != 0)) {
		text = "the request's target names another host than its Host header";
	} else if (seen.encodings + seen.lengths > 1 || seen.bad_length || (seen.encodings && !seen.chunked)) {
		/* Two ways to tell where the body ends are how one request is smuggled inside another. */
		text = "ambiguous body length";
		now = true;
	} else if (seen.length > s->limits.max_body) {
		status = 413;
		text = "request body too large";
		now = seen.expects || seen.length / SWALLOW > s->limits.max_body;
	}
	if (text) {
		r->early_status = status;
		r->early_text = text;
	} else if (s->screen && (seen.chunked || seen.length > SERVER_SMALL_BODY)) {
		s->screen(s->ctx, r);
		r->screened = r->state == REQ_ANSWERED;
		now = seen.expects;
	}
	free(take_ptr(r->target));
	if (text || r->screened)
		conn_phase(r->conn, PHASE_REFUSED);
	return (text || r->screened) && now;
}

static void refuse_body(struct server_req *r, int status, const char *text)
{
	r->early_status = status;
	r->early_text = text;
	buf_free(&r->body);
	r->body = (struct buf){ 0 };
	conn_phase(r->conn, PHASE_REFUSED);
}

/* Many bodies at once are as much memory as one without an end. */
static bool has_room(struct server *s, struct server_req *r, size_t n)
{
	if (r->peer.is_unix)
		return true;
	r->counted += n;
	return atomic_fetch_add(&s->bodies, n) + n <= s->limits.max_bodies;
}

static enum MHD_Result take_body(struct server *s, struct server_req *r, const char *data, size_t *n)
{
	r->body_seen += *n;
	bool kept = !r->early_status && !r->screened;
	if (kept && r->body_seen > s->limits.max_body)
		refuse_body(r, 413, "request body too large");
	else if (kept && !has_room(s, r, *n))
		refuse_body(r, 503, "too many request bodies at once");
	if (r->body_seen / SWALLOW > s->limits.max_body)
		return MHD_NO;
	if (!r->early_status && !r->screened)
		buf_add(&r->body, data, *n);
	*n = 0;
	return MHD_YES;
}

/* After the handler returned without suspending, or after a resume. */
static enum MHD_Result queue_answer(struct server *s, struct server_req *r)
{
	pthread_mutex_lock(&r->lock);
	struct MHD_Response *resp = take_ptr(r->response);
	int status = r->status;
	bool dropped = r->dropped, stopped = r->stopped;
	pthread_mutex_unlock(&r->lock);
	if (!resp && dropped && !stopped)
		return MHD_NO;
	conn_phase(r->conn, PHASE_SENDING);
	log_debug("http", "%s %s from %s: %d, %lld ms", req_method(r), req_path(r),
		  r->peer.is_unix ? "the socket" : r->peer.addr, resp ? status : 503,
		  (long long)(clock_mono_ms() - r->at));
	if (!resp)
		return stopped ? queue_error(r->mhd, 503, "the server is stopping", true)
			       : queue_error(r->mhd, 500, "no answer was given", true);
	enum MHD_Result rc = MHD_queue_response(r->mhd, (unsigned)status, resp);
	MHD_destroy_response(resp);
	return rc;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
				  const char *version, const char *data, size_t *n, void **context)
{
	struct server *s = arg;
	struct server_req *r = *context;
	if (!r)
		return MHD_NO;
	if (!r->begun) {
		r->begun = true;
		r->at = clock_mono_ms();
		r->method = (char *)(uintptr_t)method; /* a copy is made before the request outlives it */
		conn_phase(r->conn, PHASE_BODY);
		if (!judge(s, r, version))
			return MHD_YES;
		return r->screened ? queue_answer(s, r) : queue_error(mhd, r->early_status, r->early_text, true);
	}
	if (*n)
		return take_body(s, r, data, n);
	if (r->early_status)
		return queue_error(mhd, r->early_status, r->early_text, r->early_status != 413);
	if (r->entered || r->screened)
		return queue_answer(s, r);
	r->entered = true;
	conn_phase(r->conn, PHASE_HANDLER);
	s->fn(s->ctx, r);
	pthread_mutex_lock(&r->lock);
	bool suspended = r->was_suspended; /* an answer may have come already: then it is queued after the resume */
	pthread_mutex_unlock(&r->lock);
	return suspended ? MHD_YES : queue_answer(s, r);
}

int server_start(struct server *s, struct perry_err **err)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_NO_LISTEN_SOCKET |
			 MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE;
	/* Room for a head at its limit and what libmicrohttpd keeps of it, so that its own 431 page is hardly ever
	 * seen. */
	size_t pool = s->limits.max_head * 3 / 2 + 8192;
	struct MHD_OptionItem threads[] = { { MHD_OPTION_THREAD_POOL_SIZE, s->limits.threads, NULL },
					    { MHD_OPTION_END, 0, NULL } };
	s->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)(s->limits.max_connections + 8) * (unsigned)s->limits.threads,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)s->limits.idle_timeout_s, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, s, MHD_OPTION_STRICT_FOR_CLIENT, 0,
		s->limits.threads > 1 ? MHD_OPTION_ARRAY : MHD_OPTION_END, threads, MHD_OPTION_END);
	if (!s->daemon)
		return perry_fail(err, PERRY_EINTERNAL, "cannot start the HTTP server");
	return accept_start(s, err);
}

static void abandon_suspended(struct server *s)
{
	for (int i = 0;; i++) {
		pthread_mutex_lock(&s->lock);
		while (i < s->nslots && !(s->conns[i] && s->conns[i]->watch_req))
			i++;
		struct server_req *r = i < s->nslots ? s->conns[i]->watch_req : NULL;
		if (r)
			req_ref(r);
		pthread_mutex_unlock(&s->lock);
		if (!r)
			return;
		req_abandon(r);
	}
}

/* True when no connection is left. */
static bool wait_empty(struct server *s, int ms)
{
	struct timespec until = clock_deadline(ms);
	pthread_mutex_lock(&s->lock);
	while (s->nconns && pthread_cond_timedwait(&s->emptied, &s->lock, &until) == 0)
		;
	bool empty = !s->nconns;
	pthread_mutex_unlock(&s->lock);
	return empty;
}

/* Kept-alive connections that are between two requests have nothing to wait for. */
static void cut_idle(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < s->nslots; i++)
		if (s->conns[i] && atomic_load(&s->conns[i]->phase) == PHASE_IDLE)
			shutdown(s->conns[i]->fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
}

void server_stop(struct server *s, int grace_ms)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_mutex_unlock(&s->lock);
	accept_stop(s);
	if (s->daemon) {
		abandon_suspended(s);
		sse_stop_all(s);
		for (int64_t end = clock_mono_ms() + grace_ms, left = grace_ms; left > 0;
		     left = end - clock_mono_ms()) {
			cut_idle(s);
			if (wait_empty(s, left < 20 ? (int)left : 20))
				break;
		}
		conn_cut_all(s);
		MHD_stop_daemon(s->daemon);
	}
	for (int i = 0; i < s->nslots; i++)
		if (s->conns[i])
			conn_release(s, s->conns[i]);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	free(s->conns);
	free(s->peers);
	pthread_cond_destroy(&s->emptied);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->listen_lock);
	free(s);
}
