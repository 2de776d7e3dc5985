/* The accept loop: one thread takes connections, holds each until its first head is complete, hands it to
 * libmicrohttpd, and from then on watches for what libmicrohttpd does not: suspended clients that leave, and clients
 * that are too slow. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/server_priv.h"

#define SWEEP_MS      250
#define LINGER_MS     1000
#define LINGER_BYTES  (1 << 20)
#define MAX_LINGERING 64
#define SENDING_MS    (300 * 1000)
#define PING_MS       (20 * 1000)
#define REFUSED_MS    5000
#define PATIENCE_MS   250 /* with a silent client, where others want its place */
/* In epoll's data: a listener's index, or a connection's descriptor with its generation; the wake descriptor has its
 * own. */
#define DATA_LISTENER (1ull << 63)
#define DATA_WAKE     (1ull << 62)

static uint64_t conn_data(const struct conn *c)
{
	return (uint64_t)c->gen << 32 | (uint32_t)c->fd;
}

void conn_phase(struct conn *c, enum conn_phase phase)
{
	atomic_store_explicit(&c->phase_since, clock_mono_ms(), memory_order_relaxed);
	atomic_store_explicit(&c->phase, (int)phase, memory_order_relaxed);
}

/* --- the table and the counts per peer (under s->lock) --- */

static void peer_key(const struct server_peer *p, char key[72])
{
	if (p->is_unix) /* one listener's callers do not use up another's connections */
		snprintf(key, 72, "uid %u of %d", (unsigned)p->uid, p->tag);
	else if (strncmp(p->addr, "127.", 4) == 0 || strcmp(p->addr, "::1") == 0)
		snprintf(key, 72, "loopback"); /* any program here has all of those addresses */
	else
		snprintf(key, 72, "%s", p->addr);
}

static bool peer_add(struct server *s, const struct server_peer *p)
{
	char key[72];
	peer_key(p, key);
	for (int i = 0; i < s->npeers; i++)
		if (strcmp(s->peers[i].key, key) == 0) {
			if (s->peers[i].n >= s->limits.max_per_peer)
				return false;
			s->peers[i].n++;
			return true;
		}
	s->peers = xrealloc(s->peers, (size_t)(s->npeers + 1) * sizeof *s->peers);
	struct peer_count *pc = &s->peers[s->npeers++];
	memcpy(pc->key, key, sizeof pc->key);
	pc->n = 1;
	return true;
}

static void peer_remove(struct server *s, const struct server_peer *p)
{
	char key[72];
	peer_key(p, key);
	for (int i = 0; i < s->npeers; i++)
		if (strcmp(s->peers[i].key, key) == 0) {
			if (--s->peers[i].n == 0)
				s->peers[i] = s->peers[--s->npeers];
			return;
		}
}

static void uncount(struct server *s, struct conn *c)
{
	if (!c->counted)
		return;
	c->counted = false;
	peer_remove(s, &c->peer);
	s->ncounted--;
	s->ntcp -= !c->peer.is_unix;
}

void conn_release(struct server *s, struct conn *c)
{
	if (c->fd < s->nslots && s->conns[c->fd] == c)
		s->conns[c->fd] = NULL;
	uncount(s, c);
	if (--s->nconns == 0)
		pthread_cond_broadcast(&s->emptied);
	free(c);
}

/* A quarter is left to unix sockets, so that nobody on the network keeps our own user out. */
static bool is_full(const struct server *s, const struct server_peer *p)
{
	int max = s->limits.max_connections;
	return s->ncounted >= max || (!p->is_unix && s->ntcp >= max - max / 4);
}

/* Under s->lock. */
static struct conn *add_uncounted(struct server *s, int fd, const struct server_peer *peer)
{
	struct conn *c = xcalloc(1, sizeof *c);
	c->fd = fd;
	c->gen = ++s->next_gen & 0x3fffffff;
	c->peer = *peer;
	c->since = clock_mono_ms();
	s->conns[fd] = c;
	s->nconns++;
	return c;
}

