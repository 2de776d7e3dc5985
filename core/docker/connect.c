/* Where the engine is, which API version is spoken with it, and how its answers become results or errors. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/utf8.h"
#include "docker/priv.h"

#define DEFAULT_HOST   "unix:///var/run/docker.sock"
#define MINOR_MIN      41 /* Docker 20.10 */
#define MINOR_MAX      52 /* Docker 29 */
#define JSON_MAX       (64u << 20)
#define ERROR_TEXT_MAX 2000

static int set_tls(struct http_options *o, char *files[3], struct perry_err **err)
{
	const char *verify = getenv("DOCKER_TLS_VERIFY"), *dir = getenv("DOCKER_CERT_PATH");
	static const char *const names[3] = { "ca.pem", "cert.pem", "key.pem" };
	if (!verify || !*verify)
		return 0;
	cleanup_free char *home = NULL, *dflt = NULL;
	if (!dir || !*dir) {
		home = path_home();
		dir = dflt = path_join(home, ".docker");
	}
	for (int i = 0; i < 3; i++) {
		files[i] = path_join(dir, names[i]);
		if (access(files[i], R_OK) != 0)
			return perry_fail_errno(err, errno, "DOCKER_TLS_VERIFY is set, but %s", files[i]);
	}
	o->ca_file = files[0];
	o->cert_file = files[1];
	o->key_file = files[2];
	return 1;
}

int docker_open(struct docker **out, const char *host, struct perry_err **err)
{
	const char *env = getenv("DOCKER_HOST");
	char *files[3] = { NULL, NULL, NULL };
	cleanup_free char *base = NULL;
	struct http_options o = { .keep = 16 };
	int rc = 0;

	host = host && *host ? host : env && *env ? env : DEFAULT_HOST;
	if (str_starts(host, "tcp://")) {
		rc = set_tls(&o, files, err);
		if (rc >= 0)
			base = xasprintf("%s://%s", rc ? "https" : "http", host + strlen("tcp://"));
	} else if (str_starts(host, "unix:///") || str_starts(host, "http://")) {
		base = xstrdup(host);
	} else if (str_starts(host, "https://")) {
		rc = set_tls(&o, files, err);
		base = xstrdup(host);
	} else {
		rc = perry_fail(
			err, PERRY_EINPUT, "Docker host \"%s\": expected unix:///PATH or tcp://HOST:PORT%s", host,
			str_starts(host, "ssh://")
				? " (for ssh, forward the socket: ssh -NL /tmp/docker.sock:/var/run/docker.sock HOST)"
				: "");
	}
	if (rc >= 0) {
		struct docker *d = xcalloc(1, sizeof *d);
		o.base = base;
		rc = http_new(&d->http, &o, err);
		if (rc == 0) {
			d->host = xstrdup(host);
			pthread_mutex_init(&d->lock, NULL);
			*out = d;
		} else {
			free(d);
		}
	}
	for (int i = 0; i < 3; i++)
		free(files[i]);
	return rc < 0 ? -1 : 0;
}

void docker_close(struct docker *d)
{
	if (!d)
		return;
	http_free(d->http);
	pthread_mutex_destroy(&d->lock);
	free(d->host);
	free(d);
}

const char *docker_host(const struct docker *d)
{
	return d->host;
}

uint64_t docker_requests(const struct docker *d)
{
	return atomic_load(&d->requests);
}

/* --- errors --- */

static const char *advice(const struct docker *d, int errnum)
{
	if (!str_starts(d->host, "unix://"))
		return "is the engine running there, and does it listen on that address?";
	switch (errnum) {
	case ENOENT:
		return "is Docker installed and running (sudo systemctl start docker)? Another engine is named with "
		       "DOCKER_HOST";
	case EACCES:
	case EPERM:
		return "join the group docker (sudo usermod -aG docker $USER, then sign in again), or run as root";
	default:
		return "start it (sudo systemctl start docker); another engine is named with DOCKER_HOST";
	}
}

static void forget_version(struct docker *d)
{
	pthread_mutex_lock(&d->lock);
	d->negotiated = false;
	pthread_mutex_unlock(&d->lock);
}

