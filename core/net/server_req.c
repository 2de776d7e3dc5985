/* The request as its handler sees it, and its answer. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/percent.h"
#include "net/server_priv.h"

struct server_req *req_new(struct server *s, struct conn *c, struct MHD_Connection *mhd, const char *uri)
{
	struct server_req *r = xcalloc(1, sizeof *r);
	atomic_init(&r->refs, 1);
	r->server = s;
	r->mhd = mhd;
	r->conn = c;
	r->peer = c->peer;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->quiet, NULL);

	struct target t;
	head_target(uri, &t);
	r->target = xstrdup(uri);
	if (t.authority)
		r->authority = xstrndup(t.authority, t.authority_len);
	if (!t.path_len) {
		t.path = "/";
		t.path_len = 1;
	}
	r->path = xmalloc(t.path_len + 1);
	cleanup_free char *probe = xmalloc(t.query_len + 1);
	r->bad_uri = percent_decode(t.path, t.path_len, false, r->path) < 0 ||
		     percent_decode(t.query ? t.query : "", t.query_len, true, probe) < 0;
	for (const char *p = uri; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			r->bad_uri = true;
	r->raw_query = xstrndup(t.query ? t.query : "", t.query_len);
	return r;
}

static void free_pairs(struct pair *p)
{
	while (p) {
		struct pair *next = p->next;
		free(p);
		p = next;
	}
}

void req_ref(struct server_req *r)
{
	atomic_fetch_add(&r->refs, 1);
}

void req_unref(struct server_req *r)
{
	if (atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	if (r->method_owned)
		free(r->method);
	free(r->target);
	free(r->authority);
	free(r->path);
	free(r->raw_query);
	buf_free(&r->body);
	free_pairs(r->query);
	free_pairs(r->headers);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->quiet);
	free(r);
}

void req_uncount(struct server_req *r)
{
	atomic_fetch_sub(&r->server->bodies, r->counted);
	r->counted = 0;
}

/* libmicrohttpd is done with the request. After an upgrade it calls this under a lock of its own, which an answer may
 * hold in the other order: then everything was done in the upgrade callback already. */
void req_completed(struct server_req *r)
{
	if (atomic_load(&r->upgrade_done)) {
		req_unref(r);
		return;
	}
	conn_unwatch(r->server, r->conn);
	conn_phase(r->conn, PHASE_IDLE);
	req_uncount(r);
	pthread_mutex_lock(&r->lock);
	r->dropped = true;
	r->mhd = NULL;
	r->conn = NULL;
	r->server = NULL;
	server_upgraded fn = take_ptr(r->upgraded);
	r->upgrade_told = fn != NULL;
	struct MHD_Response *unsent = take_ptr(r->response);
	pthread_mutex_unlock(&r->lock);
	if (fn)
		fn(r->upgraded_ctx, -1, NULL, 0);
	if (unsent)
		MHD_destroy_response(unsent);
	req_unref(r);
}

/* --- looks --- */

const struct server_peer *req_peer(const struct server_req *r)
{
	return &r->peer;
}

const char *req_method(const struct server_req *r)
{
	return r->method;
}

const char *req_path(const struct server_req *r)
{
	return r->path;
}

bool req_is_upgrade(const struct server_req *r)
{
	return req_header(r, "Upgrade") != NULL;
}

const struct buf *req_body(const struct server_req *r)
{
	return &r->body;
}

static const char *pair_find(const struct pair *p, const char *name, bool fold)
{
	for (; p; p = p->next)
		if ((fold ? strcasecmp(p->name, name) : strcmp(p->name, name)) == 0)
			return p->value;
	return NULL;
}

const char *req_header(const struct server_req *r, const char *name)
{
	if (r->headers_copied)
		return pair_find(r->headers, name, true);
	return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

static struct pair *pair_new(size_t room)
{
	return xcalloc(1, sizeof(struct pair) + room);
}

static void parse_query(struct server_req *r)
{
	struct pair **tail = &r->query;
	for (const char *p = r->raw_query; *p;) {
		size_t len = strcspn(p, "&"), name = 0;
		while (name < len && p[name] != '=')
			name++;
		if (len) {
			struct pair *q = pair_new(len + 2);
			char *text = (char *)(q + 1);
			percent_decode(p, name, true, text);
			q->name = text;
			text += strlen(text) + 1;
			if (name < len)
				percent_decode(p + name + 1, len - name - 1, true, text);
			q->value = text;
			*tail = q;
			tail = &q->next;
		}
		p += len + (p[len] == '&');
	}
	r->query_parsed = true;
}

const char *req_query(const struct server_req *r, const char *name)
{
	if (!r->query_parsed)
		parse_query((struct server_req *)(uintptr_t)r); /* one thread at a time has the request */
	return pair_find(r->query, name, false);
}

/* --- suspending --- */

static enum MHD_Result copy_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct pair ***tail = arg;
	size_t n = strlen(name) + 1, v = value ? strlen(value) + 1 : 1;
	struct pair *p = pair_new(n + v);
	char *text = (char *)(p + 1);
	p->name = memcpy(text, name, n);
	p->value = memcpy(text + n, value ? value : "", v);
	**tail = p;
	*tail = &p->next;
	return MHD_YES;
}