/* Under s->lock. A place in the table, or NULL when a cap says no. */
static struct conn *add_conn(struct server *s, int fd, const struct server_peer *peer)
{
	if (s->stopping || is_full(s, peer) || !peer_add(s, peer))
		return NULL;
	struct conn *c = add_uncounted(s, fd, peer);
	c->counted = true;
	s->ncounted++;
	s->ntcp += !peer->is_unix;
	return c;
}

/* --- before the hand-over: the connection is this thread's alone --- */

static void conn_close(struct server *s, struct conn *c)
{
	int fd = c->fd;
	if (c->state == CONN_LINGER)
		s->lingering--;
	pthread_mutex_lock(&s->lock);
	conn_release(s, c);
	pthread_mutex_unlock(&s->lock);
	close(fd);
}

/* Under s->lock. Since when it waits for its client to say more; 0: it does not. */
static int64_t waits_since(const struct conn *c)
{
	if (c->state == CONN_HEAD)
		return c->since;
	int phase = atomic_load_explicit(&c->phase, memory_order_relaxed);
	return c->state == CONN_MHD && c->counted && !c->slow && phase <= PHASE_REFUSED
		       ? atomic_load_explicit(&c->phase_since, memory_order_relaxed)
		       : 0;
}

/* Who asks now goes before who was silent for the longest: of the same peer, or of all on TCP when those are too many.
 * False: all others are being answered. */
