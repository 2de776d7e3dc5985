/* Commands inside containers: attached over a connection of their own, collected, detached, or for an event loop. */
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "docker/demux.h"
#include "docker/priv.h"

#define CHUNK         (32 * 1024) /* more than a TLS record, so that none is left half read where no poll sees it */
#define CHUNKS_A_CALL 2
#define FLAG_LOOK_MS  50
#define EXIT_CODE_MS  2000 /* the engine ends the stream before it has noted the exit code */

/* Terminal streams hold back the first key of the sequence that detaches, ctrl-p by default, which shells need. This
 * one nobody types. */
#define DETACH_KEYS "ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_"

struct docker_stream {
	struct docker *docker;
	struct http_stream *http;
	struct demux demux;
	bool tty, wrote;
	char id[80];
};

static cJSON *string_array(const char *const *strings)
{
	cJSON *a = cJSON_CreateArray();
	for (; *strings; strings++)
		json_push_str(a, *strings);
	return a;
}

/* Makes the exec; it does not run yet. */
static int create(struct docker *d, const char *id, const struct docker_exec *o, bool with_input, bool with_output,
		  struct docker_cancel *cancel, char exec_id[80], struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	cleanup_json cJSON *body = cJSON_CreateObject(), *answer = NULL;
	cleanup_err struct perry_err *e = NULL;
	if (!o->argv || !o->argv[0])
		return perry_fail(err, PERRY_EINPUT, "no command given");
	if (docker_path(&path, "containers", id, err) != 0)
		return -1;
	buf_adds(&path, "/exec");
	json_set(body, "Cmd", string_array(o->argv));
	if (o->env)
		json_set(body, "Env", string_array(o->env));
	json_set_str(body, "User", o->user);
	json_set_str(body, "WorkingDir", o->cwd);
	json_set_bool(body, "Tty", o->tty);
	json_set_bool(body, "AttachStdin", with_input);
	json_set_bool(body, "AttachStdout", with_output);
	json_set_bool(body, "AttachStderr", with_output);
	if (o->tty && with_input)
		json_set_str(body, "DetachKeys", DETACH_KEYS);
	if (docker_call_until(d, "POST", path.data, body, 0, cancel, &answer, &e) == 0)
		return docker_take_id(answer, "Id", exec_id, 80, err);
	if (e->status == 409)
		e->code = PERRY_ESTATE; /* not running, paused or restarting */
	return perry_move(err, take_ptr(e));
}

static cJSON *start_body(const struct docker_exec *o, bool detach)
{
	cJSON *body = cJSON_CreateObject();
	json_set_bool(body, "Detach", detach);
	json_set_bool(body, "Tty", o->tty);
	return body;
}

static int resize(struct docker *d, const char *exec_id, int cols, int rows, struct perry_err **err)
{
	cleanup_free char *path = xasprintf("/exec/%s/resize?w=%d&h=%d", exec_id, cols, rows);
	return docker_call(d, "POST", path, NULL, 0, NULL, err);
}

/* The answer comes before the process exists, and one that does not exist yet cannot be resized. */
static void first_resize(struct docker *d, const char *exec_id, int cols, int rows)
{
	for (int attempt = 0; attempt < 20; attempt++) {
		if (resize(d, exec_id, cols, rows, NULL) == 0)
			return;
		poll(NULL, 0, 10);
	}
}

static int open_stream(struct docker *d, const char *id, const struct docker_exec *o, bool with_input, int timeout_ms,
		       struct docker_cancel *cancel, struct docker_stream **out, struct perry_err **err)
{
	static const char *const headers[] = { "Content-Type: application/json", "Upgrade: tcp", NULL };
	struct docker_stream *s = xcalloc(1, sizeof *s);
	s->docker = d;
	s->tty = o->tty;
	if (create(d, id, o, with_input, true, cancel, s->id, err) != 0) {
		free(s);
		return -1;
	}
	cleanup_free char *path = xasprintf("/exec/%s/start", s->id);
	cleanup_json cJSON *body = start_body(o, false);
	cleanup_free char *text = json_print(body);
	struct http_req req = { .method = "POST",
				.url = path,
				.headers = headers,
				.body = text,
				.body_len = strlen(text),
				.timeout_ms = timeout_ms };
	if (docker_hijack(d, &req, cancel, &s->http, err) != 0) {
		free(s);
		return -1;
	}
	if (o->tty && o->cols > 0 && o->rows > 0)
		first_resize(d, s->id, o->cols, o->rows);
	*out = s;
	return 0;
}

