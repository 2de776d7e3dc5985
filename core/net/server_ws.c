/* Handing a connection over for WebSocket. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/server_priv.h"
#include "net/ws.h"

static void on_upgrade(void *arg, struct MHD_Connection *mhd, void *context, const char *extra, size_t n,
		       MHD_socket sock, struct MHD_UpgradeResponseHandle *urh)
{
	struct server_req *r = arg;
	/* A descriptor of the callee's own: libmicrohttpd closes its one and forgets the connection at once, so that
	 * stopping the server and a socket that lives on do not know of each other. */
	int fd = fcntl(sock, F_DUPFD_CLOEXEC, 0), on = 1;
	if (fd >= 0 && !r->peer.is_unix)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	conn_unwatch(r->server, r->conn);
	req_uncount(r);
	pthread_mutex_lock(&r->lock);
	r->dropped = true;
	server_upgraded fn = take_ptr(r->upgraded);
	pthread_mutex_unlock(&r->lock);
	if (fn)
		fn(r->upgraded_ctx, fd, fd >= 0 ? extra : NULL, fd >= 0 ? n : 0);
	atomic_store(&r->upgrade_done, true);
	MHD_upgrade_action(urh, MHD_UPGRADE_ACTION_CLOSE);
}

static bool is_key(const char *key)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	return key && strlen(key) == 24 && strspn(key, alphabet) == 22 && strcmp(key + 22, "==") == 0;
}

int req_websocket(struct server_req *r, const char *protocol, server_upgraded fn, void *ctx)
{
	const char *key = req_header(r, "Sec-WebSocket-Key"), *version = req_header(r, "Sec-WebSocket-Version");
	if (strcmp(r->method, "GET") != 0 || !head_has_token(req_header(r, "Upgrade"), "websocket") ||
	    !head_has_token(req_header(r, "Connection"), "upgrade") || !is_key(key) || !version ||
	    strcmp(version, "13") != 0) {
		static const char *const headers[] = { "Sec-WebSocket-Version", "13", NULL };
		reply(r, 400, "text/plain; charset=utf-8", "WebSocket upgrade failed", 24, headers);
		return -1;
	}
	struct MHD_Response *resp = MHD_create_response_for_upgrade(on_upgrade, r);
	if (!resp)
		abort(); /* out of memory */
	char accept[32];
	ws_accept(key, accept);
	MHD_add_response_header(resp, "Upgrade", "websocket");
	MHD_add_response_header(resp, "Sec-WebSocket-Accept", accept);
	if (protocol)
		MHD_add_response_header(resp, "Sec-WebSocket-Protocol", protocol);
	/* Answering gives up the reference of a suspended request. */
	req_ref(r);
	pthread_mutex_lock(&r->lock);
	if (!r->dropped) {
		r->upgraded = fn;
		r->upgraded_ctx = ctx;
	}
	pthread_mutex_unlock(&r->lock);
	int rc = 0;
	if (!req_answer(r, 101, resp)) {
		MHD_destroy_response(resp);
		pthread_mutex_lock(&r->lock);
		/* If the connection ended since we looked, fn was told so already. */
		if (r->upgraded || !r->upgrade_told)
			rc = -1;
		r->upgraded = NULL;
		pthread_mutex_unlock(&r->lock);
	}
	req_unref(r);
	return rc;
}
