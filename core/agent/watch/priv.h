/* Inside of the watchers: the table and the thread (watchers.c), what listens and what is decided about it (ports.c),
 * the execs (exec.c). Unless it says otherwise everything here is called on the thread. */
#ifndef PERRY_AGENT_WATCHERS_PRIV_H
#define PERRY_AGENT_WATCHERS_PRIV_H
#include <pthread.h>

#include "agent/watch/line.h"
#include "agent/watch/watchers.h"

#define WATCHER_OPENINGS 4 /* at once */

struct seen {
	struct watch_port port;
	bool decided, announce, expose;
	char *label;
};

struct entry {
	struct entry *next;
	char *name;
	char container[65];
	struct docker_stream *stream; /* NULL: not open */
	struct buf line, said;        /* an unfinished line; the beginning of standard error */
	struct buf out;               /* commands that are not written yet */
	bool opening, heard, skipping, resting, deciding, telling, tell_again, given_up;
	int tries;
	int64_t open_at, read_at, decide_at; /* mono ms, 0: not due */
	int64_t opened;
	char *problem;
	struct seen *seen;
	size_t nseen;
	int more;
	cJSON *tailnet, *serve; /* as last told, or NULL */
	cJSON *sample;          /* nobody has taken it yet */
	bool mute;              /* it let us wait in vain: it may be too old to know what a sample is */
	char *sent;             /* the serve command it has */
	int64_t minute;
	int events;
};

/* What comes to the thread from others. */
struct news {
	struct news *next;
	enum { NEWS_WORKSPACE, NEWS_ENGINE, NEWS_SERVE, NEWS_SAMPLE, NEWS_OPENED, NEWS_DECIDED, NEWS_TOLD } kind;
	char *name;
	char container[65];
	struct docker_stream *stream;
	cJSON *asked, *answers;
	struct perry_err *err;
};

struct watchers {
	struct watchers_setup setup;
	char *step;
	int epoll_fd, wake_fd;
	pthread_t thread;
	struct hub_sub *sub;
	int openings; /* the thread's */

	pthread_mutex_t news_lock; /* of the next lines; under it nobody calls anything */
	struct news *news, **news_tail;
	bool stopped;

	pthread_cond_t sampled; /* a sample came, or will not; with the next lock */
	pthread_mutex_t lock;   /* of the entries: the thread writes, others look */
	struct entry *entries;
};

/* Work that a job does for the thread: what it gives comes back as news. */
struct watcher_job {
	struct watchers *w;
	struct news *news;
};

/* watchers.c. Any thread: */
struct news *watcher_news(int kind, const char *name);
void watcher_news_free(struct news *n);
void watcher_post(struct watchers *w, struct news *take);
/* The thread: */
void watcher_problem(struct watchers *w, struct entry *e, const char *text); /* why nothing is heard from now on */
void watcher_tell_tailnet(struct watchers *w, struct entry *e);
void watcher_sampled(struct watchers *w, struct entry *e, cJSON *take_sample);

/* exec.c */
void watcher_open(struct watchers *w, struct entry *e);                   /* as a job */
void watcher_opened(struct watchers *w, struct entry *e, struct news *n); /* e NULL: nobody wants it any more */
void watcher_listen(struct watchers *w, struct entry *e);
void watcher_read(struct watchers *w, struct entry *e);
void watcher_flush(struct watchers *w, struct entry *e);
void watcher_close(struct watchers *w, struct entry *e);

/* ports.c */
void watcher_ports(struct watchers *w, struct entry *e, const struct watch_line *line);
void watcher_ask(struct watchers *w, struct entry *e); /* about what is not decided, as a job */
void watcher_decided(struct watchers *w, struct entry *e, const struct news *n);
void watcher_forwards(struct watchers *w,
		      struct entry *e); /* tells the workspace which to keep, when that has changed */
cJSON *watcher_listener(const struct seen *s);
void watcher_free_seen(struct seen *list, size_t n);

#endif