static bool make_room(struct server *s, const struct server_peer *peer)
{
	char key[72], other[72];
	struct conn *oldest = NULL;
	int64_t oldest_since = 0;
	peer_key(peer, key);
	pthread_mutex_lock(&s->lock);
	bool full = is_full(s, peer);
	int64_t enough = clock_mono_ms() - PATIENCE_MS;
	for (int i = 0; i < s->nslots; i++) {
		struct conn *c = s->conns[i];
		int64_t since = c ? waits_since(c) : 0;
		if (!since || since > enough || (full && c->peer.is_unix != peer->is_unix))
			continue;
		peer_key(&c->peer, other);
		if ((full || strcmp(key, other) == 0) && (!oldest || since < oldest_since)) {
			oldest = c;
			oldest_since = since;
		}
	}
	bool ours = oldest && oldest->state == CONN_HEAD;
	if (oldest && !ours) {
		oldest->slow = true;
		uncount(s, oldest);
		shutdown(oldest->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&s->lock);
	if (ours)
		conn_close(s, oldest);
	return oldest;
}

static struct conn *conn_new(struct server *s, int fd, const struct server_peer *peer)
{
	pthread_mutex_lock(&s->lock);
	if (fd >= s->nslots) {
		int n = fd + 64;
		s->conns = xrealloc(s->conns, (size_t)n * sizeof *s->conns);
		memset(s->conns + s->nslots, 0, (size_t)(n - s->nslots) * sizeof *s->conns);
		s->nslots = n;
	}
	/* libmicrohttpd may close a descriptor that it never announced; its number coming back tells. */
	if (s->conns[fd])
		conn_release(s, s->conns[fd]);
	struct conn *c = add_conn(s, fd, peer);
	pthread_mutex_unlock(&s->lock);
	if (c || !make_room(s, peer))
		return c;
	pthread_mutex_lock(&s->lock);
	c = add_conn(s, fd, peer);
	pthread_mutex_unlock(&s->lock);
	return c;
}

static void send_error(int fd, int status, const char *text)
{
	static const struct {
		int status;
		const char *name;
	} names[] = { { 400, "Bad Request" },
		      { 408, "Request Timeout" },
		      { 431, "Request Header Fields Too Large" },
		      { 503, "Service Unavailable" } };
	const char *name = "Error";
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].status == status)
			name = names[i].name;
	cleanup_buf struct buf body = { 0 }, out = { 0 };
	server_error_text(&body, text);
	buf_addf(&out, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n", status, name);
	buf_addf(&out, "Content-Length: %zu\r\n", body.len);
	buf_addf(&out, "%sConnection: close\r\n\r\n%s", status == 503 ? "Retry-After: 1\r\n" : "", body.data);
	/* The send buffer of a new connection holds this; if not, the client gets what fits. */
	if (send(fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		shutdown(fd, SHUT_WR);
}

/* Throws away what came. False: it is over. */
static bool drain(struct conn *c)
{
	char junk[4096];
	while (c->drained < LINGER_BYTES) {
		ssize_t n = recv(c->fd, junk, sizeof junk, MSG_DONTWAIT);
		if (n > 0)
			c->drained += (size_t)n;
		else
			return n < 0 && (errno == EAGAIN || errno == EINTR);
	}
	return false;
}

/* Closing with unread bytes would reset the connection under the answer, so the answer is followed by a short while of
 * reading. */
static void conn_refuse(struct server *s, struct conn *c, int status, const char *text)
{
	send_error(c->fd, status, text);
	pthread_mutex_lock(&s->lock);
	c->state = CONN_LINGER;
	pthread_mutex_unlock(&s->lock);
	s->lingering++;
	c->since = clock_mono_ms();
	if (s->lingering > MAX_LINGERING || !drain(c))
		conn_close(s, c);
}

static void hand_over(struct server *s, struct conn *c)
{
	int fd = c->fd;
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	conn_phase(c, PHASE_HEAD);
	pthread_mutex_lock(&s->lock);
	c->state = CONN_MHD;
	pthread_mutex_unlock(&s->lock);
	/* The address only tells libmicrohttpd which socket options make sense; who it is, we know. */
	struct sockaddr_storage sa = { .ss_family = c->peer.is_unix ? AF_UNIX : AF_INET };
	socklen_t len = c->peer.is_unix ? sizeof(struct sockaddr_un) : sizeof(struct sockaddr_in);
	if (MHD_add_connection(s->daemon, fd, (struct sockaddr *)&sa, len) != MHD_YES) {
		/* It closed the descriptor already. */
		pthread_mutex_lock(&s->lock);
		if (fd < s->nslots && s->conns[fd] == c)
			conn_release(s, c);
		pthread_mutex_unlock(&s->lock);
	}
}

/* ended: the client will send no more. */
static void peek(struct server *s, struct conn *c, bool ended)
{
	size_t max = s->limits.max_head + 1;
	char stack[4096], *heap = NULL, *bytes = stack;
	ssize_t n = recv(c->fd, bytes, sizeof stack < max ? sizeof stack : max, MSG_PEEK | MSG_DONTWAIT);
	if (n == sizeof stack && max > sizeof stack) {
		bytes = heap = xmalloc(max);
		n = recv(c->fd, bytes, max, MSG_PEEK | MSG_DONTWAIT);
	}
	const char *text = NULL;
	int verdict = n > 0 ? head_judge(bytes, (size_t)n, s->limits.max_head, &text) : 0;
	if (verdict == 1)
		hand_over(s, c);
	else if (verdict)
		conn_refuse(s, c, verdict, text);
	else if (ended || n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_close(s, c);
	free(heap);
}

static bool peer_of(int fd, const struct listener *l, const struct sockaddr_storage *sa, struct server_peer *p)
{
	*p = (struct server_peer){ .tag = l->tag, .is_unix = l->is_unix, .uid = (uid_t)-1 };
	if (l->is_unix) {
		struct ucred cred;
		socklen_t len = sizeof cred;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
			return false;
		p->uid = cred.uid;
		p->pid = cred.pid;
		return true;
	}
	if (sa->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
		p->port = ntohs(in6->sin6_port);
		return inet_ntop(AF_INET6, &in6->sin6_addr, p->addr, sizeof p->addr) != NULL;
	}
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	p->port = ntohs(in->sin_port);
	return inet_ntop(AF_INET, &in->sin_addr, p->addr, sizeof p->addr) != NULL;
}

/* Under listen_lock. */
static void set_listening(struct server *s, bool on)
{
	for (int i = 0; i < MAX_LISTENERS; i++) {
		struct epoll_event ev = { .events = on ? EPOLLIN : 0, .data.u64 = DATA_LISTENER | (unsigned)i };
		if (s->listeners[i].fd >= 0)
			epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, s->listeners[i].fd, &ev);
	}
	s->paused = !on;
}

/* Under listen_lock: the descriptor must not become another one meanwhile. */
static void accept_some(struct server *s, const struct listener *l)
{
	for (int burst = 0; burst < 64; burst++) {
		struct sockaddr_storage sa = { 0 };
		socklen_t len = sizeof sa;
		int fd = accept4(l->fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			/* Out of descriptors or memory: the listener stays readable, so rest until the next sweep. */
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				set_listening(s, false);
			return;
		}
		struct server_peer peer;
		if (!peer_of(fd, l, &sa, &peer)) {
			close(fd);
			continue;
		}
		struct conn *c = conn_new(s, fd, &peer);
		bool admitted = c;
		if (!c) {
			pthread_mutex_lock(&s->lock);
			c = add_uncounted(s, fd, &peer); /* to be told so, and no longer */
			pthread_mutex_unlock(&s->lock);
		}
		/* Edge-triggered: a peeked byte stays in the socket and would be reported for ever. */
		struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u64 = conn_data(c) };
		if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
			conn_close(s, c);
		else if (admitted)
			peek(s, c, false);
		else
			conn_refuse(s, c, 503, "too many connections");
	}
}

/* --- after the hand-over --- */

bool conn_watch(struct server *s, struct conn *c, struct server_req *r, struct sse *e)
{
	pthread_mutex_lock(&s->lock);
	bool ok = !s->stopping;
	if (ok) {
		c->watch_req = r;
		c->watch_sse = e;
		struct epoll_event ev = { .events = EPOLLRDHUP | EPOLLET, .data.u64 = conn_data(c) };
		if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) < 0 && errno == EEXIST)
			epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
	}
	pthread_mutex_unlock(&s->lock);
	return ok;
}

