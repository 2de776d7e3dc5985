/* The OPEN of docs/channel.md for what runs a program: a command, or a session. */
#ifndef PERRY_AGENT_CHANNEL_OPENING_H
#define PERRY_AGENT_CHANNEL_OPENING_H
#include "base/json.h"

struct channel_opening {
	const char *kind; /* "exec" or "session" */
	const char *id;   /* as of step_exec_id */
	const char *name; /* of a session, or NULL */
	const char *user, *cwd, *shell;
	const char *const *command; /* NULL-terminated, or NULL: the login shell */
	const char *term;           /* with a terminal, else NULL: there is none */
	int cols, rows;
};
cJSON *channel_opening(const struct channel_opening *x); /* the caller's; what is NULL is left out */

#endif
