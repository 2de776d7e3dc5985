/* What the files of the tailnet share. */
#ifndef PERRY_AGENT_TAILNET_PRIV_H
#define PERRY_AGENT_TAILNET_PRIV_H
#include <pthread.h>

#include "agent/internal.h"
#include "agent/tailnet/tailnet.h"

enum reach {
	REACH_UNKNOWN, /* the first look is not over, or tailscaled is only starting */
	REACH_NOT_INSTALLED,
	REACH_NOT_RUNNING, /* or does not answer */
	REACH_LOGGED_OUT,
	REACH_STOPPED,
	REACH_NOT_APPROVED,
	REACH_RUNNING,
};

enum target { TARGET_NONE, TARGET_SOCKET, TARGET_LOOPBACK };

/* What was made of it. */
struct outcome {
	enum reach reach;
	bool off; /* by the configuration */
	bool operator_missing, no_token, no_port;
	enum target target;
	int port;       /* of the publication */
	bool listening; /* on the tailnet's addresses */
	char why_loopback[160], problem[256];
};

struct tailnet {
	struct agent *a;
	struct tslocal *local;
	atomic_bool stop;
	int stop_fd;
	pthread_t watcher, worker;
	bool running;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	bool serving; /* the server runs */
	bool dirty;   /* something to look at */
	bool settled; /* there is something to say about the start */
	bool announced;
	bool connected;
	char session[64];
	struct perry_err *lost; /* why there is no connection */
	int64_t lost_at;        /* mono ms: since when */
	struct tailnet_node node;
	struct outcome outcome;
	char *said; /* the lines that hold now */

	/* the worker's own */
	char seen_session[64];
	char *serve_path;
	int serve_fd;
	bool socket_refused;     /* tailscaled takes no socket from us, in this session */
	bool published, lasting; /* lasting: bound to no session */
	int retry_ms;
	struct {
		char ip[46];
		int fd;
	} listeners[8];
	int nlisteners;
};

/* say.c: the lines about o, those that come before and after "Agent running at"; '\n' after each. */
void outcome_lines(const struct tailnet_node *n, const struct outcome *o, uint16_t port, struct buf *before,
		   struct buf *after);
/* What is wrong in one line, and what mends it; NULL, NULL when nothing is. Static or o's own. */
const char *outcome_problem(const struct outcome *o, const char **mend);
void outcome_url(const struct tailnet_node *n, const struct outcome *o, char url[300]); /* "" when there is none */

/* follow.c: the thread that holds the connection to tailscaled. */
void *tailnet_watch_main(void *tailnet);

#endif
