/* One channel of the stream protocol (docs/streams.md): exec, shell, logs, copies. */
#ifndef PERRY_CLI_STREAM_H
#define PERRY_CLI_STREAM_H
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "cli/client.h"

struct stream_ends {
	/* Input: a descriptor, or a function (bytes, 0 at the end, -1 to give up), or neither: ended at once. */
	int in_fd;
	ssize_t (*fill)(void *ctx, char *bytes, size_t n);
	/* Output: non-zero ends the channel. */
	int (*output)(void *ctx, int fd, const char *bytes, size_t n);
	void *ctx;
	bool tty; /* window changes are passed on */
};
/* Opens the channel, moves bytes until it is over; *code is the command's exit code. */
int stream_run(const struct client *c, cJSON *take_open, const struct stream_ends *ends, int *code,
	       struct perry_err **err);
/* output for plain passing on to our own standard output and error. */
int stream_to_stdio(void *ctx, int fd, const char *bytes, size_t n);

#endif
