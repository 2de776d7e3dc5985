/* The API of the workspace's own tailscaled, HTTP over its unix socket. */
#ifndef PERRY_STEP_LOCALAPI_H
#define PERRY_STEP_LOCALAPI_H
#include <stddef.h>

#define TAILSCALED_SOCKET "/run/tailscale/tailscaled.sock"

struct local_answer {
	int status;
	char *body; /* NUL-terminated; the caller frees */
	size_t len;
	char etag[96]; /* "" when there is none */
};
/* Sends a request to /localapi/v0/PATH; headers: whole lines ending with CR LF, or NULL; body: NULL for none. The
 * socket, which is non-blocking from then on and ends with the answer (HTTP/1.0), or -1 with errno. */
int local_open(const char *method, const char *path, const char *headers, const char *body);
/* The whole answer. 0, or -1 with errno (ETIMEDOUT after timeout_ms). */
int local_call(const char *method, const char *path, const char *headers, const char *body, int timeout_ms,
	       struct local_answer *out);
/* The head of an answer in text (of n bytes): its length with the empty line, and what it says; 0 while it is not
 * complete, -1 when it is none. */
int local_head(const char *text, size_t n, int *status, char etag[96]);

#endif
