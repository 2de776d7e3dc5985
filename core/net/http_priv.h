/* Shared by the files of the HTTP client. */
#ifndef PERRY_NET_HTTP_PRIV_H
#define PERRY_NET_HTTP_PRIV_H
#include <curl/curl.h>
#include <sys/socket.h>

#include "net/http.h"

#define HTTP_DEFAULT_MAX (16u << 20)
#define HTTP_HEAD_MAX    (64u << 10)

/* One transfer handle with a connection cache of its own, so that no lock is held while it works. */
struct http_slot {
	CURLM *multi;
	CURL *easy;
	struct http_slot *next;
};

enum http_ending { BY_ITSELF, BY_SINK, BY_FILL, BY_SIZE, BY_CANCEL, BY_TIME, BY_SILENCE, BY_QUIET };

/* One call under way. */
struct http_call {
	const struct http_req *req;
	struct http_res *res;
	size_t max;
	int64_t deadline;       /* monotonic ms, 0: none */
	int64_t last_io, asked; /* asked: when quiet() was, last */
	enum http_ending ending;
	bool head_done;
	bool local;                                          /* over a unix socket: the URL's host means nothing */
	bool (*reach)(void *ctx, const struct sockaddr *to); /* NULL: any address */
	void *reach_ctx;
	char refused[64]; /* the last address that it said no to */
	char text[CURL_ERROR_SIZE];
};

void http_call_init(struct http_call *c, const struct http_req *req, struct http_res *res);
/* The same for a request of others: PERRY_EINPUT when it is none, PERRY_ECANCELLED when it is over already. */
int http_call_begin(struct http_call *c, const struct http_req *req, struct http_res *res, struct perry_err **err);
/* Milliseconds that may be slept before something has to be looked at; 0, and c->ending says why, when the call is
 * over. */
int http_time_left(struct http_call *c);
/* The error of a call that its own limits ended. Always -1. */
int http_ended_by(const struct http_call *c, enum http_ending why, const char *url, struct perry_err **err);
/* Turns curl's verdict into an error, or 0. */
int http_judge(struct http_call *c, CURLcode code, CURL *easy, const char *full_url, struct perry_err **err);

struct http_slot *http_slot_new(struct perry_err **err);
void http_slot_free(struct http_slot *s);
/* Runs the transfer to its end, or until the call's own limits. */
CURLcode http_drive(struct http_call *c, struct http_slot *s);
void http_set_common(const struct http *h, CURL *e, struct http_call *c, const char *url);
char *http_full_url(const struct http *h, const struct http_req *req); /* caller frees */
char *http_shown_url(const struct http_call *c, const char *url); /* without what may be secret in it; caller frees */

#endif
