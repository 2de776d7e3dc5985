/* What the streams are given by the agent, which they do not know. */
#ifndef PERRY_AGENT_STREAM_SETUP_H
#define PERRY_AGENT_STREAM_SETUP_H
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "docker/docker.h"

/* What a stream is to a workspace; OTHER: logs, copies, forwarded connections. */
enum stream_use { STREAM_USE_OTHER, STREAM_USE_EXEC, STREAM_USE_TERMINAL };

#define STREAM_HOST "@host" /* the name that means this machine */

/* The callbacks run on short-lived threads of ours, never on the loop's: they may block, and must be safe to call at
 * once from several. */
struct streams_setup {
	struct docker *docker; /* borrowed until streams_stop returned */
	/* The engine's id of a workspace's container (must_run: of a running one). Errors go to the client as they are:
	 * PERRY_EINPUT (the name), PERRY_ENOTFOUND, PERRY_ESTATE ("Workspace is not running"). */
	int (*resolve)(void *ctx, const char *workspace, bool must_run, char container[65], struct perry_err **err);
	/* May this caller do it? kind: "exec", "logs", "copy_in", "copy_out", "terminal", "forward"; workspace: a name
	 * or STREAM_HOST. NULL: everything. caller is what streams_take_... was given. */
	int (*admit)(void *ctx, const cJSON *caller, const char *kind, const char *workspace, struct perry_err **err);
	/* Who shows this token by a terminal's first message: *caller is the new one's. PERRY_EUNAUTH: nobody. NULL: no
	 * token counts. */
	int (*authenticate)(void *ctx, const char *token, cJSON **caller, struct perry_err **err);
	/* The shell for a terminal in a workspace: a path or NULL (the user's own); the caller frees. May be NULL. */
	char *(*shell)(void *ctx, const char *workspace);
	/* Seconds after which a new session that is only a prompt may end, 0: never. May be NULL (never). */
	int64_t (*session_idle)(void *ctx);
	/* May terminals of this machine be opened (allowHostAccess)? NULL: no. */
	bool (*host_access)(void *ctx);
	/* Something was typed or run in a workspace (for lastUsed); at most once a minute per stream. May be NULL. */
	void (*used)(void *ctx, const char *workspace);
	/* Something was opened (change 1) or has ended (-1). The exception: called on the loop's thread, must be quick.
	 * May be NULL. */
	void (*open)(void *ctx, const char *workspace, enum stream_use use, int change);
	/* The engine's id of a workspace's container, if it runs. On the loop's thread, too. May be NULL. */
	bool (*running)(void *ctx, const char *workspace, char container[65]);
	/* The sessions of a workspace are others now (sessions_look). On the loop's thread, too. May be NULL. */
	void (*sessions)(void *ctx, const char *workspace);
	void *ctx;
	int max_connections; /* WebSockets at once, 0: 256; beyond, a new one is closed with 1008 */
	int max_channels;    /* of one connection, 0: 64; beyond, OPEN is answered by ERROR */
	int stranger_ms;     /* for a terminal's first message when nobody is known, 0: 10000 */
	int stop_ms;         /* for all goodbyes at the end, 0: 3000 */
};

#endif
