#include "net/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/http_priv.h"

#define CONNECT_MS   10000
#define KEEP         8
#define FLAG_LOOK_MS 50 /* how often a flag without a descriptor is looked at */
#define LONG_WAIT_MS 60000

struct http {
	char *base;      /* prefix of each URL without a slash at its end, or NULL */
	char *unix_path; /* of a unix socket, or NULL */
	char *ca, *cert, *key;
	bool insecure, env_proxy;
	bool (*reach)(void *ctx, const struct sockaddr *to);
	void *reach_ctx;
	int connect_ms;
	int keep;
	pthread_mutex_t lock; /* of the two below */
	struct http_slot *idle;
	int idle_count;
};

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

void http_slot_free(struct http_slot *s)
{
	if (!s)
		return;
	if (s->easy) {
		curl_multi_remove_handle(s->multi, s->easy);
		curl_easy_cleanup(s->easy);
	}
	if (s->multi)
		curl_multi_cleanup(s->multi);
	free(s);
}

struct http_slot *http_slot_new(struct perry_err **err)
{
	struct http_slot *s = xcalloc(1, sizeof *s);
	s->multi = curl_multi_init();
	s->easy = curl_easy_init();
	if (!s->multi || !s->easy) {
		http_slot_free(s);
		perry_fail(err, PERRY_EINTERNAL, "cannot set up an HTTP transfer (out of descriptors?)");
		return NULL;
	}
	curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, 1L);
	return s;
}

static struct http_slot *slot_get(struct http *h, struct perry_err **err)
{
	pthread_mutex_lock(&h->lock);
	struct http_slot *s = h->idle;
	if (s) {
		h->idle = s->next;
		h->idle_count--;
	}
	pthread_mutex_unlock(&h->lock);
	return s ? s : http_slot_new(err);
}

static void slot_put(struct http *h, struct http_slot *s)
{
	curl_easy_reset(s->easy);
	pthread_mutex_lock(&h->lock);
	if (h->idle_count < h->keep) {
		s->next = h->idle;
		h->idle = s;
		h->idle_count++;
		s = NULL;
	}
	pthread_mutex_unlock(&h->lock);
	http_slot_free(s);
}

int http_new(struct http **out, const struct http_options *o, struct perry_err **err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *base = o->base;
	if (base && !str_starts(base, "unix:///") && !str_starts(base, "http://") && !str_starts(base, "https://"))
		return perry_fail(err, PERRY_EINPUT,
				  "cannot talk HTTP to \"%s\": expected unix:///PATH, http://HOST or https://HOST",
				  base);
	pthread_once(&once, init_curl);
	struct http *h = xcalloc(1, sizeof *h);
	if (base && str_starts(base, "unix://")) {
		h->unix_path = xstrdup(base + strlen("unix://"));
		h->base = xstrdup("http://localhost");
	} else if (base) {
		h->base = xstrdup(base);
		for (size_t n = strlen(h->base); n && h->base[n - 1] == '/'; n--)
			h->base[n - 1] = '\0';
	}
	h->ca = xstrdup(o->ca_file);
	h->cert = xstrdup(o->cert_file);
	h->key = xstrdup(o->key_file);
	h->insecure = o->insecure;
	h->env_proxy = o->env_proxy;
	h->reach = o->reach;
	h->reach_ctx = o->reach_ctx;
	h->connect_ms = o->connect_timeout_ms > 0 ? o->connect_timeout_ms : CONNECT_MS;
	h->keep = o->keep > 0 ? o->keep : KEEP;
	pthread_mutex_init(&h->lock, NULL);
	*out = h;
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	for (struct http_slot *s = h->idle, *next; s; s = next) {
		next = s->next;
		http_slot_free(s);
	}
	pthread_mutex_destroy(&h->lock);
	free(h->base);
	free(h->unix_path);
	free(h->ca);
	free(h->cert);
	free(h->key);
	free(h);
}

