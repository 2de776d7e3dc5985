/* GET /rpc/terminal/<name>: the terminal that existing clients speak. */
#ifndef PERRY_AGENT_STREAM_TERMINAL_H
#define PERRY_AGENT_STREAM_TERMINAL_H
#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"

struct streams;

/* Any thread, like streams_take_perry: the terminal of a workspace (validated by the caller of this) or of STREAM_HOST.
 * Close codes are those of the API: 1000 "Process exited with code N", 1001, 4003 "Host access is disabled", 1011
 * "Failed to start terminal". */
void streams_take_terminal(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller,
			   const char *name);

/* The same for somebody who has shown nothing: nothing happens before his first message is {"type":"auth","token":...}
 * with a token that setup.authenticate takes; else it is closed with 4001. Such a message is never input, from nobody.
 * False of streams_expect_stranger (any thread): too many wait already. After true the socket is handed over, or
 * streams_forget_stranger called. peer: as whom his connections are counted. */
bool streams_expect_stranger(struct streams *s, const char *peer);
void streams_forget_stranger(struct streams *s, const char *peer);
void streams_take_stranger(struct streams *s, int take_fd, const char *early, size_t n, const char *peer,
			   const char *name);

#endif
