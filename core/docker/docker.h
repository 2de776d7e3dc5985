/* The Docker Engine API (1.41 to the newest), over its unix socket or DOCKER_HOST (tcp, TLS). A struct docker is a
 * description of where the engine is plus a pool of kept connections; every call may be made from any thread. No call
 * shells out. Errors: PERRY_EUNAVAILABLE when the engine cannot be reached (says where), else the engine's own text
 * with its HTTP status in err->status. */
#ifndef PERRY_DOCKER_DOCKER_H
#define PERRY_DOCKER_DOCKER_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct docker;

/* host: "unix:///path", "tcp://host:port", or NULL for $DOCKER_HOST (with DOCKER_TLS_VERIFY, DOCKER_CERT_PATH), else
 * the default socket. Does not connect yet. */
int docker_open(struct docker **out, const char *host, struct perry_err **err);
void docker_close(struct docker *d);
const char *docker_host(const struct docker *d);
/* How many requests were made of the engine so far (tests assert that a list makes none). */
uint64_t docker_requests(const struct docker *d);
/* GET /version; negotiates the API version on first use and again after the engine came back. *out is the caller's. */
int docker_version(struct docker *d, cJSON **out, struct perry_err **err);
/* Does it answer at all? A call that never takes long: PERRY_EUNAVAILABLE, with what to do, when it is away or hangs.
 * The other calls ask this themselves when they have to wait. */
int docker_answers(struct docker *d, int timeout_ms, struct perry_err **err);
int docker_info(struct docker *d, cJSON **out, struct perry_err **err);

/* A flag that another thread sets to end a call early (PERRY_ECANCELLED). The fd becomes readable then, so that blocked
 * polls wake. */
struct docker_cancel {
	atomic_bool set;
	int fd; /* an eventfd, or -1 */
};

/* One plain JSON call; path without the version prefix ("/containers/json?all=1"). body may be NULL; out may be NULL.
 * timeout_ms 0 means 60 s. *out is NULL after an answer without a body. Integers beyond 2^53 come as text. */
int docker_call(struct docker *d, const char *method, const char *path, const cJSON *body, int timeout_ms, cJSON **out,
		struct perry_err **err);

/* Containers. id_out has 65 bytes. Names are taken with or without a leading slash. */
int docker_container_create(struct docker *d, const char *name, const cJSON *spec, char id_out[65],
			    struct perry_err **err);
int docker_container_start(struct docker *d, const char *id, struct perry_err **err); /* already running is success */
int docker_container_stop(struct docker *d, const char *id, int grace_s,
			  struct perry_err **err); /* not running is success */
int docker_container_kill(struct docker *d, const char *id, const char *signal, struct perry_err **err);
int docker_container_remove(struct docker *d, const char *id, bool force,
			    struct perry_err **err); /* absent is success; named volumes stay, anonymous ones go */
int docker_container_inspect(struct docker *d, const char *id, cJSON **out,
			     struct perry_err **err); /* PERRY_ENOTFOUND when absent */
/* The same within timeout_ms: an engine that answers may still hang over one container. */
int docker_container_look(struct docker *d, const char *id, int timeout_ms, struct docker_cancel *cancel, cJSON **out,
			  struct perry_err **err);
/* filters: {"label":["a=b"]} or NULL. All states. */
int docker_container_list(struct docker *d, const cJSON *filters, cJSON **out, struct perry_err **err);
/* Commits a container to repo:tag without pausing it; id_out (80 bytes) gets the image id. The engine bakes the
 * container's Env and labels in. */
int docker_container_commit(struct docker *d, const char *id, const char *repo, const char *tag, char id_out[80],
			    struct perry_err **err);

/* Streams of a container or exec: fd 1 or 2, bytes as they come. Return non-zero to end the call (PERRY_ECANCELLED). */
typedef int (*docker_output_fn)(void *ctx, int fd, const char *bytes, size_t n);

