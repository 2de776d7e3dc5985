/* One channel of the stream protocol (docs/streams.md): exec, shell, logs, copies. */
#ifndef PERRY_CLI_STREAM_H
#define PERRY_CLI_STREAM_H
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "cli/client.h"

struct stream_ends {
	/* Input: a descriptor, or a function (bytes, 0 at the end, -1 to give up), or neither: ended at once. */
	int in_fd;
	ssize_t (*fill)(void *ctx, char *bytes, size_t n);
	/* Output: descriptors for the two kinds, which may be slow or not wait; where there is none (0), a function.
	 * Non-zero ends the channel. */
	int out_fd, err_fd;
	int (*output)(void *ctx, int fd, const char *bytes, size_t n);
	void *ctx;
	bool *got_input; /* set once there was some; or NULL */
	bool tty;        /* window changes are passed on */
	bool typed;      /* with tty: the input is no terminal, its end is typed (Ctrl-D) */
	bool *detached;  /* not NULL: Enter ~ . leaves the session, and sets it; ~ ~ types a ~ */
	bool command;    /* INT and TERM are for the command; else they end the channel, as HUP always does */
};
/* Opens the channel, moves bytes until it is over; *code is the command's exit code, or 128 and the signal that ended
 * it here. A signal that was ignored when the program began stays ignored. */
int stream_run(const struct client *c, cJSON *take_open, const struct stream_ends *ends, int *code,
	       struct perry_err **err);
/* Adds the signals that end a command of ours: not those that whoever started us had ignored (nohup, a script's
 * background). */
void stream_signals(sigset_t *set);

#endif
