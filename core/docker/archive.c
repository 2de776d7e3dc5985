/* Archives into and out of containers, running or only created. */
#include <string.h>

#include "base/encode.h"
#include "base/json.h"
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

int docker_archive_put_stream(struct docker *d, const char *id, const char *path, bool keep_kinds,
			      ssize_t (*fill)(void *ctx, char *bytes, size_t n), void *ctx,
			      struct docker_cancel *cancel, struct perry_err **err)
{
	cleanup_buf struct buf url = { 0 };
	cleanup_http_res struct http_res res = { 0 };
	if (archive_path(&url, id, path, err) != 0)
		return -1;
	if (keep_kinds)
		docker_query(&url, "noOverwriteDirNonDir", "1");
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
	int rc = docker_archive_put_stream(d, id, path, false, tar_files_fill, f, cancel, err);
	struct perry_err *why = tar_files_free(f);
	if (why && err) { /* a file that could not be read, in place of the broken request */
		perry_err_free(take_ptr(*err));
		*err = take_ptr(why);
	}
	perry_err_free(why);
	return rc;
}

/* Bits of Go's fs.FileMode, which is what the engine tells. */
#define GO_DIR   (1LL << 31)
#define GO_LINK  (1LL << 27)
#define GO_OTHER (1LL << 26 | 1LL << 25 | 1LL << 24 | 1LL << 21 | 1LL << 19)

int docker_archive_stat(struct docker *d, const char *id, const char *path, char *kind, char **target,
			struct docker_cancel *cancel, struct perry_err **err)
{
	cleanup_buf struct buf url = { 0 }, text = { 0 };
	cleanup_http_res struct http_res res = { 0 };
	cleanup_json cJSON *st = NULL;
	char value[16384];
	*target = NULL;
	if (archive_path(&url, id, path, err) != 0)
		return -1;
	struct http_req req = { .method = "HEAD", .url = url.data, .timeout_ms = DOCKER_TIMEOUT_MS };
	cleanup_err struct perry_err *why = NULL;
	if (docker_request(d, &req, cancel, &res, &why) != 0)
		return res.status == 404 ? perry_fail(err, PERRY_ENOTFOUND, "%s: no such file or folder", path)
					 : perry_move(err, take_ptr(why));
	if (!http_header(&res, "X-Docker-Container-Path-Stat", value, sizeof value) ||
	    base64_decode(&text, value, strlen(value)) < 0 ||
	    !(st = docker_json(buf_str(&text), text.len, "the Docker Engine's word on a path", err)))
		return err && *err ? -1 : perry_fail(err, PERRY_EINTERNAL, "the engine does not say what %s is", path);
	int64_t mode = json_int_or(st, "mode", 0);
	*kind = mode & GO_DIR ? 'd' : mode & GO_LINK ? 'l' : mode & GO_OTHER ? 'o' : 'f';
	if (*kind == 'l')
		*target = xstrdup(json_str_or(st, "linkTarget", ""));
	return 0;
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
