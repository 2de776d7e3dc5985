/* Streams: one I/O thread pumps every WebSocket that was handed over, the channels of docs/streams.md and the terminal
 * of the API. Memory is bounded by windows; engine calls that block run on short-lived threads. Everything here may be
 * called from any thread. */
#ifndef PERRY_AGENT_STREAM_H
#define PERRY_AGENT_STREAM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "docker/docker.h"

struct streams;

/* What a stream is to a workspace; OTHER: logs, copies, forwarded connections. */
enum stream_use { STREAM_USE_OTHER, STREAM_USE_EXEC, STREAM_USE_TERMINAL };

#define STREAM_PROTOCOL "perry.v1" /* the subprotocol of GET /rpc/stream */
#define STREAM_HOST     "@host"    /* the name that means this machine */

/* The callbacks run on short-lived threads of ours, never on the I/O thread: they may block, and must be safe to call
 * at once from several. */
struct streams_setup {
	struct docker *docker; /* borrowed until streams_stop returned */
	/* The engine's id of a workspace's container (must_run: of a running one). Errors go to the client as they are:
	 * PERRY_EINPUT (the name), PERRY_ENOTFOUND, PERRY_ESTATE ("Workspace is not running"). */
	int (*resolve)(void *ctx, const char *workspace, bool must_run, char container[65], struct perry_err **err);
	/* May this caller do it? kind: "exec", "logs", "copy_in", "copy_out", "terminal", "forward"; workspace: a name
	 * or STREAM_HOST. NULL: everything. caller is what streams_take_... was given. */
	int (*admit)(void *ctx, const cJSON *caller, const char *kind, const char *workspace, struct perry_err **err);
	/* The shell for a terminal in a workspace: a path or NULL (the user's own); the caller frees. May be NULL. */
	char *(*shell)(void *ctx, const char *workspace);
	/* May terminals of this machine be opened (allowHostAccess)? NULL: no. */
	bool (*host_access)(void *ctx);
	/* Something was typed or run in a workspace (for lastUsed); at most once a minute per stream. May be NULL. */
	void (*used)(void *ctx, const char *workspace);
	/* Something was opened (change 1) or has ended (-1). The exception: called on the I/O thread, must be quick.
	 * May be NULL. */
	void (*open)(void *ctx, const char *workspace, enum stream_use use, int change);
	void *ctx;
	const char *step;    /* perry-step inside the workspace; NULL: /opt/perry/bin/perry-step */
	int max_connections; /* WebSockets at once, 0: 256; beyond, a new one is closed with 1008 */
	int max_channels;    /* of one connection, 0: 64; beyond, OPEN is answered by ERROR */
};

/* Starts the I/O thread. setup is copied (texts too). */
int streams_open(struct streams **out, const struct streams_setup *setup, struct perry_err **err);

/* Take a socket after its 101 (server_upgraded: non-blocking; -1 is ignored) with the bytes that came too early. caller
 * is copied. */
void streams_take_perry(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller);
/* The terminal of a workspace (validated by the caller of this) or of STREAM_HOST. Close codes are those of the API:
 * 1000 "Process exited with code N", 1001, 4003 "Host access is disabled", 1011 "Failed to start terminal". */
void streams_take_terminal(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller,
			   const char *name);

/* Open terminals: terminal connections and exec channels with a tty (terminalConnections of info). */
int streams_count(struct streams *s);
/* Ends every stream of a workspace: terminals are closed with code and reason (1001, "Workspace stopped"), channels
 * with an ERROR that says reason. */
void streams_close_workspace(struct streams *s, const char *name, uint16_t code, const char *reason);
/* Access was removed: ends every stream that a login, a tag or a node of the tailnet has open (caller_json_is), with
 * 1008. */
void streams_close_caller(struct streams *s, const char *name);
/* Closes everything with 1001 "Server shutting down", ends the execs, waits for the threads (at most about 3 s of
 * goodbye). After it the other calls are harmless: sockets are closed, nothing is counted. */
void streams_stop(struct streams *s);
void streams_free(struct streams *s); /* stopped, and nobody calls any more */

#endif