void http_res_free(struct http_res *r)
{
	buf_free(&r->head);
	buf_free(&r->body);
}

void http_escape(struct buf *out, const char *s, const char *keep)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		bool plain = (c < 128 && isalnum(c)) || strchr("-._~", c) || (keep && strchr(keep, c));
		if (plain)
			buf_addc(out, (char)c);
		else
			buf_addf(out, "%%%02X", c);
	}
}

bool http_header(const struct http_res *res, const char *name, char *value, size_t n)
{
	size_t len = strlen(name);
	bool found = false;
	for (const char *line = buf_str(&res->head); *line;) {
		const char *end = strchr(line, '\n');
		end = end ? end : line + strlen(line);
		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			const char *v = line + len + 1, *stop = end;
			while (v < stop && (*v == ' ' || *v == '\t'))
				v++;
			while (stop > v && isspace((unsigned char)stop[-1]))
				stop--;
			size_t take = (size_t)(stop - v) < n ? (size_t)(stop - v) : n - 1;
			memcpy(value, v, take);
			value[take] = '\0';
			found = true;
		}
		line = *end ? end + 1 : end;
	}
	return found;
}

/* The connection's sockets must not leak into the programs that other threads start. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct http_call *c = ctx;
	if (c->reach && !c->reach(c->reach_ctx, &a->addr)) {
		if (getnameinfo(&a->addr, a->addrlen, c->refused, sizeof c->refused, NULL, 0, NI_NUMERICHOST) != 0)
			strcpy(c->refused, "?");
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static size_t on_head(char *bytes, size_t size, size_t n, void *ctx)
{
	struct http_call *c = ctx;
	struct http_res *res = c->res;
	n *= size;
	c->last_io = clock_mono_ms();
	if (n > 5 && memcmp(bytes, "HTTP/", 5) == 0) { /* a new head, after a 100 for example */
		res->head.len = 0;
		c->head_done = false;
		const char *space = memchr(bytes, ' ', n);
		res->status = space && space + 4 <= bytes + n ? (int)strtol(space + 1, NULL, 10) : 0;
	}
	if (res->head.len + n > HTTP_HEAD_MAX) {
		c->ending = BY_SIZE;
		return 0;
	}
	buf_add(&res->head, bytes, n);
	if ((n == 2 && bytes[0] == '\r') || (n == 1 && bytes[0] == '\n')) {
		c->head_done = true;
		if (res->status >= 200 && res->status < 300 && c->req->head)
			c->req->head(c->req->ctx, res);
	}
	return n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
	struct http_call *c = ctx;
	n *= size;
	c->last_io = clock_mono_ms();
	if (c->req->sink && c->res->status >= 200 && c->res->status < 300) {
		if (n && c->req->sink(c->req->ctx, bytes, n) != 0) {
			c->ending = BY_SINK;
			return n ? 0 : 1;
		}
		return n;
	}
	if (n > c->max - c->res->body.len) {
		c->ending = BY_SIZE;
		return 0;
	}
	buf_add(&c->res->body, bytes, n);
	return n;
}

static size_t on_fill(char *bytes, size_t size, size_t n, void *ctx)
{
	struct http_call *c = ctx;
	ssize_t got = c->req->fill(c->req->ctx, bytes, size * n);
	c->last_io = clock_mono_ms();
	if (got < 0) {
		c->ending = BY_FILL;
		return CURL_READFUNC_ABORT;
	}
	return (size_t)got;
}

static bool is_cancelled(const struct http_req *req)
{
	return req->cancelled && atomic_load(req->cancelled);
}

/* Milliseconds until quiet() has to be asked, which is done when they are over; 0: it gave the call up. */
static int64_t quiet_left(struct http_call *c)
{
	const struct http_req *req = c->req;
	if (!req->quiet || c->head_done)
		return LONG_WAIT_MS;
	int64_t since = c->asked > c->last_io ? c->asked : c->last_io, left = since + req->quiet_ms - clock_mono_ms();
	if (left > 0)
		return left;
	if (!req->quiet(req->quiet_ctx))
		return 0;
	c->asked = clock_mono_ms();
	return req->quiet_ms;
}

