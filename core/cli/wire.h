/* HTTP/1.1 as the CLI needs it: one request a connection at a time, over a descriptor or (in the full executable) TLS.
 */
#ifndef PERRY_CLI_WIRE_H
#define PERRY_CLI_WIRE_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* A connection. read and write behave like read(2)/write(2). */
struct conn {
	int fd;
	ssize_t (*read)(void *ctx, void *bytes, size_t n);
	ssize_t (*write)(void *ctx, const void *bytes, size_t n);
	void (*close)(void *ctx);
	void (*nonblock)(
		void *ctx,
		bool on); /* while on, read and write answer -1 with EAGAIN instead of waiting; given with read */
	void *ctx;
	struct buf in; /* read and not used yet */
	int64_t until; /* monotonic ms after which waiting for input is PERRY_ETIMEOUT (or when a signal came; nothing
			  is lost, go on later); 0: never */
};
void conn_close(struct conn *c);

struct answer {
	int status;
	struct buf head;  /* header lines, NUL-terminated */
	long long length; /* -1: until the end, -2: chunked */
	long long left;   /* of the body or the current chunk */
	bool ended;
};
/* Writes the request and reads the head of the answer. headers: "Name: value\r\n" lines or "". */
int wire_send(struct conn *c, const char *method, const char *path, const char *host, const char *headers,
	      const void *body, size_t n, struct answer *out, struct perry_err **err);
/* Some more of the body: bytes > 0, 0 at its end, -1 on error. */
ssize_t wire_body(struct conn *c, struct answer *a, void *bytes, size_t n, struct perry_err **err);
int wire_body_all(struct conn *c, struct answer *a, size_t max, struct buf *out, struct perry_err **err);
/* The value of a header; the caller frees. NULL: absent. */
char *wire_header(const struct answer *a, const char *name);
void answer_free(struct answer *a);

#endif