int docker_broke_off(struct docker *d, struct perry_err **err, const char *what)
{
	forget_version(d);
	return perry_fail(err, PERRY_EUNAVAILABLE, "the Docker Engine at %s went away: %s", d->host, what);
}

static int hangs(struct docker *d, struct perry_err **err)
{
	forget_version(d);
	return perry_fail(
		err, PERRY_EUNAVAILABLE, "the Docker Engine at %s does not answer; %s", d->host,
		str_starts(d->host, "unix://")
			? "it may hang: see journalctl -u docker, and restart it (sudo systemctl restart docker)"
			: "it may hang: restart it there");
}

/* Says an error of http_do in terms of the engine. */
static int transport_failed(struct docker *d, const struct http_res *res, struct perry_err *take_e,
			    struct perry_err **err)
{
	cleanup_err struct perry_err *e = take_e;
	if (e->code != PERRY_EUNAVAILABLE) {
		if (e->code == PERRY_ETIMEOUT)
			perry_wrap(&e, "the Docker Engine at %s", d->host);
		return perry_move(err, take_ptr(e));
	}
	if (res->connected)
		return docker_broke_off(d, err, perry_msg(e));
	forget_version(d);
	return perry_fail(err, PERRY_EUNAVAILABLE, "cannot reach the Docker Engine at %s: %s; %s", d->host,
			  res->conn_errno ? strerror(res->conn_errno) : perry_msg(e), advice(d, res->conn_errno));
}

/* Podman says 500 to nearly everything; its text tells what is meant. */
static enum perry_code code_of_500(const char *text)
{
	static const struct {
		const char *part;
		enum perry_code code;
	} known[] = {
		{ "container state improper", PERRY_ESTATE }, { "network is being used", PERRY_ECONFLICT },
		{ "is already in use", PERRY_ECONFLICT },     { "already exists", PERRY_ECONFLICT },
		{ "invalid argument", PERRY_EINPUT },         { "invalid reference format", PERRY_EINPUT },
	};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strstr(text, known[i].part))
			return known[i].code;
	return PERRY_EINTERNAL;
}

/* The engine's own words: {"message": "..."}, or whatever text came instead. */
static int refused(const struct http_res *res, const char *method, const char *path, struct perry_err **err)
{
	cleanup_json cJSON *body = docker_json(buf_str(&res->body), res->body.len, "answer", NULL);
	const char *text = json_str(body, "message");
	cleanup_buf struct buf clean = { 0 };
	if (!text)
		text = json_str(body, "cause");
	if (text)
		buf_adds(&clean, text);
	else
		utf8_scrub(
			&clean, buf_str(&res->body),
			strnlen(buf_str(&res->body), res->body.len < ERROR_TEXT_MAX ? res->body.len : ERROR_TEXT_MAX));
	text = clean.len ? str_trim(clean.data) : "";
	/* A redirect means that a name made a path of another shape. */
	enum perry_code code = res->status < 400 ? PERRY_EINTERNAL : perry_code_from_http(res->status);
	if (res->status == 500 && json_str(body, "cause"))
		code = code_of_500(text);
	if (*text)
		perry_fail(err, code, "%s", text);
	else
		perry_fail(err, code, "the Docker Engine answered %s %s with status %d and no text", method, path,
			   res->status);
	if (err && *err)
		(*err)->status = res->status;
	return -1;
}

/* --- an engine that hangs --- */

/* Calls may take minutes; an engine that hangs is told from one that works by a call that never takes long. */
enum { QUIET_MS = 5000, PING_MS = 10000 };

struct quiet {
	struct docker *d;
	struct docker_cancel *cancel;
	bool hangs;
};