int docker_exec_open(struct docker *d, const char *id, const struct docker_exec *opts, struct docker_stream **out,
		     struct perry_err **err)
{
	return open_stream(d, id, opts, true, DOCKER_TIMEOUT_MS, NULL, out, err);
}

int docker_container_attach(struct docker *d, const char *id, struct docker_stream **out, struct perry_err **err)
{
	static const char *const headers[] = { "Upgrade: tcp", NULL };
	cleanup_buf struct buf path = { 0 };
	if (docker_path(&path, "containers", id, err) != 0)
		return -1;
	buf_adds(&path, "/attach?stream=1&stdin=1&stdout=1&stderr=1");
	struct docker_stream *s = xcalloc(1, sizeof *s);
	s->docker = d;
	struct http_req req = {
		.method = "POST", .url = path.data, .headers = headers, .timeout_ms = DOCKER_TIMEOUT_MS
	};
	if (docker_hijack(d, &req, NULL, &s->http, err) != 0) {
		free(s);
		return -1;
	}
	*out = s;
	return 0;
}

int docker_stream_fd(const struct docker_stream *s)
{
	return http_stream_fd(s->http);
}

int docker_stream_read(struct docker_stream *s, docker_output_fn fn, void *ctx, struct perry_err **err)
{
	char bytes[CHUNK];
	for (int i = 0; i < CHUNKS_A_CALL; i++) {
		ssize_t n = http_stream_recv(s->http, bytes, sizeof bytes);
		if (n == 0)
			return 1;
		if (n < 0) {
			/* A reset may only mean that nobody read our input to its end; whether the command ended, its
			 * exit code tells. */
			if ((http_stream_broken(s->http) && !s->wrote) || s->demux.have || s->demux.left)
				return docker_broke_off(s->docker, err, "a command's stream broke off");
			return 0;
		}
		cleanup_err struct perry_err *e = NULL;
		int rc = s->tty ? (fn ? fn(ctx, 1, bytes, (size_t)n) : 0)
				: demux_feed(&s->demux, bytes, (size_t)n, fn, ctx, &e);
		if (e)
			return perry_move(err, take_ptr(e));
		if (rc != 0)
			return perry_fail(err, PERRY_ECANCELLED, "ended by the receiver");
	}
	return 1;
}

ssize_t docker_stream_write(struct docker_stream *s, const void *bytes, size_t n)
{
	s->wrote = true;
	return http_stream_send(s->http, bytes, n);
}

void docker_stream_close_input(struct docker_stream *s)
{
	http_stream_shutdown(s->http);
}

int docker_stream_resize(struct docker_stream *s, int cols, int rows, struct perry_err **err)
{
	return resize(s->docker, s->id, cols, rows, err);
}

void docker_stream_free(struct docker_stream *s)
{
	if (!s)
		return;
	http_stream_free(s->http);
	free(s);
}

/* --- waiting --- */

static bool is_cancelled(struct docker_cancel *c)
{
	return c && atomic_load(&c->set);
}

/* Sleeps until fd is ready (fd -1: for the time alone), the call is cancelled, or at most wait_ms (-1: without end). */
static void await(int fd, short events, struct docker_cancel *cancel, int wait_ms)
{
	struct pollfd p[2] = { { .fd = fd, .events = events }, { .fd = cancel ? cancel->fd : -1, .events = POLLIN } };
	if (cancel && cancel->fd < 0 && (wait_ms < 0 || wait_ms > FLAG_LOOK_MS))
		wait_ms = FLAG_LOOK_MS;
	poll(p, 2, wait_ms);
}

/* May the call go on? *left_ms: how long it may still wait, -1 without end. */
static int check(struct docker_cancel *cancel, int64_t deadline, int timeout_ms, int *left_ms, struct perry_err **err)
{
	if (is_cancelled(cancel))
		return perry_fail(err, PERRY_ECANCELLED, "cancelled");
	int64_t left = deadline ? deadline - clock_mono_ms() : -1;
	if (deadline && left <= 0)
		return perry_fail(err, PERRY_ETIMEOUT, "the command did not end within %d ms", timeout_ms);
	*left_ms = left > 60000 ? 60000 : (int)left;
	return 0;
}

/* One look: 1 and *code when it has ended, 0 while it runs. */
static int look_for_exit(struct docker *d, const char *exec_id, struct docker_cancel *cancel, int *code,
			 struct perry_err **err)
{
	cleanup_free char *path = xasprintf("/exec/%s/json", exec_id);
	cleanup_json cJSON *answer = NULL;
	cleanup_err struct perry_err *e = NULL;
	if (docker_call_until(d, "GET", path, NULL, 0, cancel, &answer, &e) != 0) {
		if (e->status == 404) /* an engine that was started anew knows nothing of it */
			return docker_broke_off(d, err, "it was restarted while a command ran");
		return perry_move(err, take_ptr(e));
	}
	const cJSON *exit_code = json_at(answer, "ExitCode");
	if (json_bool_or(answer, "Running", false) || !cJSON_IsNumber(exit_code))
		return 0;
	*code = (int)exit_code->valuedouble;
	return 1;
}

