/* The engine's event stream. */
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "docker/priv.h"

struct follower {
	struct docker_lines lines;
	void (*ready)(void *ctx);
	void (*fn)(void *ctx, const cJSON *event);
	void *ctx;
	struct perry_err *err;
};

static int on_line(void *ctx, const char *line, size_t n)
{
	struct follower *f = ctx;
	cleanup_json cJSON *event = docker_json(line, n, "an event of the Docker Engine", &f->err);
	if (!event)
		return -1;
	f->fn(f->ctx, event);
	return 0;
}

static int on_bytes(void *ctx, const char *bytes, size_t n)
{
	struct follower *f = ctx;
	return docker_lines_feed(&f->lines, bytes, n);
}

static void on_head(void *ctx, const struct http_res *res)
{
	struct follower *f = ctx;
	if (f->ready)
		f->ready(f->ctx);
}

/* The engine sends the head of its answer a moment before it subscribes: what happens between would be lost. So we ask
 * for everything since a second that lies before our request, by the engine's own clock, which may be another
 * machine's. */
static int engine_second(struct docker *d, struct docker_cancel *cancel, int64_t *out, struct perry_err **err)
{
	cleanup_http_res struct http_res res = { 0 };
	struct http_req req = { .url = "/_ping", .timeout_ms = DOCKER_TIMEOUT_MS };
	char date[64];
	struct tm tm = { 0 };
	if (docker_request(d, &req, cancel, &res, err) != 0)
		return -1;
	*out = clock_ms() / 1000;
	if (http_header(&res, "Date", date, sizeof date) && strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		*out = (int64_t)timegm(&tm);
	return 0;
}

int docker_events(struct docker *d, const cJSON *filters, void (*ready)(void *ctx),
		  void (*fn)(void *ctx, const cJSON *event), void *ctx, struct docker_cancel *cancel,
		  struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	cleanup_http_res struct http_res res = { 0 };
	cleanup_err struct perry_err *e = NULL;
	int64_t since;
	if (engine_second(d, cancel, &since, err) != 0)
		return -1;
	buf_addf(&path, "/events?since=%lld", (long long)since);
	docker_query_json(&path, "filters", filters);
	struct follower f = { .lines = { .fn = on_line }, .ready = ready, .fn = fn, .ctx = ctx };
	f.lines.ctx = &f;
	struct http_req req = { .url = path.data, .head = on_head, .sink = on_bytes, .ctx = &f };
	int rc = docker_request(d, &req, cancel, &res, &e);
	buf_free(&f.lines.line);
	if (f.err)
		return perry_move(err, f.err);
	if (rc == 0)
		return docker_broke_off(d, err, "the event stream ended");
	return perry_move(err, take_ptr(e));
}
