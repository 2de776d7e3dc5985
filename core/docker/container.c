/* Containers: their life, their list, their logs, images made of them. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "docker/demux.h"
#include "docker/priv.h"

#define COMMIT_MS       (60 * 60000)
#define REMOVING_MS     60000
#define LOGS_SILENCE_MS 60000

/* "/containers/ID/verb" */
static int container_path(struct buf *path, const char *id, const char *verb, struct perry_err **err)
{
	if (docker_path(path, "containers", id, err) != 0)
		return -1;
	if (verb)
		buf_addf(path, "/%s", verb);
	return 0;
}

int docker_container_create(struct docker *d, const char *name, const cJSON *spec, char id_out[65],
			    struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	cleanup_json cJSON *answer = NULL;
	buf_adds(&path, "/containers/create");
	if (name)
		docker_query(&path, "name", *name == '/' ? name + 1 : name);
	if (docker_call(d, "POST", path.data, spec, DOCKER_SLOW_MS, &answer, err) != 0)
		return -1;
	return docker_take_id(answer, "Id", id_out, 65, err);
}

int docker_container_start(struct docker *d, const char *id, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	if (container_path(&path, id, "start", err) != 0)
		return -1;
	return docker_call(d, "POST", path.data, NULL, DOCKER_SLOW_MS, NULL, err); /* 304: it runs already */
}

int docker_container_stop(struct docker *d, const char *id, int grace_s, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	if (container_path(&path, id, "stop", err) != 0)
		return -1;
	grace_s = grace_s < 0 ? 0 : grace_s > 86400 ? 86400 : grace_s;
	buf_addf(&path, "?t=%d", grace_s);
	return docker_call(d, "POST", path.data, NULL, grace_s * 1000 + DOCKER_SLOW_MS, NULL, err);
}

int docker_container_kill(struct docker *d, const char *id, const char *signal, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	cleanup_err struct perry_err *e = NULL;
	if (container_path(&path, id, "kill", err) != 0)
		return -1;
	if (signal)
		docker_query(&path, "signal", signal);
	if (docker_call(d, "POST", path.data, NULL, 0, NULL, &e) == 0)
		return 0;
	if (e->status == 409)
		e->code = PERRY_ESTATE; /* not running */
	return perry_move(err, take_ptr(e));
}

static void pause_ms(int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
	nanosleep(&t, NULL);
}

/* Another call removes it just now: the promise of this one is that it is gone. */
static int await_removal(struct docker *d, const char *id, struct perry_err **err)
{
	for (int waited = 0; waited < REMOVING_MS; waited += 50) {
		cleanup_err struct perry_err *e = NULL;
		if (docker_container_inspect(d, id, NULL, &e) != 0)
			return e->code == PERRY_ENOTFOUND ? 0 : perry_move(err, take_ptr(e));
		pause_ms(50);
	}
	return perry_fail(err, PERRY_ETIMEOUT, "container %s is still being removed after %d s", id,
			  REMOVING_MS / 1000);
}

int docker_container_remove(struct docker *d, const char *id, bool force, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	cleanup_err struct perry_err *e = NULL;
	if (container_path(&path, id, NULL, err) != 0)
		return -1;
	buf_addf(&path, "?force=%d&v=1", force); /* v: its anonymous volumes; named ones stay */
	for (int attempt = 0; attempt < 5; attempt++) {
		perry_err_free(take_ptr(e));
		if (docker_call(d, "DELETE", path.data, NULL, DOCKER_SLOW_MS, NULL, &e) == 0 || e->status == 404)
			return 0;
		if (!force || e->code != PERRY_ESTATE)
			break;
		pause_ms(100); /* Podman stumbles over a container that ends at this moment */
	}
	if (e->status == 409 && strstr(perry_msg(e), "already in progress"))
		return await_removal(d, id, err);
	return perry_move(err, take_ptr(e));
}

int docker_container_inspect(struct docker *d, const char *id, cJSON **out, struct perry_err **err)
{
	return docker_container_look(d, id, 0, NULL, out, err);
}

int docker_container_look(struct docker *d, const char *id, int timeout_ms, struct docker_cancel *cancel, cJSON **out,
			  struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	if (container_path(&path, id, "json", err) != 0)
		return -1;
	return docker_call_until(d, "GET", path.data, NULL, timeout_ms, cancel, out, err);
}

int docker_container_list(struct docker *d, const cJSON *filters, cJSON **out, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	buf_adds(&path, "/containers/json?all=1");
	docker_query_json(&path, "filters", filters);
	return docker_call(d, "GET", path.data, NULL, 0, out, err);
}

int docker_container_commit(struct docker *d, const char *id, const char *repo, const char *tag, char id_out[80],
			    struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	cleanup_json cJSON *answer = NULL, *none = cJSON_CreateObject(); /* Podman wants a body */
	buf_adds(&path, "/commit?pause=false");
	docker_query(&path, "container", *id == '/' ? id + 1 : id);
	docker_query(&path, "repo", repo);
	if (tag)
		docker_query(&path, "tag", tag);
	if (docker_call(d, "POST", path.data, none, COMMIT_MS, &answer, err) != 0)
		return -1;
	const char *id_text = json_str(answer, "Id");
	if (id_text && strlen(id_text) == 64) { /* Podman leaves out what kind of hash it is */
		snprintf(id_out, 80, "sha256:%s", id_text);
		return 0;
	}
	return docker_take_id(answer, "Id", id_out, 80, err);
}

/* --- logs --- */

struct logs_sink {
	struct demux demux;
	bool raw; /* a container with a terminal: not multiplexed */
	docker_output_fn fn;
	void *ctx;
	struct perry_err *err;
};

static int on_log_bytes(void *ctx, const char *bytes, size_t n)
{
	struct logs_sink *s = ctx;
	return s->raw ? s->fn(s->ctx, 1, bytes, n) : demux_feed(&s->demux, bytes, n, s->fn, s->ctx, &s->err);
}

int docker_container_logs(struct docker *d, const char *id, const struct docker_logs *opts, docker_output_fn fn,
			  void *ctx, struct docker_cancel *cancel, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	cleanup_json cJSON *container = NULL;
	cleanup_http_res struct http_res res = { 0 };
	cleanup_err struct perry_err *e = NULL;
	struct logs_sink sink = { .fn = fn, .ctx = ctx };
	if (docker_container_inspect(d, id, &container, err) != 0 ||
	    container_path(&path, id, "logs?stdout=1&stderr=1", err) != 0)
		return -1;
	sink.raw = json_bool_or(container, "Config.Tty", false);
	if (opts->tail >= 0)
		buf_addf(&path, "&tail=%d", opts->tail);
	if (opts->since > 0)
		buf_addf(&path, "&since=%lld", (long long)opts->since);
	if (opts->follow)
		buf_adds(&path, "&follow=1");
	if (opts->timestamps)
		buf_adds(&path, "&timestamps=1");
	struct http_req req = { .url = path.data,
				.sink = on_log_bytes,
				.ctx = &sink,
				.idle_timeout_ms = opts->follow ? 0 : LOGS_SILENCE_MS };
	int rc = docker_request(d, &req, cancel, &res, &e);
	if (sink.err)
		return perry_move(err, sink.err);
	if (rc == 0 && (sink.demux.have || sink.demux.left))
		return docker_broke_off(d, err, "the log ended in the middle of a frame");
	return rc == 0 ? 0 : perry_move(err, take_ptr(e));
}
