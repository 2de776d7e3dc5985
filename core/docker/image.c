/* Images: looked at, named, pulled and built with progress. */
#include <string.h>

#include "base/mem.h"
#include "docker/priv.h"

int docker_image_inspect(struct docker *d, const char *ref, cJSON **out, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	if (docker_path_image(&path, ref, err) != 0)
		return -1;
	buf_adds(&path, "/json");
	return docker_call(d, "GET", path.data, NULL, 0, out, err);
}

int docker_image_remove(struct docker *d, const char *ref, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	cleanup_err struct perry_err *e = NULL;
	if (docker_path_image(&path, ref, err) != 0)
		return -1;
	if (docker_call(d, "DELETE", path.data, NULL, DOCKER_SLOW_MS, NULL, &e) == 0 || e->status == 404)
		return 0;
	return perry_move(err, take_ptr(e));
}

int docker_image_tag(struct docker *d, const char *ref, const char *repo, const char *tag, struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	if (docker_path_image(&path, ref, err) != 0)
		return -1;
	buf_adds(&path, "/tag");
	docker_query(&path, "repo", repo);
	if (tag)
		docker_query(&path, "tag", tag);
	return docker_call(d, "POST", path.data, NULL, 0, NULL, err);
}

/* --- work with progress: a stream of JSON lines, in which a failure is a line too, after the status 200 --- */

struct progress {
	struct docker_lines lines;
	docker_progress_fn fn;
	void *ctx;
	char *failure; /* the last error line's text */
};

static int on_line(void *ctx, const char *line, size_t n)
{
	struct progress *p = ctx;
	cleanup_err struct perry_err *e = NULL;
	cleanup_json cJSON *j = docker_json(line, n, "the Docker Engine's progress", &e);
	if (!j) {
		free(p->failure);
		p->failure = xstrdup(perry_msg(e));
		return -1;
	}
	const char *text = json_str(j, "errorDetail.message");
	if (!text)
		text = json_str(j, "error");
	if (text) {
		free(p->failure);
		p->failure = xstrdup(text);
	}
	if (p->fn)
		p->fn(p->ctx, line);
	return 0;
}

static int on_bytes(void *ctx, const char *bytes, size_t n)
{
	struct progress *p = ctx;
	return docker_lines_feed(&p->lines, bytes, n);
}

/* There is no code beside the text. */
static enum perry_code code_of(const char *failure)
{
	static const char *const missing[] = { "not found", "manifest unknown", "does not exist", "no such image" };
	for (size_t i = 0; i < ARRAY_LEN(missing); i++)
		if (strcasestr(failure, missing[i]))
			return PERRY_ENOTFOUND;
	return PERRY_EINTERNAL;
}

static int with_progress(struct docker *d, struct http_req *req, docker_progress_fn fn, void *ctx,
			 struct docker_cancel *cancel, bool pull, struct perry_err **err)
{
	cleanup_http_res struct http_res res = { 0 };
	cleanup_err struct perry_err *e = NULL;
	struct progress p = { .lines = { .fn = on_line }, .fn = fn, .ctx = ctx };
	p.lines.ctx = &p;
	req->method = "POST";
	req->sink = on_bytes;
	req->ctx = &p;
	int rc = docker_request(d, req, cancel, &res, &e);
	int last = docker_lines_end(&p.lines);
	cleanup_free char *failure = p.failure;
	if (failure && (rc == 0 || e->code == PERRY_ECANCELLED))
		return perry_fail(err, pull ? code_of(failure) : PERRY_EINTERNAL, "%s", failure);
	if (rc == 0 && last != 0)
		return perry_fail(err, PERRY_EINTERNAL, "the Docker Engine's progress is not readable");
	return rc == 0 ? 0 : perry_move(err, take_ptr(e));
}

int docker_image_pull(struct docker *d, const char *ref, docker_progress_fn fn, void *ctx, struct docker_cancel *cancel,
		      struct perry_err **err)
{
	cleanup_buf struct buf path = { 0 };
	if (!ref || !*ref)
		return perry_fail(err, PERRY_EINPUT, "no image reference given");
	const char *slash = strrchr(ref, '/'), *mark = strchr(ref, '@');
	mark = mark ? mark : strchr(slash ? slash : ref, ':'); /* a colon before the last slash belongs to a port */
	cleanup_free char *name = mark ? xstrndup(ref, (size_t)(mark - ref)) : xstrdup(ref);
	buf_adds(&path, "/images/create");
	docker_query(&path, "fromImage", name);
	docker_query(&path, "tag", mark ? mark + 1 : "latest"); /* without a tag the engine would pull them all */
	struct http_req req = { .url = path.data };
	return with_progress(d, &req, fn, ctx, cancel, true, err);
}

int docker_image_build(struct docker *d, const struct buf *tar, const char *tag, const cJSON *buildargs, bool no_cache,
		       docker_progress_fn fn, void *ctx, struct docker_cancel *cancel, struct perry_err **err)
{
	static const char *const headers[] = { "Content-Type: application/x-tar", NULL };
	cleanup_buf struct buf path = { 0 };
	buf_adds(&path, "/build?rm=1&forcerm=1");
	docker_query(&path, "t", tag);
	if (no_cache)
		buf_adds(&path, "&nocache=1");
	docker_query_json(&path, "buildargs", buildargs);
	struct http_req req = { .url = path.data, .headers = headers, .body = buf_str(tar), .body_len = tar->len };
	return with_progress(d, &req, fn, ctx, cancel, false, err);
}
