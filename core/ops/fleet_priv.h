/* Inside of the fleet: the table (fleet.c) and the thread that follows the engine (fleet_follow.c). */
#ifndef PERRY_OPS_FLEET_PRIV_H
#define PERRY_OPS_FLEET_PRIV_H
#include <pthread.h>
#include <stdbool.h>

#include "docker/docker.h"
#include "ops/fleet.h"

struct entry {
	char *name;
	cJSON *record, *startup;
	cJSON *container; /* NULL: none */
	char *gone;       /* id of the container that was here and was removed: late news of it are ignored */
	char *text;       /* as rendered, NULL when it has to be made anew */
	struct entry *next;
};

/* A container whose state the engine did not tell at once: it hangs over it. */
struct late {
	struct late *next;
	char *id;
};

/* Ids of deleted workspaces, so that a late copy of their record does not bring them back. */
#define FLEET_DELETED 64

struct fleet {
	struct store *store;
	struct docker *docker;
	struct hub *hub;
	pthread_t thread;
	struct docker_cancel cancel; /* of the event stream */
	pthread_t later;             /* the thread for what the engine is slow to tell of */
	struct docker_cancel end;    /* of its calls */
	pthread_mutex_t lock;        /* of all below */
	pthread_cond_t changed;
	struct entry *entries; /* by creation */
	char *(*render)(const cJSON *record);
	char *(*more)(void *ctx, const cJSON *record);
	void *more_ctx;
	char *deleted[FLEET_DELETED];
	unsigned ndeleted;
	bool known;        /* the engine's list was in at least once */
	struct late *late; /* containers that it has to look at, in this order */
	char *looking;     /* the one that it looks at */
	bool up, closing;
	char *error;
};

/* News of the engine about one container, which belongs to the workspace its label names. */
void fleet_news(struct fleet *f, const char *workspace, const char *name, cJSON *take_container);
/* The container with this id is no more. */
void fleet_gone(struct fleet *f, const char *id);
/* The container with this id is off this network. Where it runs and that is its workspace's, it is an event. */
void fleet_off_network(struct fleet *f, const char *id, const char *network);
/* The whole list: containers is [{"workspace","name","container":{...}}]; whoever is not in it has none. */
void fleet_all_news(struct fleet *f, const cJSON *containers);
/* What we keep of an inspection. */
cJSON *fleet_container_of(const cJSON *inspect);
void fleet_engine(struct fleet *f, bool up, const char *error);

/* The state of one container, within timeout_ms (0: the usual). False: not told in that time. */
bool fleet_look(struct fleet *f, const char *id, int timeout_ms, struct docker_cancel *cancel);
/* Later (fleet_later.c): looks that would hold up the news of others. */
int fleet_later_open(struct fleet *f, struct perry_err **err);
void fleet_later_close(struct fleet *f);
void fleet_later(struct fleet *f, const char *id);
bool fleet_is_late(struct fleet *f, const char *id);

int fleet_follow(struct fleet *f, struct perry_err **err);
void fleet_unfollow(struct fleet *f);

#endif