int http_time_left(struct http_call *c)
{
	const struct http_req *req = c->req;
	int64_t now = clock_mono_ms(), wait = LONG_WAIT_MS;
	if (is_cancelled(req)) {
		c->ending = BY_CANCEL;
		return 0;
	}
	if (c->deadline && c->deadline - now < wait)
		wait = c->deadline - now;
	if (wait <= 0) {
		c->ending = BY_TIME;
		return 0;
	}
	if (req->idle_timeout_ms && c->last_io + req->idle_timeout_ms - now < wait)
		wait = c->last_io + req->idle_timeout_ms - now;
	if (wait <= 0) {
		c->ending = BY_SILENCE;
		return 0;
	}
	int64_t quiet = quiet_left(c);
	if (quiet <= 0) {
		c->ending = is_cancelled(req) ? BY_CANCEL : BY_QUIET;
		return 0;
	}
	if (quiet < wait)
		wait = quiet;
	if (req->cancelled && req->cancel_fd < 0 && wait > FLAG_LOOK_MS)
		wait = FLAG_LOOK_MS;
	return (int)wait;
}

CURLcode http_drive(struct http_call *c, struct http_slot *s)
{
	struct curl_waitfd extra = { .fd = c->req->cancelled ? c->req->cancel_fd : -1, .events = CURL_WAIT_POLLIN };
	if (curl_multi_add_handle(s->multi, s->easy) != CURLM_OK)
		return CURLE_FAILED_INIT;
	for (int running = 1;;) {
		CURLMcode m = curl_multi_perform(s->multi, &running);
		if (m != CURLM_OK)
			return CURLE_FAILED_INIT;
		if (!running)
			break;
		int wait = http_time_left(c);
		if (wait == 0)
			return CURLE_ABORTED_BY_CALLBACK;
		curl_multi_poll(s->multi, &extra, extra.fd >= 0 ? 1 : 0, wait, NULL);
	}
	int left;
	const CURLMsg *msg = curl_multi_info_read(s->multi, &left);
	return msg && msg->msg == CURLMSG_DONE ? msg->data.result : CURLE_FAILED_INIT;
}

char *http_shown_url(const struct http_call *c, const char *url)
{
	const char *path = c->local ? strchr(strstr(url, "://") + 3, '/') : NULL;
	url = path ? path : url;
	char *copy = xstrndup(url, strcspn(url, "?#"));
	char *host = strstr(copy, "://");
	if (host) {
		host += 3;
		char *slash = host + strcspn(host, "/"), *at = memchr(host, '@', (size_t)(slash - host));
		for (char *next; at && (next = memchr(at + 1, '@', (size_t)(slash - at - 1)));)
			at = next;
		if (at)
			memmove(host, at + 1, strlen(at + 1) + 1);
	}
	return copy;
}

/* Was the connection up, so that what failed is the answer? */
static bool was_sent(CURL *easy)
{
	curl_off_t took = 0;
	return curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &took) == CURLE_OK && took > 0;
}

static bool is_connecting(CURLcode code, CURL *easy)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_PROXY:
		return true;
	case CURLE_OPERATION_TIMEDOUT: /* ours are told apart before: this is the connect timeout */
		return true;
	case CURLE_ABORTED_BY_CALLBACK:
		return !was_sent(easy);
	default:
		return false;
	}
}

