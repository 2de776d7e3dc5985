/* GET /rpc/terminal/<name>: the terminal that existing clients speak. */
#ifndef PERRY_AGENT_STREAM_TERMINAL_H
#define PERRY_AGENT_STREAM_TERMINAL_H
#include <stddef.h>

#include "base/json.h"

struct streams;

/* Any thread, like streams_take_perry: the terminal of a workspace (validated by the caller of this) or of STREAM_HOST.
 * Close codes are those of the API: 1000 "Process exited with code N", 1001, 4003 "Host access is disabled", 1011
 * "Failed to start terminal". */
void streams_take_terminal(struct streams *s, int take_fd, const char *early, size_t n, const cJSON *caller,
			   const char *name);

#endif
