/* What the files of the server share. The only includer of microhttpd.h. */
#ifndef PERRY_NET_SERVER_PRIV_H
#define PERRY_NET_SERVER_PRIV_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>

#include "net/server.h"

/* A connection belongs to the accept thread until its first head is complete, then to libmicrohttpd. It stays in the
 * table all the while. */
enum conn_state {
	CONN_HEAD,   /* ours: waiting for the head */
	CONN_MHD,    /* handed over */
	CONN_LINGER, /* ours: an error was written, what still arrives is thrown away until the client has read it */
};
/* Of a connection that was handed over; each has a limit of its own, kept by the sweep. */
enum conn_phase {
	PHASE_IDLE,
	PHASE_HEAD,
	PHASE_BODY,
	PHASE_REFUSED, /* the answer is clear, what the client still sends is thrown away until it can read it */
	PHASE_HANDLER,
	PHASE_SENDING,
};

struct peer_count {
	char key[72];
	int n;
};

struct conn {
	int fd;
	uint32_t gen;          /* tells a late event from one of the descriptor's next owner */
	enum conn_state state; /* under server.lock */
	bool started;          /* libmicrohttpd announced it; under server.lock */
	bool slow;             /* cut off by the sweep, or for a newcomer; under server.lock */
	bool counted;          /* among its peer's and the server's; under server.lock */
	bool judged;           /* its first head was, by head_judge; a later one is judged by libmicrohttpd's thread */
	struct server_peer peer;
	int64_t since;  /* CONN_HEAD, CONN_LINGER: mono ms; accept thread only */
	size_t drained; /* CONN_LINGER: bytes thrown away; accept thread only */
	atomic_int phase;
	_Atomic int64_t phase_since; /* mono ms */
	/* Who wants to know of a hang-up; under server.lock, at most one of the two. */
	struct server_req *watch_req;
	struct sse *watch_sse;
};

struct listener {
	int fd, tag; /* fd -1: a free place */
	bool is_unix;
};
enum { MAX_LISTENERS = 32 };

struct server {
	struct server_limits limits;
	server_handler fn;
	server_screen screen; /* or NULL */
	void *ctx;
	atomic_size_t bodies; /* bytes of requests' bodies that came by TCP */
	struct MHD_Daemon *daemon;
	pthread_mutex_t listen_lock; /* of listeners; taken before lock */
	struct listener listeners[MAX_LISTENERS];
	int epoll_fd, wake_fd;
	pthread_t thread;
	bool running;  /* the accept thread exists */
	bool paused;   /* out of descriptors; accept thread only */
	int lingering; /* accept thread only */

	pthread_mutex_t lock;   /* below; taken after req.lock and sse.lock, never before */
	pthread_cond_t emptied; /* nconns became 0 */
	bool stopping;
	struct conn **conns;                /* by descriptor */
	int nslots, nconns, ncounted, ntcp; /* counted: without those that were cut off for newcomers */
	uint32_t next_gen;
	struct peer_count *peers;
	int npeers;
	struct sse *sses; /* open event streams */
};

struct pair {
	struct pair *next;
	const char *name, *value; /* both in the same allocation */
};

enum req_state { REQ_NEW, REQ_SUSPENDED, REQ_ANSWERED };

struct server_req {
	atomic_int refs;       /* libmicrohttpd's, and the owner's while suspended */
	struct server *server; /* not after the connection is gone */
	struct MHD_Connection *mhd;
	struct conn *conn;
	struct server_peer peer;
	char *method; /* a copy once suspended, else libmicrohttpd's */
	bool method_owned;
	char *target;    /* as it came; until the head was judged */
	char *authority; /* of an absolute target, or NULL */
	char *path;      /* decoded */
	char *raw_query; /* "" when there is none */
	bool bad_uri;
	bool begun;   /* the head was judged */
	int64_t at;   /* when, for the log */
	bool entered; /* the handler was called */
	uint64_t body_seen;
	bool screened;    /* answered by the screen: the body is thrown away */
	size_t counted;   /* its share of server.bodies */
	int early_status; /* decided before the body came: answered when it is in */
	const char *early_text;
	struct buf body;
	struct pair *query; /* parsed on first use */
	bool query_parsed;
	struct pair *headers; /* the copy of a suspended request */
	bool headers_copied;

	pthread_mutex_t lock;
	pthread_cond_t quiet; /* gone is not running any more */
	enum req_state state;
	bool was_suspended;
	bool dropped; /* the connection does without the answer */
	bool stopped; /* ... because the server stops */
	bool gone_told, gone_running;
	pthread_t gone_thread;
	void (*gone)(void *ctx, struct server_req *r);
	void *gone_ctx;
	int status;
	struct MHD_Response *response;

	server_upgraded upgraded; /* called exactly once */
	void *upgraded_ctx;
	bool upgrade_told; /* that there will be no upgrade */
	atomic_bool upgrade_done;
};

/* server.c */
void server_error_text(struct buf *out, const char *text); /* {"error":"text"}; text is ours, nothing to escape */

/* server_accept.c */
int accept_start(struct server *s, struct perry_err **err);
int accept_listen(struct server *s, int index,
		  struct perry_err **err); /* under listen_lock: connections come from now on */
void accept_stop(struct server *s);
void conn_phase(struct conn *c, enum conn_phase phase);
/* Watch for a hang-up; false when the server is stopping. r or e is told through req_hangup, sse_hangup. */
bool conn_watch(struct server *s, struct conn *c, struct server_req *r, struct sse *e);
void conn_unwatch(struct server *s, struct conn *c);
void conn_release(struct server *s, struct conn *c); /* under s->lock; forgets it, does not close */
void conn_cut_all(struct server *s);                 /* shuts every descriptor down */

/* server_req.c */
struct server_req *req_new(struct server *s, struct conn *c, struct MHD_Connection *mhd, const char *raw_uri);
void req_ref(struct server_req *r);
void req_unref(struct server_req *r);
void req_completed(struct server_req *r);
void req_uncount(struct server_req *r); /* its body is no more among server.bodies */
void req_hangup(struct server_req *r);  /* the client left a suspended request */
void req_abandon(struct server_req *r); /* the server stops */
/* false: nobody listens, and the response stays the caller's. After it returned gone is not running and will not be
 * called. */
bool req_answer(struct server_req *r, int status, struct MHD_Response *response);

/* sse.c */
void sse_hangup(struct sse *e);
void sse_ref(struct sse *e);
void sse_stop_all(struct server *s);
void sse_ping_all(struct server *s);

/* server_head.c: pure functions over bytes */
/* Judges the bytes of a head that may be incomplete. 0: wait for more; 1: complete and well-formed; else the status to
 * answer, with *text. */
int head_judge(const char *bytes, size_t n, size_t max_head, const char **text);
/* Takes a request's target ("/path?query", "http://host/path?query") apart; borrowed pieces. */
struct target {
	const char *authority, *path, *query; /* authority NULL: it names none; path "" and query NULL likewise */
	size_t authority_len, path_len, query_len;
};
void head_target(const char *text, struct target *out);
bool head_has_token(const char *value, const char *token); /* in a comma-separated list, case-insensitively */

#endif
