#include "tailscale/local.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/mem.h"
#include "net/http.h"

#define DEFAULT_SOCKET "/var/run/tailscale/tailscaled.sock"
#define INITIAL_STATE  "2" /* watch-ipn-bus: begin with the state and the session's id */

enum {
	CALL_MS = 3000,
	/* With a unix: target tailscaled asks sudo about the caller, which may take 3 s. */
	SET_MS = 10000,
	MAX_LINE = 8 << 20, /* a network map of thousands of nodes */
};

struct tslocal {
	char *socket;
	struct http *http;
	const atomic_bool *stop;
	int stop_fd;
};

int tslocal_open(struct tslocal **out, const char *socket, struct perry_err **err)
{
	const char *env = getenv("PERRY_TAILSCALED_SOCKET");
	if (!socket || !*socket)
		socket = env && *env ? env : DEFAULT_SOCKET;
	cleanup_free char *base = xasprintf("unix://%s", socket);
	struct http *http = NULL;
	if (http_new(&http, &(struct http_options){ .base = base, .connect_timeout_ms = CALL_MS, .keep = 2 }, err) < 0)
		return -1;
	struct tslocal *t = xcalloc(1, sizeof *t);
	t->socket = xstrdup(socket);
	t->http = http;
	t->stop_fd = -1;
	*out = t;
	return 0;
}

void tslocal_close(struct tslocal *t)
{
	if (!t)
		return;
	http_free(t->http);
	free(t->socket);
	free(t);
}

const char *tslocal_socket(const struct tslocal *t)
{
	return t->socket;
}

void tslocal_stop_by(struct tslocal *t, const atomic_bool *stop, int stop_fd)
{
	t->stop = stop;
	t->stop_fd = stop_fd;
}

static int unreachable(const struct tslocal *t, int errnum, struct perry_err **err)
{
	return perry_fail(err, PERRY_EUNAVAILABLE, "tailscaled does not answer at %s: %s", t->socket, strerror(errnum));
}

int tslocal_uid(struct tslocal *t, uid_t *uid, struct perry_err **err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t n = sizeof peer;
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (strlen(t->socket) >= sizeof a.sun_path)
		return unreachable(t, ENAMETOOLONG, err);
	strcpy(a.sun_path, t->socket);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return unreachable(t, errno, err);
	*uid = peer.uid;
	return 0;
}

/* What tailscaled says is wrong: {"error":...}, {"Error":...} or text. Caller frees. */
static char *reason(const struct http_res *res)
{
	cleanup_json cJSON *j = json_parse(buf_str(&res->body), res->body.len, "answer", NULL);
	const cJSON *said = cJSON_GetObjectItem(j, "error");
	char *text = xstrdup(cJSON_IsString(said) ? said->valuestring : buf_str(&res->body));
	char *start = str_trim(text);
	start[strcspn(start, "\r\n")] = 0;
	memmove(text, start, strlen(start) + 1);
	return text;
}

static int answer_error(const struct http_res *res, const char *what, struct perry_err **err)
{
	cleanup_free char *why = reason(res);
	enum perry_code code = res->status == 401 || res->status == 403 ? PERRY_EFORBIDDEN
			       : res->status == 404                     ? PERRY_ENOTFOUND
			       : res->status == 412                     ? PERRY_ECONFLICT
									: PERRY_EUNAVAILABLE;
	perry_fail(err, code, "tailscaled: %s: %s", what, *why ? why : "no reason given");
	if (err && *err)
		(*err)->status = res->status;
	return -1;
}

/* One call. req needs url, method and body; what: for messages. */
static int call(struct tslocal *t, struct http_req *req, const char *what, struct http_res *res, struct perry_err **err)
{
	struct perry_err *why = NULL;
	req->cancelled = t->stop;
	req->cancel_fd = t->stop_fd;
	if (http_do(t->http, req, res, &why) == 0)
		return res->status >= 200 && res->status < 300 ? 0 : answer_error(res, what, err);
	if (!res->connected && why->code == PERRY_EUNAVAILABLE) {
		perry_err_free(why);
		return unreachable(t, res->conn_errno ? res->conn_errno : ECONNREFUSED, err);
	}
	perry_wrap(&why, "tailscaled: %s", what);
	return perry_move(err, why);
}

/* tailscaled refuses every name but its own (and any Origin or Referer). */
static const char *const host_only[] = { "Host: local-tailscaled.sock", NULL };

static int get(struct tslocal *t, const char *path, const char *what, struct http_res *res, cJSON **out,
	       struct perry_err **err)
{
	struct http_req req = { .url = path, .headers = host_only, .timeout_ms = CALL_MS };
	if (call(t, &req, what, res, err) < 0)
		return -1;
	cJSON *j = json_parse(buf_str(&res->body), res->body.len, what, err);
	if (!j)
		return -1;
	*out = j;
	return 0;
}