void conn_unwatch(struct server *s, struct conn *c)
{
	pthread_mutex_lock(&s->lock);
	if (c->watch_req || c->watch_sse) {
		c->watch_req = NULL;
		c->watch_sse = NULL;
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	}
	pthread_mutex_unlock(&s->lock);
}

void conn_cut_all(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < s->nslots; i++)
		if (s->conns[i])
			shutdown(s->conns[i]->fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
}

static void on_conn_event(struct server *s, uint64_t data, uint32_t events)
{
	int fd = (int)(uint32_t)data;
	uint32_t gen = (uint32_t)(data >> 32);
	pthread_mutex_lock(&s->lock);
	struct conn *c = fd < s->nslots ? s->conns[fd] : NULL;
	if (!c || c->gen != gen) {
		pthread_mutex_unlock(&s->lock);
		return;
	}
	if (c->state == CONN_MHD) {
		struct server_req *r = c->watch_req;
		struct sse *e = c->watch_sse;
		bool left = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
		if (left && r)
			req_ref(r);
		else if (left && e)
			sse_ref(e);
		pthread_mutex_unlock(&s->lock);
		if (left && r)
			req_hangup(r);
		else if (left && e)
			sse_hangup(e);
		return;
	}
	enum conn_state state = c->state;
	pthread_mutex_unlock(&s->lock); /* ours: nobody else frees it */
	if (state == CONN_HEAD)
		peek(s, c, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	else if (!drain(c))
		conn_close(s, c);
}

static int limit_ms(const struct server *s, enum conn_phase phase)
{
	switch (phase) {
	case PHASE_IDLE:
		return s->limits.idle_timeout_s * 1000;
	case PHASE_HEAD:
		return s->limits.head_timeout_ms;
	case PHASE_BODY:
		return s->limits.body_timeout_ms;
	case PHASE_REFUSED:
		return REFUSED_MS;
	case PHASE_SENDING:
		return SENDING_MS;
	case PHASE_HANDLER:
		break;
	}
	return 0;
}

static void sweep(struct server *s)
{
	int64_t now = clock_mono_ms();
	for (int i = 0;; i++) {
		pthread_mutex_lock(&s->lock);
		while (i < s->nslots && !s->conns[i])
			i++;
		if (i >= s->nslots) {
			pthread_mutex_unlock(&s->lock);
			return;
		}
		struct conn *c = s->conns[i];
		if (c->state == CONN_MHD) {
			/* Between requests and inside one, a trickle of bytes resets libmicrohttpd's own timeout; this
			 * one it does not. */
			int limit = limit_ms(s, (enum conn_phase)atomic_load_explicit(&c->phase, memory_order_relaxed));
			if (limit && !c->slow &&
			    now - atomic_load_explicit(&c->phase_since, memory_order_relaxed) > limit) {
				c->slow = true;
				shutdown(c->fd, SHUT_RDWR);
			}
			pthread_mutex_unlock(&s->lock);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		if (c->state == CONN_LINGER && now - c->since > LINGER_MS) {
			conn_close(s, c);
		} else if (c->state == CONN_HEAD && now - c->since > s->limits.head_timeout_ms) {
			char byte;
			if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
				conn_refuse(s, c, 408, "the request header did not arrive in time");
			else
				conn_close(s, c); /* never said a word: browsers connect ahead of need */
		}
	}
}

static void *accept_main(void *arg)
{
	struct server *s = arg;
	int64_t swept = clock_mono_ms(), pinged = swept;
	for (;;) {
		pthread_mutex_lock(&s->lock);
		bool stop = s->stopping, busy = s->nconns > 0;
		pthread_mutex_unlock(&s->lock);
		if (stop)
			return NULL;
		struct epoll_event ev[64];
		int n = epoll_wait(s->epoll_fd, ev, ARRAY_LEN(ev), busy || s->paused ? SWEEP_MS : -1);
		for (int i = 0; i < n; i++) {
			if (ev[i].data.u64 & DATA_LISTENER) {
				pthread_mutex_lock(&s->listen_lock);
				accept_some(s, &s->listeners[(uint32_t)ev[i].data.u64]);
				pthread_mutex_unlock(&s->listen_lock);
			} else if (!(ev[i].data.u64 & DATA_WAKE)) {
				on_conn_event(s, ev[i].data.u64, ev[i].events);
			}
		}
		int64_t now = clock_mono_ms();
		if (now - swept >= SWEEP_MS) {
			swept = now;
			sweep(s);
			if (s->paused) {
				pthread_mutex_lock(&s->listen_lock);
				set_listening(s, true);
				pthread_mutex_unlock(&s->listen_lock);
			}
		}
		if (now - pinged >= PING_MS) {
			pinged = now;
			sse_ping_all(s);
		}
	}
}

int accept_listen(struct server *s, int index, struct perry_err **err)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = DATA_LISTENER | (unsigned)index };
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listeners[index].fd, &ev) == 0)
		return 0;
	return perry_fail_errno(err, errno, "cannot watch the server's sockets");
}

