/* A command in a workspace, under perry-step there. */
#ifndef PERRY_AGENT_STREAM_EXEC_H
#define PERRY_AGENT_STREAM_EXEC_H
#include "agent/stream/source.h"

struct stream_exec {
	const char *workspace;
	char **command; /* NULL-terminated, or NULL: the login shell */
	bool tty;
	int cols, rows;
	const char *user, *cwd, *term; /* user and cwd may be NULL */
	const char *kind;              /* for admit: "exec", "terminal" or "forward" */
	int port;                      /* of a forward: what is connected to, instead of a command */
};
/* All of it is copied. Never NULL: what goes wrong is told to the sink. */
struct stream_source *stream_exec_new(struct streams *s, const struct stream_exec *spec, const cJSON *caller,
				      const struct stream_sink *sink, void *owner);

#endif