/* GET logs; follow until cancelled or the container ends. tail < 0: all. since: seconds, 0: all. */
struct docker_logs {
	int tail;
	int64_t since;
	bool follow, timestamps;
};
int docker_container_logs(struct docker *d, const char *id, const struct docker_logs *opts, docker_output_fn fn,
			  void *ctx, struct docker_cancel *cancel, struct perry_err **err);

struct docker_exec {
	const char *const *argv; /* NULL-terminated */
	const char *const *env;  /* "K=V", NULL-terminated, or NULL; visible in docker inspect: nothing secret */
	const char *user, *cwd;  /* or NULL */
	bool tty;
	int cols, rows;
	const char *input; /* written to standard input, then closed; or NULL */
	size_t input_len;
	int timeout_ms; /* 0: none. On expiry PERRY_ETIMEOUT; the process is left to the caller (perry-step kill) */
};
/* Runs to its end; output goes to fn (may be NULL). *exit_code is set on success. */
int docker_exec(struct docker *d, const char *id, const struct docker_exec *opts, docker_output_fn fn, void *ctx,
		struct docker_cancel *cancel, int *exit_code, struct perry_err **err);
/* The same, collected: at most max bytes of each stream are kept, the rest is dropped and counted. The caller frees
 * res->out and res->err, also after a failure (what came until then). */
struct docker_exec_result {
	struct buf out, err;
	uint64_t dropped;
	int exit_code;
};
int docker_exec_collect(struct docker *d, const char *id, const struct docker_exec *opts, size_t max,
			struct docker_cancel *cancel, struct docker_exec_result *res, struct perry_err **err);
/* Starts without attaching. */
int docker_exec_detached(struct docker *d, const char *id, const struct docker_exec *opts, struct perry_err **err);

/* An attached exec for an event loop: non-blocking both ways. The input in opts is not used. */
struct docker_stream;
int docker_exec_open(struct docker *d, const char *id, const struct docker_exec *opts, struct docker_stream **out,
		     struct perry_err **err);
int docker_stream_fd(const struct docker_stream
			     *s); /* to poll; read once right after opening: with TLS bytes may have come already */
/* Bytes into fn (demultiplexed unless tty); 1: more may come, 0: ended, -1: error. Returns 1 when it would block, and
 * after at most 64 KiB from the connection, so that an event loop can be fair and stop when its own reader is slow
 * (what is left is reported by a level-triggered poll). */
int docker_stream_read(struct docker_stream *s, docker_output_fn fn, void *ctx, struct perry_err **err);
ssize_t docker_stream_write(struct docker_stream *s, const void *bytes,
			    size_t n); /* bytes taken, 0: would block, -1: gone */
/* Standard input and output of a container's first process, also before it is started (its spec has OpenStdin). No
 * resize, no exit code. */
int docker_container_attach(struct docker *d, const char *id, struct docker_stream **out, struct perry_err **err);
void docker_stream_close_input(struct docker_stream *s);
int docker_stream_resize(struct docker_stream *s, int cols, int rows, struct perry_err **err);
/* After the end. PERRY_ESTATE after 2 s when the process closed its output but still runs. */
int docker_stream_exit_code(struct docker_stream *s, int *code, struct perry_err **err);
void docker_stream_free(struct docker_stream *s);

/* Volumes and networks. labels: object of strings, or NULL (any will do). Creating one that exists with the same labels
 * is success, with others PERRY_ECONFLICT. */
int docker_volume_create(struct docker *d, const char *name, const cJSON *labels, struct perry_err **err);
int docker_volume_remove(struct docker *d, const char *name, struct perry_err **err); /* absent is success */
int docker_volume_inspect(struct docker *d, const char *name, cJSON **out, struct perry_err **err);
int docker_volume_list(struct docker *d, const cJSON *filters, cJSON **out, struct perry_err **err); /* array */
int docker_network_create(struct docker *d, const cJSON *spec, char id_out[65], struct perry_err **err);
int docker_network_remove(struct docker *d, const char *name, struct perry_err **err); /* absent is success */
int docker_network_inspect(struct docker *d, const char *name, cJSON **out, struct perry_err **err);
int docker_network_list(struct docker *d, const cJSON *filters, cJSON **out, struct perry_err **err);