static int get_object(struct tslocal *t, const char *path, const char *what, cJSON **out, struct perry_err **err)
{
	cleanup_http_res struct http_res res = { 0 };
	cleanup_json cJSON *j = NULL;
	if (get(t, path, what, &res, &j, err) < 0)
		return -1;
	if (!cJSON_IsObject(j))
		return perry_fail(err, PERRY_EUNAVAILABLE, "tailscaled: %s: expected an object, got %s", what,
				  json_type_name(j));
	*out = take_ptr(j);
	return 0;
}

int tslocal_status(struct tslocal *t, bool peers, cJSON **out, struct perry_err **err)
{
	return get_object(t, peers ? "/localapi/v0/status" : "/localapi/v0/status?peers=false", "status", out, err);
}

int tslocal_prefs(struct tslocal *t, cJSON **out, struct perry_err **err)
{
	return get_object(t, "/localapi/v0/prefs", "prefs", out, err);
}

int tslocal_whois(struct tslocal *t, const char *addr, cJSON **out, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	buf_adds(&path, "/localapi/v0/whois?addr=");
	http_escape(&path, addr, NULL);
	return get_object(t, path.data, "whois", out, err);
}

int tslocal_serve_get(struct tslocal *t, cJSON **out, char etag[TSLOCAL_ETAG], struct perry_err **err)
{
	cleanup_http_res struct http_res res = { 0 };
	cleanup_json cJSON *j = NULL;
	if (get(t, "/localapi/v0/serve-config", "serve-config", &res, &j, err) < 0)
		return -1;
	if (!http_header(&res, "Etag", etag, TSLOCAL_ETAG))
		etag[0] = 0;
	if (!cJSON_IsObject(j) && !cJSON_IsNull(j))
		return perry_fail(err, PERRY_EUNAVAILABLE, "tailscaled: serve-config: expected an object, got %s",
				  json_type_name(j));
	*out = cJSON_IsObject(j) ? take_ptr(j) : cJSON_CreateObject();
	return 0;
}

int tslocal_serve_set(struct tslocal *t, const cJSON *config, const char *etag, struct perry_err **err)
{
	cleanup_http_res struct http_res res = { 0 };
	cleanup_free char *body = json_print(config), *match = xasprintf("If-Match: %s", etag);
	const char *const headers[] = { host_only[0], "Content-Type: application/json", *etag ? match : NULL, NULL };
	struct http_req req = {
		.method = "POST",
		.url = "/localapi/v0/serve-config",
		.headers = headers,
		.body = body,
		.body_len = strlen(body),
		.timeout_ms = SET_MS,
	};
	return call(t, &req, "serve-config", &res, err);
}

/* --- watch --- */

struct lines {
	void (*notify)(void *ctx, const cJSON *message);
	void *ctx;
	struct buf line;
	bool skipping; /* the rest of a line that is too long */
};

static void end_line(struct lines *l)
{
	cleanup_json cJSON *j =
		l->line.len && !l->skipping ? json_parse(l->line.data, l->line.len, "notification", NULL) : NULL;
	if (j || l->skipping)
		l->notify(l->ctx, j);
	l->skipping = false;
	l->line.len = 0;
}

static int on_bytes(void *ctx, const char *bytes, size_t n)
{
	struct lines *l = ctx;
	while (n) {
		const char *newline = memchr(bytes, '\n', n);
		size_t take = newline ? (size_t)(newline - bytes) : n;
		if (l->line.len + take > MAX_LINE) {
			buf_free(&l->line);
			l->skipping = true;
		}
		if (!l->skipping)
			buf_add(&l->line, bytes, take);
		if (!newline)
			return 0;
		end_line(l);
		bytes += take + 1;
		n -= take + 1;
	}
	return 0;
}

int tslocal_watch(struct tslocal *t, void (*notify)(void *ctx, const cJSON *message), void *ctx, struct perry_err **err)
{
	cleanup_http_res struct http_res res = { 0 };
	struct lines lines = { .notify = notify, .ctx = ctx };
	struct http_req req = {
		.url = "/localapi/v0/watch-ipn-bus?mask=" INITIAL_STATE,
		.headers = host_only,
		.sink = on_bytes,
		.ctx = &lines,
	};
	int rc = call(t, &req, "watch", &res, err);
	buf_free(&lines.line);
	return rc < 0 ? -1 : perry_fail(err, PERRY_EUNAVAILABLE, "tailscaled ended the watch");
}
