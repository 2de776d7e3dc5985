/* What the files of the agent share. */
#ifndef PERRY_AGENT_INTERNAL_H
#define PERRY_AGENT_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "agent/who/auth.h"
#include "agent/jobs.h"
#include "agent/stream/stream.h"
#include "base/json.h"
#include "config/config.h"
#include "docker/docker.h"
#include "net/server.h"
#include "ops/fleet.h"
#include "ops/hub.h"
#include "ops/ops.h"
#include "policy/policy.h"
#include "store/store.h"

struct calls;
struct lua_host;
struct watchers;
struct idle_agent;
struct tailnet;
struct identity;
struct decisions;

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
	struct watchers *watchers;
	struct idle_agent *idle;
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

/* operations.c: the Lua host and the operations over it. */
int agent_open_operations(struct agent *a, struct perry_err **err);
void agent_close_operations(struct agent *a);
char *agent_step_path(void); /* perry-step, which workspaces get; caller frees */
char *agent_tailscale_dir(
	void); /* where their tailscale and tailscaled are, PERRY_TAILSCALE_DIR or beside perry-step; caller frees */
/* May this be done (kind: "exec", "shell")? Asks the admit hook. */
int agent_admit(struct agent *a, const char *kind, const char *workspace, const cJSON *caller, struct perry_err **err);
/* The plan that an operation would have; touches nothing. */
int agent_plan(struct agent *a, const char *kind, const char *workspace, const cJSON *request, const cJSON *caller,
	       cJSON **plan, struct perry_err **err);

/* routes.c: the server's handler. */
void agent_handle(void *agent, struct server_req *r);
void auth_request_of(const struct server_req *r, struct auth_request *out);
/* Does it bring a token, a session or a ticket, or come from our own user? */
bool agent_shows_pass(struct agent *a, struct server_req *r, const struct auth_request *who, struct caller *c);
void agent_handle_known(struct agent *a, struct server_req *r, const struct caller *c);
/* The same, with the rights that the authorize hooks leave to who showed a pass or is our own user. */
void agent_handle_limited(struct agent *a, struct server_req *r, const struct caller *c);

/* http/tailnet_routes.c: a request of the tailnet's that is not for everybody. */
void tailnet_handle(struct agent *a, struct server_req *r);

/* rpc.c: POST /rpc/<procedure>. */
void rpc_handle(struct agent *a, struct server_req *r, const struct caller *c);

/* calls.c: calls that wait for an answer. */
struct calls *calls_new(void);
void calls_free(struct calls *c);
int calls_pending(struct calls *c);
/* Answers all of them with 503 and sets their cancel flags. */
void calls_shutdown(struct agent *a);

/* events.c, metrics.c, openapi.c, page.c, login.c */
void events_handle(struct agent *a, struct server_req *r);
void metrics_handle(struct agent *a, struct server_req *r);
void openapi_handle(struct agent *a, struct server_req *r);
bool page_handle(struct agent *a, struct server_req *r); /* false: there is no such file */
void login_handle(struct agent *a, struct server_req *r);
void websocket_terminal(struct agent *a, struct server_req *r, const struct caller *c);
void websocket_stream(struct agent *a, struct server_req *r, const struct caller *c);

/* view.c: a workspace as the API shows it. details: with "startup" and the rest of list and get. */
cJSON *workspace_view(const cJSON *record, bool details);
/* The same as text, malloc's: the fleet keeps it until the record changes. */
char *workspace_view_text(const cJSON *record);
int workspace_get_view(struct agent *a, const char *name, bool details, cJSON **out, struct perry_err **err);
bool workspace_is_running(const cJSON *record);

/* trim.c: gives back what an idle agent does not need. */
void agent_trim(void);

/* lock.c: one agent per folder. */
int lock_take(const char *dir, int *fd, struct perry_err **err); /* PERRY_ECONFLICT names the holder */
int lock_note(int fd, uint16_t port, struct perry_err **err);
/* "node (pid 123)" of who listens on a TCP port, or NULL. Caller frees. */
char *port_holder(uint16_t port);

#endif
