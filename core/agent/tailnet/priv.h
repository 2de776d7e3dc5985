/* What the threads of the tailnet share. */
#ifndef PERRY_AGENT_TAILNET_PRIV_H
#define PERRY_AGENT_TAILNET_PRIV_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/tailnet/node.h"
#include "agent/tailnet/say.h"

struct agent;
struct perry_err;
struct tslocal;

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

#endif