static int ping(struct docker *d, int timeout_ms, struct docker_cancel *cancel, struct perry_err **err)
{
	cleanup_http_res struct http_res res = { 0 };
	struct http_req req = { .url = "/_ping",
				.timeout_ms = timeout_ms,
				.cancelled = cancel ? &cancel->set : NULL,
				.cancel_fd = cancel ? cancel->fd : -1 };
	struct perry_err *e = NULL;
	atomic_fetch_add(&d->requests, 1);
	if (http_do(d->http, &req, &res, &e) == 0)
		return 0; /* whatever it says */
	if (e->code != PERRY_ETIMEOUT)
		return transport_failed(d, &res, e, err);
	perry_err_free(e);
	return hangs(d, err);
}

static bool goes_on(void *ctx)
{
	struct quiet *q = ctx;
	cleanup_err struct perry_err *e = NULL;
	q->hangs = ping(q->d, PING_MS, q->cancel, &e) < 0 && e->code == PERRY_EUNAVAILABLE;
	return !q->hangs;
}

static void set_quiet(struct http_req *req, struct quiet *q)
{
	req->quiet = goes_on;
	req->quiet_ctx = q;
	req->quiet_ms = QUIET_MS;
}

static int failed(struct quiet *q, const struct http_res *res, struct perry_err *take_e, struct perry_err **err)
{
	if (!q->hangs)
		return transport_failed(q->d, res, take_e, err);
	perry_err_free(take_e);
	return hangs(q->d, err);
}

int docker_answers(struct docker *d, int timeout_ms, struct perry_err **err)
{
	return ping(d, timeout_ms, NULL, err);
}

/* --- version --- */

/* "1.41" to 41; 0 when it is missing, -1 when it is no such version. */
static int parse_minor(const char *text)
{
	int major, minor;
	if (!text || !*text)
		return 0;
	return sscanf(text, "%d.%d", &major, &minor) == 2 && major == 1 && minor >= 0 ? minor : -1;
}

static int choose_version(struct docker *d, const cJSON *version, struct perry_err **err)
{
	const char *max_text = json_str(version, "ApiVersion"), *min_text = json_str(version, "MinAPIVersion");
	int max = parse_minor(max_text), min = parse_minor(min_text);
	if (max <= 0 || min < 0)
		return perry_fail(err, PERRY_EUNAVAILABLE,
				  "what answers at %s is no Docker Engine: its /version names no API version", d->host);
	if (max < MINOR_MIN)
		return perry_fail(err, PERRY_EUNAVAILABLE,
				  "the Docker Engine at %s is too old: it speaks API %s, needed is 1.%d (Docker 20.10)",
				  d->host, max_text, MINOR_MIN);
	if (min > MINOR_MAX)
		return perry_fail(err, PERRY_EUNAVAILABLE,
				  "the Docker Engine at %s is too new: it wants at least API %s, known is 1.%d",
				  d->host, min_text, MINOR_MAX);
	pthread_mutex_lock(&d->lock);
	d->minor = max < MINOR_MAX ? max : MINOR_MAX;
	d->negotiated = true;
	pthread_mutex_unlock(&d->lock);
	return 0;
}

int docker_version(struct docker *d, cJSON **out, struct perry_err **err)
{
	cleanup_http_res struct http_res res = { 0 };
	struct http_req req = { .url = "/version", .timeout_ms = DOCKER_TIMEOUT_MS };
	struct quiet q = { .d = d };
	struct perry_err *e = NULL;
	set_quiet(&req, &q);
	atomic_fetch_add(&d->requests, 1);
	if (http_do(d->http, &req, &res, &e) != 0)
		return failed(&q, &res, e, err);
	if (res.status != 200)
		return refused(&res, "GET", req.url, err);
	cleanup_json cJSON *version =
		docker_json(buf_str(&res.body), res.body.len, "the Docker Engine's /version", err);
	if (!version || choose_version(d, version, err) != 0)
		return -1;
	if (out)
		*out = take_ptr(version);
	return 0;
}

int docker_minor(struct docker *d, int *minor, struct perry_err **err)
{
	pthread_mutex_lock(&d->lock);
	bool known = d->negotiated;
	*minor = d->minor;
	pthread_mutex_unlock(&d->lock);
	if (known)
		return 0;
	if (docker_version(d, NULL, err) != 0)
		return -1;
	pthread_mutex_lock(&d->lock);
	*minor = d->minor;
	pthread_mutex_unlock(&d->lock);
	return 0;
}

