#include "net/ws.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <wslay/wslay.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/random.h"

#define READ_BUDGET (256 << 10) /* of one ws_on_readable, so that one fast peer does not starve the loop's others */
#define MAX_PONGS   256         /* unsent; a peer that pings and does not read */

struct ws {
	int fd;
	wslay_event_context_ptr wslay;
	struct ws_io io;
	ws_message_fn fn;
	void *ctx;
	struct buf early;
	size_t budget;
	bool failed;
	unsigned pongs;
	uint16_t code; /* what the peer sent */
	char reason[124];
	/* A close frame overtakes what is queued and ends the sending, so ours waits until the rest is out. */
	bool closing;
	uint16_t close_code;
	char close_reason[124];
};

static ssize_t default_read(void *ctx, void *bytes, size_t n)
{
	struct ws *w = ctx;
	ssize_t r = read(w->fd, bytes, n);
	return r > 0 ? r : r < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static ssize_t default_write(void *ctx, const void *bytes, size_t n)
{
	struct ws *w = ctx;
	ssize_t r = send(w->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	return r >= 0 ? r : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

static ssize_t on_recv(wslay_event_context_ptr wslay, uint8_t *out, size_t n, int flags, void *arg)
{
	struct ws *w = arg;
	ssize_t r = 0;
	if (w->early.len) {
		r = (ssize_t)(n < w->early.len ? n : w->early.len);
		memcpy(out, w->early.data, (size_t)r);
		buf_consume(&w->early, (size_t)r);
		return r;
	}
	if (w->budget)
		r = w->io.read(w->io.ctx, out, n < w->budget ? n : w->budget);
	if (r > 0) {
		w->budget -= (size_t)r;
		return r;
	}
	wslay_event_set_error(wslay, r ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
	return -1;
}

static ssize_t on_send(wslay_event_context_ptr wslay, const uint8_t *bytes, size_t n, int flags, void *arg)
{
	struct ws *w = arg;
	ssize_t r = w->io.write(w->io.ctx, bytes, n);
	if (r > 0)
		return r;
	wslay_event_set_error(wslay, r ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
	return -1;
}

static int on_genmask(wslay_event_context_ptr wslay, uint8_t *out, size_t n, void *arg)
{
	random_bytes(out, n);
	return 0;
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *msg, void *arg)
{
	struct ws *w = arg;
	switch (msg->opcode) {
	case WSLAY_TEXT_FRAME:
	case WSLAY_BINARY_FRAME:
		w->fn(w->ctx, msg->opcode == WSLAY_BINARY_FRAME, (const char *)msg->msg, msg->msg_length);
		break;
	case WSLAY_CONNECTION_CLOSE:
		w->code = msg->status_code ? msg->status_code : 1005;
		if (msg->msg_length > 2 && msg->msg_length - 2 < sizeof w->reason)
			memcpy(w->reason, msg->msg + 2, msg->msg_length - 2);
		break;
	case WSLAY_PONG:
		w->pongs++;
		break;
	case WSLAY_PING:
		if (wslay_event_get_queued_msg_count(wslay) > MAX_PONGS)
			w->failed = true;
		break;
	default:
		break;
	}
}

struct ws *ws_new(int take_fd, bool server, size_t max_message, const struct ws_io *io, ws_message_fn fn, void *ctx)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = on_recv,
		.send_callback = on_send,
		.genmask_callback = on_genmask,
		.on_msg_recv_callback = on_message,
	};
	struct ws *w = xcalloc(1, sizeof *w);
	w->fd = take_fd;
	w->fn = fn;
	w->ctx = ctx;
	w->io = io ? *io : (struct ws_io){ default_read, default_write, w };
	int rc = server ? wslay_event_context_server_init(&w->wslay, &callbacks, w)
			: wslay_event_context_client_init(&w->wslay, &callbacks, w);
	if (rc)
		abort(); /* out of memory */
	wslay_event_config_set_max_recv_msg_length(w->wslay, max_message);
	return w;
}

void ws_set_max_message(struct ws *w, size_t max_message)
{
	wslay_event_config_set_max_recv_msg_length(w->wslay, max_message);
}

void ws_feed_early(struct ws *w, const char *bytes, size_t n)
{
	buf_add(&w->early, bytes, n);
}

int ws_fd(const struct ws *w)
{
	return w->fd;
}

bool ws_wants_write(const struct ws *w)
{
	return !w->failed && (w->closing || wslay_event_want_write(w->wslay));
}

bool ws_wants_read(const struct ws *w)
{
	return !w->failed && wslay_event_want_read(w->wslay);
}

bool ws_read_more(const struct ws *w)
{
	return w->budget == 0 && ws_wants_read(w);
}

static int alive(const struct ws *w)
{
	return ws_wants_read(w) || ws_wants_write(w) ? 0 : -1;
}

int ws_on_readable(struct ws *w)
{
	w->budget = READ_BUDGET;
	if (ws_wants_read(w) && wslay_event_recv(w->wslay) != 0)
		w->failed = true;
	return alive(w);
}

static void queue_close(struct ws *w)
{
	if (w->closing && !wslay_event_get_queued_msg_count(w->wslay)) {
		w->closing = false;
		wslay_event_queue_close(w->wslay, w->close_code, (const uint8_t *)w->close_reason,
					strlen(w->close_reason));
	}
}

int ws_on_writable(struct ws *w)
{
	if (w->closing && !wslay_event_get_write_enabled(w->wslay))
		w->closing = false; /* the peer closed first */
	if (ws_wants_write(w) && wslay_event_send(w->wslay) != 0)
		w->failed = true;
	if (!w->failed && w->closing) {
		queue_close(w);
		if (wslay_event_send(w->wslay) != 0)
			w->failed = true;
	}
	return alive(w);
}

int ws_send(struct ws *w, bool binary, const void *bytes, size_t n)
{
	struct wslay_event_msg msg = { .opcode = binary ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME,
				       .msg = bytes,
				       .msg_length = n };
	int rc = w->failed || w->closing ? -1 : wslay_event_queue_msg(w->wslay, &msg);
	if (rc == WSLAY_ERR_NOMEM)
		abort();
	return rc ? -1 : 0;
}

int ws_ping(struct ws *w)
{
	struct wslay_event_msg msg = { .opcode = WSLAY_PING };
	return w->failed || w->closing || wslay_event_queue_msg(w->wslay, &msg) ? -1 : 0;
}

unsigned ws_pongs(const struct ws *w)
{
	return w->pongs;
}

size_t ws_backlog(const struct ws *w)
{
	return wslay_event_get_queued_msg_length(w->wslay);
}

void ws_close(struct ws *w, uint16_t code, const char *reason)
{
	size_t n = reason ? strlen(reason) : 0;
	if (n > 123) {
		/* A control frame's payload ends at 125 bytes; not within a character. */
		for (n = 123; n && ((unsigned char)reason[n] & 0xc0) == 0x80;)
			n--;
	}
	if (w->failed || w->closing || !wslay_event_get_write_enabled(w->wslay) || wslay_event_get_close_sent(w->wslay))
		return;
	w->closing = true;
	w->close_code = code;
	if (n)
		memcpy(w->close_reason, reason, n);
	w->close_reason[n] = '\0';
	queue_close(w);
}

uint16_t ws_close_code(const struct ws *w, const char **reason)
{
	if (reason)
		*reason = w->reason;
	return w->code;
}

void ws_free(struct ws *w)
{
	if (!w)
		return;
	wslay_event_context_free(w->wslay);
	if (w->fd >= 0) {
		/* Unread bytes would turn the close into a reset, and the peer might lose our close frame. */
		char junk[4096];
		shutdown(w->fd, SHUT_WR);
		for (int i = 0; i < 64 && recv(w->fd, junk, sizeof junk, MSG_DONTWAIT) > 0; i++)
			;
		close(w->fd);
	}
	buf_free(&w->early);
	free(w);
}

/* --- the handshake --- */

static uint32_t rotl(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

/* SHA-1 (FIPS 180-4) of a short text, as RFC 6455 wants it; protects nothing. n is at most 119. */
static void sha1_short(const char *text, size_t n, unsigned char out[20])
{
	unsigned char pad[128] = { 0 };
	size_t blocks = n < 56 ? 1 : 2;
	memcpy(pad, text, n);
	pad[n] = 0x80;
	for (int i = 0; i < 8; i++)
		pad[blocks * 64 - 1 - (size_t)i] = (unsigned char)((uint64_t)n * 8 >> (8 * i));
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	for (size_t b = 0; b < blocks; b++) {
		uint32_t w[80], v[5];
		for (int i = 0; i < 16; i++) {
			const unsigned char *p = pad + b * 64 + (size_t)i * 4;
			w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
		}
		for (int i = 16; i < 80; i++)
			w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
		memcpy(v, h, sizeof v);
		for (int i = 0; i < 80; i++) {
			uint32_t f, k;
			if (i < 20)
				f = (v[1] & v[2]) | (~v[1] & v[3]), k = 0x5a827999;
			else if (i < 40)
				f = v[1] ^ v[2] ^ v[3], k = 0x6ed9eba1;
			else if (i < 60)
				f = (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3]), k = 0x8f1bbcdc;
			else
				f = v[1] ^ v[2] ^ v[3], k = 0xca62c1d6;
			uint32_t t = rotl(v[0], 5) + f + v[4] + k + w[i];
			v[4] = v[3];
			v[3] = v[2];
			v[2] = rotl(v[1], 30);
			v[1] = v[0];
			v[0] = t;
		}
		for (int i = 0; i < 5; i++)
			h[i] += v[i];
	}
	for (int i = 0; i < 20; i++)
		out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

void ws_client_key(char key_out[32])
{
	unsigned char nonce[16];
	cleanup_buf struct buf text = { 0 };
	random_bytes(nonce, sizeof nonce);
	base64_encode(&text, nonce, sizeof nonce);
	memcpy(key_out, text.data, text.len + 1);
}

void ws_accept(const char *key, char out[32])
{
	unsigned char digest[20];
	cleanup_buf struct buf text = { 0 }, b64 = { 0 };
	buf_add(&text, key, strnlen(key, 32));
	buf_adds(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
	sha1_short(text.data, text.len, digest);
	base64_encode(&b64, digest, sizeof digest);
	memcpy(out, b64.data, b64.len + 1);
}

bool ws_accept_ok(const char *key, const char *accept)
{
	char want[32];
	ws_accept(key, want);
	return accept && strcmp(accept, want) == 0;
}