int docker_stream_exit_code(struct docker_stream *s, int *code, struct perry_err **err)
{
	int64_t deadline = clock_mono_ms() + EXIT_CODE_MS;
	for (int pause = 1;; pause = pause < 50 ? pause * 2 : 50) {
		int rc = look_for_exit(s->docker, s->id, NULL, code, err);
		if (rc != 0)
			return rc < 0 ? -1 : 0;
		if (clock_mono_ms() >= deadline)
			return perry_fail(err, PERRY_ESTATE, "the command closed its output, but still runs");
		poll(NULL, 0, pause);
	}
}

/* --- run to the end --- */

/* Feeds the input and takes the output until the stream ends. */
static int pump(struct docker_stream *s, const struct docker_exec *o, docker_output_fn fn, void *ctx,
		struct docker_cancel *cancel, int64_t deadline, struct perry_err **err)
{
	size_t sent = 0;
	bool writing = o->input != NULL;
	for (;;) {
		int left;
		if (check(cancel, deadline, o->timeout_ms, &left, err) != 0)
			return -1;
		if (writing) {
			ssize_t n =
				sent < o->input_len ? docker_stream_write(s, o->input + sent, o->input_len - sent) : 0;
			sent += n > 0 ? (size_t)n : 0;
			if (n < 0 || sent == o->input_len) { /* a process that reads no more is no error */
				docker_stream_close_input(s);
				writing = false;
			}
		}
		int rc = docker_stream_read(s, fn, ctx, err);
		if (rc <= 0)
			return rc;
		await(docker_stream_fd(s), writing ? POLLIN | POLLOUT : POLLIN, cancel, left);
	}
}

int docker_exec(struct docker *d, const char *id, const struct docker_exec *opts, docker_output_fn fn, void *ctx,
		struct docker_cancel *cancel, int *exit_code, struct perry_err **err)
{
	struct docker_stream *s = NULL;
	int64_t deadline = opts->timeout_ms > 0 ? clock_mono_ms() + opts->timeout_ms : 0;
	int start_ms =
		opts->timeout_ms > 0 && opts->timeout_ms < DOCKER_TIMEOUT_MS ? opts->timeout_ms : DOCKER_TIMEOUT_MS;
	if (open_stream(d, id, opts, opts->input != NULL, start_ms, cancel, &s, err) != 0)
		return -1;
	int rc = pump(s, opts, fn, ctx, cancel, deadline, err), left;
	/* A process may close its output long before it ends, and the exit code comes a little after the end of the
	 * stream. */
	for (int pause = 1; rc == 0; pause = pause < 200 ? pause * 2 : 200) {
		rc = check(cancel, deadline, opts->timeout_ms, &left, err);
		rc = rc == 0 ? look_for_exit(d, s->id, cancel, exit_code, err) : rc;
		if (rc == 0)
			await(-1, 0, cancel, left >= 0 && left < pause ? left : pause);
	}
	docker_stream_free(s);
	return rc < 0 ? -1 : 0;
}

struct collector {
	struct docker_exec_result *res;
	size_t max;
};

static int collect(void *ctx, int fd, const char *bytes, size_t n)
{
	struct collector *c = ctx;
	struct buf *to = fd == 2 ? &c->res->err : &c->res->out;
	size_t room = c->max > to->len ? c->max - to->len : 0, take = n < room ? n : room;
	if (take)
		buf_add(to, bytes, take);
	c->res->dropped += n - take;
	return 0;
}

int docker_exec_collect(struct docker *d, const char *id, const struct docker_exec *opts, size_t max,
			struct docker_cancel *cancel, struct docker_exec_result *res, struct perry_err **err)
{
	struct collector c = { res, max };
	memset(res, 0, sizeof *res);
	return docker_exec(d, id, opts, collect, &c, cancel, &res->exit_code, err);
}

int docker_exec_detached(struct docker *d, const char *id, const struct docker_exec *opts, struct perry_err **err)
{
	char exec_id[80];
	if (create(d, id, opts, false, false, NULL, exec_id, err) != 0)
		return -1;
	cleanup_free char *path = xasprintf("/exec/%s/start", exec_id);
	cleanup_json cJSON *body = start_body(opts, true);
	return docker_call(d, "POST", path, body, DOCKER_SLOW_MS, NULL, err);
}
