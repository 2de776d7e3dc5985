/* Archives into and out of containers, running or only created. */
#include "base/mem.h"
#include "docker/priv.h"

#define SILENCE_MS (5 * 60000)

static const char *const tar_type[] = { "Content-Type: application/x-tar", NULL };

static int archive_path(struct buf *url, const char *id, const char *path, struct perry_err **err)
{
	if (docker_path(url, "containers", id, err) != 0)
		return -1;
	buf_adds(url, "/archive");
	docker_query(url, "path", path);
	return 0;
}

int docker_archive_put(struct docker *d, const char *id, const char *path, const struct buf *tar,
		       struct perry_err **err)
{
	cleanup_buf struct buf url = { 0 };
	cleanup_http_res struct http_res res = { 0 };
	if (archive_path(&url, id, path, err) != 0)
		return -1;
	struct http_req req = { .method = "PUT",
				.url = url.data,
				.headers = tar_type,
				.body = buf_str(tar),
				.body_len = tar->len,
				.timeout_ms = DOCKER_SLOW_MS };
	return docker_request(d, &req, NULL, &res, err);
}

int docker_archive_put_stream(struct docker *d, const char *id, const char *path,
			      ssize_t (*fill)(void *ctx, char *bytes, size_t n), void *ctx,
			      struct docker_cancel *cancel, struct perry_err **err)
{
	cleanup_buf struct buf url = { 0 };
	cleanup_http_res struct http_res res = { 0 };
	if (archive_path(&url, id, path, err) != 0)
		return -1;
	struct http_req req = { .method = "PUT",
				.url = url.data,
				.headers = tar_type,
				.fill = fill,
				.ctx = ctx,
				.idle_timeout_ms = SILENCE_MS };
	return docker_request(d, &req, cancel, &res, err);
}

int docker_archive_put_files(struct docker *d, const char *id, const char *path, const struct docker_file *files,
			     size_t n, struct docker_cancel *cancel, struct perry_err **err)
{
	struct tar_files *f = tar_files_new(files, n);
	int rc = docker_archive_put_stream(d, id, path, tar_files_fill, f, cancel, err);
	struct perry_err *why = tar_files_free(f);
	if (why && err) { /* a file that could not be read, in place of the broken request */
		perry_err_free(take_ptr(*err));
		*err = take_ptr(why);
	}
	perry_err_free(why);
	return rc;
}

struct get_sink {
	docker_output_fn fn;
	void *ctx;
};

static int on_bytes(void *ctx, const char *bytes, size_t n)
{
	struct get_sink *s = ctx;
	return s->fn(s->ctx, 1, bytes, n);
}

int docker_archive_get(struct docker *d, const char *id, const char *path, docker_output_fn fn, void *ctx,
		       struct docker_cancel *cancel, struct perry_err **err)
{
	cleanup_buf struct buf url = { 0 };
	cleanup_http_res struct http_res res = { 0 };
	struct get_sink sink = { fn, ctx };
	if (archive_path(&url, id, path, err) != 0)
		return -1;
	struct http_req req = { .url = url.data, .sink = on_bytes, .ctx = &sink, .idle_timeout_ms = SILENCE_MS };
	return docker_request(d, &req, cancel, &res, err);
}
