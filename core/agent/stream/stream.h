/* Streams: one loop pumps every WebSocket that was handed over, the channels of docs/streams.md (proto.h) and the
 * terminal of the API (terminal.h). Memory is bounded by windows; engine calls that block run on short-lived threads.
 * Everything here may be called from any thread. */
#ifndef PERRY_AGENT_STREAM_H
#define PERRY_AGENT_STREAM_H
#include <stdint.h>

#include "agent/stream/setup.h"
#include "base/err.h"

struct channels;
struct streams;

/* Starts the loop. setup is copied. */
int streams_open(struct streams **out, const struct streams_setup *setup, struct perry_err **err);

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
/* The channels into the workspaces, on the streams' loop. */
struct channels *streams_channels(struct streams *s);
void streams_free(struct streams *s); /* stopped, and nobody calls any more */

#endif
