/* Shared by the files of core/docker. */
#ifndef PERRY_DOCKER_PRIV_H
#define PERRY_DOCKER_PRIV_H
#include <pthread.h>

#include "docker/docker.h"
#include "net/http.h"

#define DOCKER_TIMEOUT_MS 60000        /* of calls that only look or record something */
#define DOCKER_SLOW_MS    (10 * 60000) /* of calls that work on file systems or start processes */

struct docker {
	char *host; /* as the user knows it */
	struct http *http;
	atomic_uint_fast64_t requests;
	pthread_mutex_t lock; /* of the two below */
	bool negotiated;
	int minor; /* of the API version: 1.minor */
};

/* One request; url is a path without the version prefix. Makes the version known first, counts, and turns failures and
 * any status but 2xx, 101 and 304 into errors with the engine's text. The caller frees res in any case. */
int docker_request(struct docker *d, struct http_req *req, struct docker_cancel *cancel, struct http_res *res,
		   struct perry_err **err);
/* docker_call that can be cancelled. */
int docker_call_until(struct docker *d, const char *method, const char *path, const cJSON *body, int timeout_ms,
		      struct docker_cancel *cancel, cJSON **out, struct perry_err **err);
/* docker_request for a connection that is taken over. */
int docker_hijack(struct docker *d, struct http_req *req, struct docker_cancel *cancel, struct http_stream **out,
		  struct perry_err **err);
/* An error of the connection itself (not of a request) in the module's words. Always -1. */
int docker_broke_off(struct docker *d, struct perry_err **err, const char *what);
int docker_minor(struct docker *d, int *minor, struct perry_err **err); /* the API version in use is 1.minor */

/* Parses what the engine sent: integers beyond 2^53 become text, NUL in strings becomes U+FFFD (another's label must
 * not spoil a list). */
cJSON *docker_json(const char *text, size_t n, const char *what, struct perry_err **err);

/* Paths: appends "/kind/NAME" with NAME encoded (a leading slash dropped). PERRY_EINPUT for a name that could not be
 * one element of a path. */
int docker_path(struct buf *out, const char *kind, const char *name, struct perry_err **err);
/* The same for an image reference, which may have slashes. */
int docker_path_image(struct buf *out, const char *ref, struct perry_err **err);
/* Appends "?key=value" or "&key=value", encoded. */
void docker_query(struct buf *path, const char *key, const char *value);
void docker_query_json(struct buf *path, const char *key, const cJSON *value); /* nothing for NULL */
/* Copies an id from an answer: PERRY_EINTERNAL when it is missing or does not fit. */
int docker_take_id(const cJSON *answer, const char *key, char *out, size_t size, struct perry_err **err);
/* Are the labels of an object (a JSON object of strings, or NULL) the wanted ones? */
bool docker_labels_equal(const cJSON *have, const cJSON *want);

/* Splits a stream of JSON lines. */
struct docker_lines {
	struct buf line;
	int (*fn)(void *ctx, const char *line, size_t n); /* non-zero ends */
	void *ctx;
};
int docker_lines_feed(struct docker_lines *l, const char *bytes,
		      size_t n);              /* what fn returned; -1 for an endless line */
int docker_lines_end(struct docker_lines *l); /* the last one may lack its newline; frees */

/* An archive of these files (borrowed), made while it is read: fill is for http_req. The error of what failed is the
 * caller's; NULL: none. */
struct tar_files;
struct tar_files *tar_files_new(const struct docker_file *files, size_t n);
ssize_t tar_files_fill(void *tar_files, char *bytes, size_t n);
struct perry_err *tar_files_free(struct tar_files *f);

#endif
