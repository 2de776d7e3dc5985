/* The agent: what its parts reach each other by. Nothing else stands here; what a part does is in its own header. */
#ifndef PERRY_AGENT_INTERNAL_H
#define PERRY_AGENT_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct auth;
struct calls;
struct config;
struct decisions;
struct docker;
struct fleet;
struct hub;
struct hub_sub;
struct identity;
struct idle_agent;
struct jobs;
struct lua_host;
struct ops;
struct policy;
struct server;
struct stats;
struct store;
struct streams;
struct tailnet;
struct watchers;

struct agent {
	char *dir;
	bool no_host_access, quiet;
	uint16_t port;
	int64_t started_ms; /* wall clock */
	char hostname[256];

	struct policy *policy;
	struct store *store;
	struct docker *docker;
	struct hub *hub;
	struct fleet *fleet;
	struct lua_host *lua;
	struct ops *ops;
	struct auth *auth;
	struct jobs *jobs;
	struct calls *calls;
	struct streams *streams;
	struct hub_sub *session_states; /* of the streams: which workspaces run */
	struct watchers *watchers;
	struct idle_agent *idle;
	struct stats *stats;
	struct server *server;
	struct tailnet *tailnet;
	struct identity *identity;
	struct decisions *decisions;

	pthread_mutex_t config_lock;
	struct config *config;   /* the newest good snapshot */
	struct stat config_stat; /* of the file it was read from */
	struct {
		void (*fn)(void *ctx, const struct config *before, const struct config *now);
		void *ctx;
	} config_followers[4]; /* who is told of a new one */

	atomic_bool stopping, sync_asked;
	atomic_uint approvals;                            /* grows when a device is approved or forgotten */
	atomic_ullong requests, unauthorized, answers[6]; /* answers by hundreds of the status */
};

#endif
