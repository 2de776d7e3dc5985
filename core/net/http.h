/* The HTTP client (libcurl): a client is a place to talk to (or none: whole URLs) plus a pool of kept connections; any
 * thread may call it. An answer with any status is success here; only the caller knows what a 404 means to it.
 * Redirects are reported, not followed. */
#ifndef PERRY_NET_HTTP_H
#define PERRY_NET_HTTP_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct http;
struct sockaddr;

struct http_options {
	const char *base;    /* "unix:///path", "http://host:port", "https://host[/prefix]", or NULL: each request has a
				whole URL */
	const char *ca_file; /* PEM; NULL: the system's */
	const char *cert_file, *key_file; /* client certificate, or NULL */
	bool insecure;                    /* the server's certificate is not checked */
	bool env_proxy;                   /* honour http_proxy and the like */
	/* May this address be connected to? NULL: any may. It is asked about each that the name led to, and the very
	 * one is connected, so that no second look-up leads elsewhere. Where the environment names a proxy that one is
	 * connected instead, for every host, and where it goes is its own to decide. */
	bool (*reach)(void *ctx, const struct sockaddr *to);
	void *reach_ctx;
	int connect_timeout_ms; /* 0: 10 s */
	int keep;               /* idle connections kept; 0: 8 */
};
/* Copies the options. Connects to nothing yet. PERRY_EINPUT for a base that is none of the above. */
int http_new(struct http **out, const struct http_options *options, struct perry_err **err);
/* No call may be under way. NULL is fine. */
void http_free(struct http *h);

struct http_res;
struct http_req {
	const char *method;         /* NULL: GET */
	const char *url;            /* path and query below the base, or a whole http(s) URL */
	const char *const *headers; /* "Name: value", NULL-terminated, or NULL */
	const void *body;           /* borrowed for the call, or NULL */
	size_t body_len;
	/* A body of unknown length instead (chunked): fill up to n bytes, 0 at the end, -1 to abort (PERRY_ECANCELLED).
	 */
	ssize_t (*fill)(void *ctx, char *bytes, size_t n);
	/* The body of a 2xx answer as it comes, instead of collecting it; non-zero ends the call (PERRY_ECANCELLED). */
	int (*sink)(void *ctx, const char *bytes, size_t n);
	/* Told once when the head of a 2xx answer is complete (res->status, http_header). */
	void (*head)(void *ctx, const struct http_res *res);
	void *ctx;           /* of fill, sink and head */
	size_t max;          /* bytes of a collected body, PERRY_ETOOLARGE beyond; 0: 16 MiB */
	int timeout_ms;      /* the whole call, PERRY_ETIMEOUT beyond; 0: none */
	int idle_timeout_ms; /* so long without a byte either way; 0: none */
	/* Asked on the caller's thread when no answer has begun and nothing went either way for quiet_ms, and again
	 * after as long: should the call go on waiting? False ends it (PERRY_ETIMEOUT). */
	bool (*quiet)(void *quiet_ctx);
	void *quiet_ctx;
	int quiet_ms;
	const atomic_bool *cancelled; /* set by another thread: PERRY_ECANCELLED, or NULL */
	int cancel_fd; /* readable when cancelled is set; -1 (or no cancelled): the flag alone is looked at every 50 ms
			*/
};
struct http_res {
	int status;
	struct buf head; /* the head's lines as they came */
	struct buf body; /* what was not given to sink */
	bool connected;  /* false: the error is one of connecting (refused, no such socket, name unknown, ...) */
	int conn_errno;  /* and its errno, if the system told one */
};
void http_res_free(struct http_res *res);
#define cleanup_http_res __attribute__((cleanup(http_res_free)))

/* One request. *res is filled as far as it came, also on failure; the caller frees it.
 * PERRY_EUNAVAILABLE: no connection, or it broke; PERRY_EPOLICY: none of the host's addresses may be reached;
 * PERRY_EINPUT: no such kind of URL. Texts name neither query nor
 * headers. */
int http_do(struct http *h, const struct http_req *req, struct http_res *res, struct perry_err **err);
/* A header's value into a caller's buffer (cut to n); false when the answer has none. Of several the last one. */
bool http_header(const struct http_res *res, const char *name, char *value, size_t n);
/* Appends s percent-encoded (all but letters, digits and "-._~" and the bytes in keep, which may be NULL). */
void http_escape(struct buf *out, const char *s, const char *keep);

/* A connection taken out of HTTP: the request (req: method, url, headers, body, timeout_ms for the answer's head,
 * cancelled) asks for an upgrade, and after the head of a 101 or 200 answer the connection is the caller's,
 * non-blocking. Any other answer: 0 with *out NULL and the answer in *res. */
struct http_stream;
int http_hijack(struct http *h, const struct http_req *req, struct http_stream **out, struct http_res *res,
		struct perry_err **err);
/* Only connects (TLS and its checks included): what is sent and received is up to the caller. */
int http_connect(struct http *h, int timeout_ms, struct http_stream **out, struct perry_err **err);
int http_stream_fd(const struct http_stream *s); /* to poll, level-triggered; owned by s. Read once after the hijack:
						    bytes may have come with the head. */
ssize_t http_stream_recv(struct http_stream *s, void *bytes,
			 size_t n); /* bytes, 0: would block, -1: ended or broken (see http_stream_broken) */
ssize_t http_stream_send(struct http_stream *s, const void *bytes,
			 size_t n);                   /* bytes taken, 0: would block, -1: gone */
void http_stream_shutdown(struct http_stream *s);     /* nothing more will be sent; receiving goes on */
bool http_stream_broken(const struct http_stream *s); /* the connection was reset rather than ended */
void http_stream_free(struct http_stream *s);

#endif