/* --- requests --- */

/* After an upgrade the engine may have stopped speaking the version that was agreed on. */
static bool is_version_refused(const struct http_res *res)
{
	return res->status == 400 && strstr(buf_str(&res->body), "client version") != NULL;
}

/* Both kinds of request; stream NULL: a plain one. */
static int request(struct docker *d, struct http_req *req, struct docker_cancel *cancel, struct http_stream **stream,
		   struct http_res *res, struct perry_err **err)
{
	const char *path = req->url;
	const char *method = req->method ? req->method : "GET";
	struct quiet q = { .d = d, .cancel = cancel };
	req->cancelled = cancel ? &cancel->set : NULL;
	req->cancel_fd = cancel ? cancel->fd : -1;
	set_quiet(req, &q);
	for (int attempt = 0;; attempt++) {
		int minor;
		struct perry_err *e = NULL;
		if (docker_minor(d, &minor, err) != 0)
			return -1;
		cleanup_free char *url = xasprintf("/v1.%d%s", minor, path);
		req->url = url;
		atomic_fetch_add(&d->requests, 1);
		int rc = stream ? http_hijack(d->http, req, stream, res, &e) : http_do(d->http, req, res, &e);
		req->url = path;
		if (rc != 0)
			return failed(&q, res, e, err);
		if (attempt == 0 && !req->fill && is_version_refused(res)) {
			http_res_free(res);
			forget_version(d);
			continue;
		}
		if ((stream && *stream) ||
		    (!stream && ((res->status >= 200 && res->status < 300) || res->status == 304)))
			return 0;
		return refused(res, method, path, err);
	}
}

int docker_request(struct docker *d, struct http_req *req, struct docker_cancel *cancel, struct http_res *res,
		   struct perry_err **err)
{
	memset(res, 0, sizeof *res);
	int64_t began = clock_mono_ms();
	int r = request(d, req, cancel, NULL, res, err);
	log_debug("engine", "%s %.*s: %d, %lld ms", req->method ? req->method : "GET", (int)strcspn(req->url, "?"),
		  req->url, res->status, (long long)(clock_mono_ms() - began));
	return r;
}

int docker_hijack(struct docker *d, struct http_req *req, struct docker_cancel *cancel, struct http_stream **out,
		  struct perry_err **err)
{
	cleanup_http_res struct http_res res = { 0 };
	*out = NULL;
	return request(d, req, cancel, out, &res, err);
}

int docker_call_until(struct docker *d, const char *method, const char *path, const cJSON *body, int timeout_ms,
		      struct docker_cancel *cancel, cJSON **out, struct perry_err **err)
{
	static const char *const json_type[] = { "Content-Type: application/json", NULL };
	cleanup_http_res struct http_res res = { 0 };
	cleanup_free char *text = body ? json_print(body) : NULL;
	struct http_req req = { .method = method,
				.url = path,
				.headers = text ? json_type : NULL,
				.body = text,
				.body_len = text ? strlen(text) : 0,
				.max = JSON_MAX,
				.timeout_ms = timeout_ms > 0 ? timeout_ms : DOCKER_TIMEOUT_MS };
	if (docker_request(d, &req, cancel, &res, err) != 0)
		return -1;
	if (!out)
		return 0;
	*out = NULL;
	if (res.body.len == 0)
		return 0;
	cleanup_free char *what =
		xasprintf("the Docker Engine's answer to %s %.*s", method, (int)strcspn(path, "?"), path);
	*out = docker_json(res.body.data, res.body.len, what, err);
	return *out ? 0 : -1;
}

int docker_call(struct docker *d, const char *method, const char *path, const cJSON *body, int timeout_ms, cJSON **out,
		struct perry_err **err)
{
	return docker_call_until(d, method, path, body, timeout_ms, NULL, out, err);
}

int docker_info(struct docker *d, cJSON **out, struct perry_err **err)
{
	return docker_call(d, "GET", "/info", NULL, 0, out, err);
}