void req_suspend(struct server_req *r, void (*gone)(void *ctx, struct server_req *r), void *ctx)
{
	pthread_mutex_lock(&r->lock);
	if (r->state != REQ_NEW) {
		bool late = r->state == REQ_SUSPENDED && !r->gone && r->gone_told;
		if (r->state == REQ_SUSPENDED && !r->gone && !late) {
			r->gone = gone;
			r->gone_ctx = ctx;
		}
		pthread_mutex_unlock(&r->lock);
		if (late && gone)
			gone(ctx, r);
		return;
	}
	/* The client may leave, and its connection with it, before the request is answered. */
	struct pair **tail = &r->headers;
	MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, copy_header, &tail);
	r->headers_copied = true;
	r->method = xstrdup(r->method);
	r->method_owned = true;
	req_ref(r);
	r->state = REQ_SUSPENDED;
	r->was_suspended = true;
	r->gone = gone;
	r->gone_ctx = ctx;
	MHD_suspend_connection(r->mhd);
	if (!conn_watch(r->server, r->conn, r, NULL)) {
		r->dropped = r->stopped = true;
		MHD_resume_connection(r->mhd);
	}
	pthread_mutex_unlock(&r->lock);
}

/* Consumes a reference. */
void req_hangup(struct server_req *r)
{
	pthread_mutex_lock(&r->lock);
	if (r->state == REQ_SUSPENDED && !r->dropped && !r->gone_told) {
		r->gone_told = true;
		if (r->gone) {
			r->gone_running = true;
			r->gone_thread = pthread_self();
			pthread_mutex_unlock(&r->lock);
			r->gone(r->gone_ctx, r);
			pthread_mutex_lock(&r->lock);
			r->gone_running = false;
			pthread_cond_broadcast(&r->quiet);
		}
		if (r->state == REQ_SUSPENDED && !r->dropped) {
			r->dropped = true;
			MHD_resume_connection(r->mhd);
		}
	}
	pthread_mutex_unlock(&r->lock);
	req_unref(r);
}

/* Consumes a reference. The owner still owes its answer, which will go nowhere. */
void req_abandon(struct server_req *r)
{
	pthread_mutex_lock(&r->lock);
	if (r->conn)
		conn_unwatch(r->server, r->conn);
	if (r->state == REQ_SUSPENDED && !r->dropped) {
		r->dropped = r->stopped = true;
		MHD_resume_connection(r->mhd);
	}
	pthread_mutex_unlock(&r->lock);
	req_unref(r);
}

/* --- answering --- */

bool req_answer(struct server_req *r, int status, struct MHD_Response *resp)
{
	pthread_mutex_lock(&r->lock);
	/* Once the answer is given the owner may free what gone uses. */
	while (r->gone_running && !pthread_equal(r->gone_thread, pthread_self()))
		pthread_cond_wait(&r->quiet, &r->lock);
	enum req_state before = r->state;
	bool heard = before != REQ_ANSWERED && !r->dropped;
	if (heard) {
		r->status = status;
		r->response = resp;
	}
	if (before != REQ_ANSWERED)
		r->state = REQ_ANSWERED;
	if (heard && before == REQ_SUSPENDED) {
		conn_unwatch(r->server, r->conn);
		MHD_resume_connection(r->mhd);
	}
	pthread_mutex_unlock(&r->lock);
	if (before == REQ_SUSPENDED)
		req_unref(r);
	return heard;
}

static void finish(struct server_req *r, int status, struct MHD_Response *resp, const char *content_type,
		   const char *const *headers)
{
	if (content_type)
		MHD_add_response_header(resp, "Content-Type", content_type);
	for (; headers && headers[0]; headers += 2)
		MHD_add_response_header(resp, headers[0], headers[1]);
	if (!req_answer(r, status, resp))
		MHD_destroy_response(resp);
}

static void respond(struct server_req *r, int status, const char *type, void *body, size_t n,
		    enum MHD_ResponseMemoryMode mode, const char *const *headers)
{
	static char nothing[1];
	if (!body || !n) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(body);
		body = nothing;
		n = 0;
		mode = MHD_RESPMEM_PERSISTENT;
	}
	struct MHD_Response *resp = MHD_create_response_from_buffer(n, body, mode);
	if (!resp)
		abort(); /* out of memory */
	finish(r, status, resp, type, headers);
}

void reply(struct server_req *r, int status, const char *type, const void *body, size_t n, const char *const *headers)
{
	respond(r, status, type, (void *)(uintptr_t)body, n, MHD_RESPMEM_MUST_COPY, headers);
}

void reply_text(struct server_req *r, int status, const char *type, const char *text)
{
	reply(r, status, type, text, strlen(text), NULL);
}

void reply_json(struct server_req *r, int status, cJSON *take_body)
{
	char *text = json_print(take_body);
	cJSON_Delete(take_body);
	respond(r, status, "application/json", text, strlen(text), MHD_RESPMEM_MUST_FREE, NULL);
}

void reply_static(struct server_req *r, int status, const char *type, const void *body, size_t n,
		  const char *const *headers)
{
	respond(r, status, type, (void *)(uintptr_t)body, n, MHD_RESPMEM_PERSISTENT, headers);
}
