/* A command over the channel of its workspace, to its end, for threads that may wait. Any thread but the loop's. */
#ifndef PERRY_AGENT_CHANNEL_CALL_H
#define PERRY_AGENT_CHANNEL_CALL_H
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"
#include "docker/docker.h"
#include "docker/step_argv.h"

struct channels;

struct channel_call {
	struct step_exec exec; /* no terminal */
	const char *input;     /* written to its standard input, which is closed then; or NULL */
	size_t input_len;
	size_t max;     /* bytes of each stream that are kept; what comes after is counted */
	int timeout_ms; /* 0: none */
};
/* As docker_exec_collect, but what runs when time is up (PERRY_ETIMEOUT) or it was cancelled (PERRY_ECANCELLED) is
 * ended. 1: no channel can be had there, nothing was begun. */
int channel_exec_collect(struct channels *all, const char *container, const struct channel_call *call,
			 struct docker_cancel *cancel, struct docker_exec_result *res, struct perry_err **err);

/* Opens a stream and takes what it answers: the details of OPENED (caller frees; NULL when there are none) and what
 * comes on STDOUT up to its end or, with one_line, to the end of its first line. Waits some seconds at most. Without a
 * channel: PERRY_ESTATE. */
int channel_ask(struct channels *all, const char *container, const cJSON *open, bool one_line,
		struct docker_cancel *cancel, cJSON **details, struct buf *out, struct perry_err **err);

#endif