int http_ended_by(const struct http_call *c, enum http_ending why, const char *url, struct perry_err **err)
{
	switch (why) {
	case BY_CANCEL:
		return perry_fail(err, PERRY_ECANCELLED, "cancelled");
	case BY_SINK:
		return perry_fail(err, PERRY_ECANCELLED, "ended by the receiver");
	case BY_FILL:
		return perry_fail(err, PERRY_ECANCELLED, "the upload was given up");
	case BY_SIZE:
		return perry_fail(err, PERRY_ETOOLARGE, "the answer of %s is larger than %zu bytes", url, c->max);
	case BY_TIME:
		return perry_fail(err, PERRY_ETIMEOUT, "no complete answer of %s within %d ms", url,
				  c->req->timeout_ms);
	case BY_SILENCE:
		return perry_fail(err, PERRY_ETIMEOUT, "%s was silent for %d ms", url, c->req->idle_timeout_ms);
	case BY_QUIET:
		return perry_fail(err, PERRY_ETIMEOUT, "%s does not answer", url);
	default:
		return perry_fail(err, PERRY_EINTERNAL, "%s: the transfer ended for no known reason", url);
	}
}

int http_judge(struct http_call *c, CURLcode code, CURL *easy, const char *full_url, struct perry_err **err)
{
	struct http_res *res = c->res;
	long os = 0;
	res->connected = code == CURLE_OK || !is_connecting(code, easy);
	if (code == CURLE_OK)
		return 0;
	cleanup_free char *url = http_shown_url(c, full_url);
	if (c->ending != BY_ITSELF)
		return http_ended_by(c, c->ending, url, err);
	const char *text = c->text[0] ? c->text : curl_easy_strerror(code);
	if (!res->connected && c->refused[0])
		return perry_fail(err, PERRY_EPOLICY, "%s leads to %s, an address that may not be reached from here",
				  url, c->refused);
	if (!res->connected && curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os) == CURLE_OK && os) {
		res->conn_errno = (int)os;
		return perry_fail(err, PERRY_EUNAVAILABLE, "cannot connect to %s: %s", url, strerror((int)os));
	}
	switch (code) {
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL: /* also an answer that is no HTTP */
		if (was_sent(easy))
			return perry_fail(err, PERRY_EUNAVAILABLE, "the answer of %s broke off: %s", url, text);
		return perry_fail(err, PERRY_EINPUT, "%s: %s", url, text);
	case CURLE_FAILED_INIT:
	case CURLE_OUT_OF_MEMORY:
	case CURLE_BAD_FUNCTION_ARGUMENT:
		return perry_fail(err, PERRY_EINTERNAL, "%s: %s", url, text);
	default:
		if (!res->connected)
			return perry_fail(err, PERRY_EUNAVAILABLE, "cannot connect to %s: %s", url, text);
		return perry_fail(err, PERRY_EUNAVAILABLE, "the answer of %s broke off: %s", url, text);
	}
}

char *http_full_url(const struct http *h, const struct http_req *req)
{
	if (!h->base || str_starts(req->url, "http://") || str_starts(req->url, "https://"))
		return xstrdup(req->url);
	return xasprintf("%s%s%s", h->base, req->url[0] == '/' ? "" : "/", req->url);
}

/* As curl finds it, but for no_proxy. */
static const char *proxy_of(const char *url)
{
	const char *const names[] = { strncasecmp(url, "https:", 6) == 0 ? "https_proxy" : "http_proxy",
				      strncasecmp(url, "https:", 6) == 0 ? "HTTPS_PROXY" : "http_proxy", "all_proxy",
				      "ALL_PROXY" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *v = getenv(names[i]);
		if (v && *v)
			return v;
	}
	return NULL;
}

