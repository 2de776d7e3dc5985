/* What exec, shell and their like share: asking the agent for a stream, with this terminal's size and keys. */
#ifndef PERRY_CLI_REMOTE_H
#define PERRY_CLI_REMOTE_H
#include "cli/client.h"
#include "cli/command.h"
#include "cli/stream.h"

cJSON *remote_open(const char *kind, const char *name); /* an OPEN of docs/streams.md, the caller's */
cJSON *remote_command(const struct args *a); /* the words after "--", or (exec) after the first; the caller's */
/* With a terminal there: its size is this one's, and where this is one its keys are passed on as they are. */
int remote_run(const struct client *c, cJSON *take_open, const struct stream_ends *ends, int *code,
	       struct perry_err **err);

#endif