int accept_start(struct server *s, struct perry_err **err)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = DATA_WAKE };
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->wake_fd, &ev) < 0)
		return perry_fail_errno(err, errno, "cannot watch the server's sockets");
	for (int i = 0; i < MAX_LISTENERS; i++)
		if (s->listeners[i].fd >= 0 && accept_listen(s, i, err) < 0)
			return -1;
	int rc = pthread_create(&s->thread, NULL, accept_main, s);
	if (rc)
		return perry_fail_errno(err, rc, "cannot start the accept thread");
	s->running = true;
	return 0;
}

/* s->stopping is set. What was not handed over is closed here. */
void accept_stop(struct server *s)
{
	if (s->running) {
		uint64_t one = 1;
		if (write(s->wake_fd, &one, sizeof one) < 0)
			abort(); /* an eventfd that holds 0 takes 1 */
		pthread_join(s->thread, NULL);
		s->running = false;
	}
	for (int i = 0; i < MAX_LISTENERS; i++)
		server_unlisten(s, s->listeners[i].fd);
	for (int i = 0; i < s->nslots; i++) {
		pthread_mutex_lock(&s->lock);
		struct conn *c = s->conns[i] && s->conns[i]->state != CONN_MHD ? s->conns[i] : NULL;
		pthread_mutex_unlock(&s->lock);
		if (c)
			conn_close(s, c);
	}
}
