/* WebSocket framing for both sides over a non-blocking descriptor (libwslay). No thread of its own: the owner's event
 * loop drives it. */
#ifndef PERRY_NET_WS_H
#define PERRY_NET_WS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ws;

/* How bytes travel; the default (NULL) is read(2)/write(2) on fd. Return bytes, 0: would block, -1: ended. */
struct ws_io {
	ssize_t (*read)(void *ctx, void *bytes, size_t n);
	ssize_t (*write)(void *ctx, const void *bytes, size_t n);
	void *ctx;
};
/* A whole message (at most max_message bytes; beyond, the connection is closed with 1009). */
typedef void (*ws_message_fn)(void *ctx, bool binary, const char *bytes, size_t n);

struct ws *ws_new(int take_fd, bool server, size_t max_message, const struct ws_io *io, ws_message_fn fn, void *ctx);
void ws_set_max_message(struct ws *w, size_t max_message); /* from the next message on */
/* Bytes read before the hand-over; call ws_on_readable once after it, no poll knows of them. */
void ws_feed_early(struct ws *w, const char *bytes, size_t n);
int ws_fd(const struct ws *w);
bool ws_wants_write(const struct ws *w);
bool ws_wants_read(const struct ws *w);
/* It stopped reading for the sake of the loop's others: call ws_on_readable again although the descriptor may be silent
 * (TLS reads ahead). */
bool ws_read_more(const struct ws *w);
/* Both return 0 while the connection lives, -1 when it is over (closed, broken, protocol error). */
int ws_on_readable(struct ws *w);
int ws_on_writable(struct ws *w);
int ws_send(struct ws *w, bool binary, const void *bytes, size_t n); /* queues a copy */
int ws_ping(struct ws *w);             /* queues one; the peer answers it whatever it is doing */
unsigned ws_pongs(const struct ws *w); /* that came */
size_t ws_backlog(const struct ws *w); /* bytes queued and not sent */
void ws_close(struct ws *w, uint16_t code,
	      const char *reason); /* a close frame, after what is queued; libwslay takes no 1012-1014 */
uint16_t ws_close_code(const struct ws *w, const char **reason); /* what the peer sent, 0 when none */
void ws_free(struct ws *w);                                      /* closes fd */

/* Client side of the handshake: key_out has 32 bytes; accept_ok checks the server's Sec-WebSocket-Accept. */
void ws_client_key(char key_out[32]);
bool ws_accept_ok(const char *key, const char *accept);
/* Server side: the accept value for a client's key; out has 32 bytes. */
void ws_accept(const char *key, char out[32]);

#endif
