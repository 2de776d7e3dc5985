/* A viewer of a session: a shell or a command that lives in its workspace, whoever looks at it. */
#ifndef PERRY_AGENT_STREAM_SESSION_H
#define PERRY_AGENT_STREAM_SESSION_H
#include "agent/stream/source.h"

struct stream_session {
	const char *workspace;
	const char *session; /* its id, or NULL: a new one is begun, with what follows */
	const char *name, *user, *cwd, *term;
	char **command; /* NULL-terminated, or NULL: the login shell */
	int cols, rows;
	bool read_only; /* what is typed is not passed on */
};
/* All of it is copied. Never NULL: what goes wrong is told to the sink. The end of the viewer is not that of the
 * session. */
struct stream_source *stream_session_new(struct streams *s, const struct stream_session *spec, const cJSON *caller,
					 const struct stream_sink *sink, void *owner);

#endif