/* Images. */
int docker_image_inspect(struct docker *d, const char *ref, cJSON **out, struct perry_err **err);
int docker_image_remove(struct docker *d, const char *ref, struct perry_err **err); /* absent is success */
int docker_image_tag(struct docker *d, const char *ref, const char *repo, const char *tag, struct perry_err **err);
/* One progress line as the engine tells it; ctx borrowed. */
typedef void (*docker_progress_fn)(void *ctx, const char *line);
int docker_image_pull(struct docker *d, const char *ref, docker_progress_fn fn, void *ctx, struct docker_cancel *cancel,
		      struct perry_err **err);
/* Builds the folder (or the files given in tar) into tag; buildargs: object or NULL. */
int docker_image_build(struct docker *d, const struct buf *tar, const char *tag, const cJSON *buildargs, bool no_cache,
		       docker_progress_fn fn, void *ctx, struct docker_cancel *cancel, struct perry_err **err);

/* Archives. Never into a tmpfs: the engine would write under it (and say 200). */
int docker_archive_put(struct docker *d, const char *id, const char *path, const struct buf *tar,
		       struct perry_err **err);
/* The same from a callback: fill up to n bytes, 0 at the end, -1 to abort. keep_kinds: a folder takes no file's place,
 * nor a file a folder's (PERRY_EINPUT). */
int docker_archive_put_stream(struct docker *d, const char *id, const char *path, bool keep_kinds,
			      ssize_t (*fill)(void *ctx, char *bytes, size_t n), void *ctx,
			      struct docker_cancel *cancel, struct perry_err **err);
/* The same of files of this machine, which are read while they are sent. Without a host path: a folder when path ends
 * with a slash, else an empty file. */
struct docker_file {
	const char *path, *host;
	mode_t mode;
};
int docker_archive_put_files(struct docker *d, const char *id, const char *path, const struct docker_file *files,
			     size_t n, struct docker_cancel *cancel, struct perry_err **err);
/* The kind of what is at a path ('d': folder, 'f': file, 'l': link, 'o': another), and of a link the place that it
 * leads to, wherever it is there (caller frees; else NULL). PERRY_ENOTFOUND. */
int docker_archive_stat(struct docker *d, const char *id, const char *path, char *kind, char **target,
			struct docker_cancel *cancel, struct perry_err **err);
int docker_archive_get(struct docker *d, const char *id, const char *path, docker_output_fn fn, void *ctx,
		       struct docker_cancel *cancel, struct perry_err **err);

/* Building tars (libarchive, pax). */
struct tar;
struct tar *tar_new(void);
int tar_add_file(struct tar *t, const char *path, const void *data, size_t n, mode_t mode, uid_t uid, gid_t gid,
		 struct perry_err **err);
int tar_add_dir(struct tar *t, const char *path, mode_t mode, uid_t uid, gid_t gid, struct perry_err **err);
int tar_add_tree(struct tar *t, const char *host_dir, const char *prefix,
		 struct perry_err **err);                               /* a folder from disk, owners 0:0 */
int tar_finish(struct tar *t, struct buf *out, struct perry_err **err); /* *out is the caller's; frees t */
void tar_free(struct tar *t);

/* Follows GET /events until cancelled; fn gets each event as JSON (borrowed). ready is called once the subscription
 * stands (buffer, then list). Returns -1 when the stream broke (PERRY_EUNAVAILABLE) or was cancelled
 * (PERRY_ECANCELLED). Texts of 64-bit numbers are kept as text. */
int docker_events(struct docker *d, const cJSON *filters, void (*ready)(void *ctx),
		  void (*fn)(void *ctx, const cJSON *event), void *ctx, struct docker_cancel *cancel,
		  struct perry_err **err);

#endif