void http_set_common(const struct http *h, CURL *e, struct http_call *c, const char *url)
{
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->text);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(e, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* a cancelled call does not wait for a name server */
#endif
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)h->connect_ms);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	const char *proxy = h->env_proxy && h->reach ? proxy_of(url) : NULL;
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
	c->reach = proxy ? NULL : h->reach;
	c->reach_ctx = h->reach_ctx;
	if (!h->env_proxy || h->reach)
		curl_easy_setopt(e, CURLOPT_PROXY, proxy ? proxy : "");
	if (proxy)
		curl_easy_setopt(e, CURLOPT_NOPROXY, "");
	if (h->unix_path)
		curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, h->unix_path);
	c->local = h->unix_path != NULL;
	if (h->ca)
		curl_easy_setopt(e, CURLOPT_CAINFO, h->ca);
	if (h->cert)
		curl_easy_setopt(e, CURLOPT_SSLCERT, h->cert);
	if (h->key)
		curl_easy_setopt(e, CURLOPT_SSLKEY, h->key);
	if (h->insecure) {
		curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void set_body(CURL *e, const struct http_req *req, struct http_call *c, const char *method)
{
	if (req->fill) {
		curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, on_fill);
		curl_easy_setopt(e, CURLOPT_READDATA, c);
		/* A kept connection may turn out dead only when half of the stream is gone, and it cannot be sent
		 * twice. */
		curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	} else if (req->body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(req->body ? req->body_len : 0));
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, req->body ? req->body : "");
	} else if (strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	}
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

static struct curl_slist *header_list(const struct http_req *req)
{
	/* curl's own ideas: no waiting for "100 Continue", no form type for JSON. */
	struct curl_slist *l = curl_slist_append(NULL, "Expect:");
	bool typed = false;
	for (const char *const *p = req->headers; p && *p; p++) {
		l = curl_slist_append(l, *p);
		typed = typed || strncasecmp(*p, "content-type:", 13) == 0;
	}
	return typed ? l : curl_slist_append(l, "Content-Type:");
}

void http_call_init(struct http_call *c, const struct http_req *req, struct http_res *res)
{
	memset(res, 0, sizeof *res);
	c->req = req;
	c->res = res;
	c->max = req->max ? req->max : HTTP_DEFAULT_MAX;
	c->last_io = clock_mono_ms();
	c->deadline = req->timeout_ms > 0 ? c->last_io + req->timeout_ms : 0;
}

/* Requests may come from scripts: no line of theirs may become two. */
static int check(const struct http_req *req, struct perry_err **err)
{
	for (const char *p = req->method; p && *p; p++)
		if (!isalpha((unsigned char)*p))
			return perry_fail(err, PERRY_EINPUT, "no HTTP method: letters only");
	for (const unsigned char *p = (const unsigned char *)req->url; *p; p++)
		if (*p <= ' ' || *p == 127)
			return perry_fail(err, PERRY_EINPUT, "a URL has no blanks and no control characters");
	for (const char *const *p = req->headers; p && *p; p++)
		if (strpbrk(*p, "\r\n") || !strchr(*p, ':') || **p == ':')
			return perry_fail(err, PERRY_EINPUT, "a header is one line, \"Name: value\"");
	return 0;
}

int http_call_begin(struct http_call *c, const struct http_req *req, struct http_res *res, struct perry_err **err)
{
	http_call_init(c, req, res);
	if (check(req, err) != 0)
		return -1;
	return is_cancelled(req) ? http_ended_by(c, BY_CANCEL, "", err) : 0;
}

int http_do(struct http *h, const struct http_req *req, struct http_res *res, struct perry_err **err)
{
	struct http_call c = { 0 };
	if (http_call_begin(&c, req, res, err) != 0)
		return -1;
	struct http_slot *s = slot_get(h, err);
	if (!s)
		return -1;
	cleanup_free char *url = http_full_url(h, req);
	struct curl_slist *headers = header_list(req);
	http_set_common(h, s->easy, &c, url);
	set_body(s->easy, req, &c, req->method ? req->method : "GET");
	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, &c);
	curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, &c);
	CURLcode code = http_drive(&c, s);
	if (code == CURLE_OK && !c.head_done) /* a connection that ends within the head is fine with curl */
		code = CURLE_PARTIAL_FILE;
	int rc = http_judge(&c, code, s->easy, url, err);
	curl_multi_remove_handle(s->multi, s->easy); /* closes the connection if the transfer was not over */
	if (rc == 0)
		slot_put(h, s);
	else
		http_slot_free(s);
	curl_slist_free_all(headers);
	return rc;
}
