/* The HTTP server: our own accept loop (peer credentials, caps per peer, a deadline for the request head) in front of
 * one libmicrohttpd daemon. Handlers run on a server thread: they answer at once, or suspend and are completed from any
 * thread later. */
#ifndef PERRY_NET_SERVER_H
#define PERRY_NET_SERVER_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct server;
struct server_req;

/* Where a connection came in. tag is the owner's (which trust rules apply). */
struct server_peer {
	int tag;
	bool is_unix;
	uid_t uid; /* of a unix peer */
	pid_t pid;
	char addr[64]; /* of a TCP peer, "127.0.0.1" */
	uint16_t port; /* of a TCP peer */
};

struct server_limits {
	size_t max_body;     /* bytes; 413 beyond. Default 1 MiB */
	size_t max_head;     /* bytes; 431 beyond. Default 16 KiB */
	int head_timeout_ms; /* the whole request head must arrive within; default 10 s */
	int body_timeout_ms; /* and the whole body; default 30 s */
	int idle_timeout_s;  /* kept-alive connections; default 60 */
	int max_per_peer;    /* connections per address (all loopback ones are one) or uid; default 64 */
	int max_connections; /* in all; default 512. A quarter is for unix sockets alone */
	size_t max_bodies;   /* bytes of all bodies that came by TCP, together; 503 beyond. Default 16 of the largest */
	int threads;         /* default: cores */
};

/* Called with the whole body read (within limits). Must reply, suspend, start an event stream or upgrade before it
 * returns. */
typedef void (*server_handler)(void *ctx, struct server_req *req);

/* Called with the head alone where more than SERVER_SMALL_BODY bytes shall follow, or nobody knows how many. Replies
 * now (the body is thrown away), or leaves the request for the handler. Must not suspend. */
typedef void (*server_screen)(void *ctx, struct server_req *req);
enum { SERVER_SMALL_BODY = 4096 };

int server_new(struct server **out, const struct server_limits *limits, server_handler fn, void *ctx,
	       struct perry_err **err);
void server_set_screen(struct server *s, server_screen fn); /* before the start */
/* Takes over a listening, non-blocking socket. Connections are accepted from server_start on, or at once after that. */
int server_listen(struct server *s, int take_fd, int tag, struct perry_err **err);
/* Closes one of them. Connections that it brought stay. */
void server_unlisten(struct server *s, int fd);
int server_start(struct server *s, struct perry_err **err);
/* Stops accepting, resumes what is suspended (503; the owed replies may still come, even after this returned, and are
 * dropped), waits up to grace_ms for running answers, closes everything, frees. Upgraded sockets live on. */
void server_stop(struct server *s, int grace_ms);

/* Listening sockets. The unix one: the folder is made 0700, a stale socket (nobody answers) is replaced, a live one is
 * PERRY_ECONFLICT. */
int listen_unix(const char *path, mode_t mode, int *fd, struct perry_err **err);
int listen_tcp(const char *addr, uint16_t port, int *fd, uint16_t *bound, struct perry_err **err); /* port 0: any */

/* The request; borrowed until it was answered. Malformed percent-escapes never reach the handler (400). */
const struct server_peer *req_peer(const struct server_req *r);
const char *req_method(const struct server_req *r);
const char *req_path(const struct server_req *r);                     /* decoded, without the query */
const char *req_header(const struct server_req *r, const char *name); /* or NULL */
const char *req_query(const struct server_req *r, const char *name);  /* decoded, or NULL */
const struct buf *req_body(const struct server_req *r);
bool req_is_upgrade(const struct server_req *r); /* it asks for another protocol, whatever else it lists */

/* Extra response headers: pairs name, value, ending with NULL; or NULL. */
void reply(struct server_req *r, int status, const char *content_type, const void *body, size_t n,
	   const char *const *headers);
void reply_text(struct server_req *r, int status, const char *content_type, const char *text);
/* Prints and frees the value. */
void reply_json(struct server_req *r, int status, cJSON *take_body);
/* A body that lives as long as the server (embedded files): not copied. */
void reply_static(struct server_req *r, int status, const char *content_type, const void *body, size_t n,
		  const char *const *headers);

/* Suspend: the handler may return; some thread replies later, exactly once (by any of reply..., req_sse,
 * req_websocket). gone (may be NULL) is called once, from a server thread, if the client hangs up before that; a reply
 * is still owed (it is dropped). A reply waits for a gone that is running on another thread, and none runs after it:
 * hold no lock in a reply that gone takes. Once more for a request that was suspended without gone: adds it, and calls
 * it at once when the client has left meanwhile. */
void req_suspend(struct server_req *r, void (*gone)(void *ctx, struct server_req *r), void *ctx);

/* Server-sent events: replies 200 text/event-stream; push from any thread; a client that does not read is cut off after
 * 1 MiB of backlog (push returns -1 from then on). closed is called once when the client is gone or the server stops,
 * maybe before req_sse has returned; the caller owns the sse and frees it in closed or after. NULL: the client of a
 * suspended request has left already; closed will not be called. */
struct sse;
struct sse *req_sse(struct server_req *r, void (*closed)(void *ctx, struct sse *s), void *ctx);
int sse_push(struct sse *s, const char *id, const char *event, const char *data); /* id and event may be NULL */
size_t sse_backlog(struct sse *s);                                                /* bytes pushed and not sent yet */
void sse_close(struct sse *s); /* ends the stream; closed is still called */
void sse_free(struct sse *s);  /* gives up the caller's reference */

/* WebSocket: answers 101 and hands the socket over (non-blocking, owned by the callee) with bytes that came too early.
 * protocol: the subprotocol to answer, or NULL. When the request is no WebSocket upgrade it replies 400 "WebSocket
 * upgrade failed" and returns -1; -1 too when the client of a suspended request has left. After 0 fn is called exactly
 * once, on a server thread: with -1 and nothing when the client left before the 101 was out. */
typedef void (*server_upgraded)(void *ctx, int take_fd, const char *early, size_t n);
int req_websocket(struct server_req *r, const char *protocol, server_upgraded fn, void *ctx);

#endif
