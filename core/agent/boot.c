/* Starting and ending: every part in its order. After a kill -9 this is also the recovery. */
#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/config.h"
#include "agent/http/gate.h"
#include "agent/idle_agent.h"
#include "agent/internal.h"
#include "agent/jobs.h"
#include "agent/lock.h"
#include "agent/operations.h"
#include "agent/ports.h"
#include "agent/rejoin.h"
#include "agent/routes.h"
#include "agent/rpc/call.h"
#include "agent/stats/stats.h"
#include "agent/stream/stream.h"
#include "agent/streams_agent.h"
#include "agent/tailnet/tailnet.h"
#include "agent/trim.h"
#include "agent/view.h"
#include "agent/watch/watchers.h"
#include "agent/who/auth.h"
#include "agent/who/browsers.h"
#include "agent/who/decisions.h"
#include "agent/who/identity.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/paths.h"
#include "docker/docker.h"
#include "lua/lua.h"
#include "net/server.h"
#include "ops/fleet.h"
#include "ops/hub.h"
#include "ops/ops.h"
#include "policy/policy.h"
#include "store/store.h"

enum {
	MAX_JOBS = 128,
	MAX_LISTENERS = 16,
	OPS_GRACE_MS = 4000,
	JOBS_GRACE_MS = 4000,
	END_MS = 4500, /* of all of them, and of what has no limit of its own */
	SERVER_GRACE_MS = 1000,
	TAILNET_WAIT_MS = 50, /* of the start; what Tailscale says later is told later */
};

struct boot {
	struct agent a;
	int lock;
	struct {
		int fd;
		enum listener tag;
	} listeners[MAX_LISTENERS];
	int nlisteners;
	char *socket_path;
};

/* --- listeners --- */

static int port_error(struct perry_err **err, struct perry_err *take_why, const char *addr, uint16_t port)
{
	cleanup_free char *who = port_holder(addr, port);
	if (!who)
		return perry_move(err, take_why);
	perry_err_free(take_why);
	return perry_fail(err, PERRY_ECONFLICT,
			  strchr(addr, ':')
				  ? "[%s]:%u is taken by %s; choose another port with -p or \"port\" in config.json"
				  : "%s:%u is taken by %s; choose another port with -p or \"port\" in config.json",
			  addr, port, who);
}

/* Of Tailscale's ranges. Who calls there is asked of tailscaled; where it knows nothing of the address, a token is, as
 * on others. */
static bool is_tailnet_address(const char *addr)
{
	unsigned char b4[4], b6[16];
	if (inet_pton(AF_INET, addr, b4) == 1)
		return b4[0] == 100 && (b4[1] & 0xc0) == 64;
	return inet_pton(AF_INET6, addr, b6) == 1 && memcmp(b6, "\xfd\x7a\x11\x5c\xa1\xe0", 6) == 0;
}

static bool is_any(const char *addr)
{
	struct in_addr v4;
	struct in6_addr v6;
	return (inet_pton(AF_INET, addr, &v4) == 1 && v4.s_addr == INADDR_ANY) ||
	       (inet_pton(AF_INET6, addr, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6));
}

static int add_tcp(struct boot *b, const char *addr, uint16_t port, struct perry_err **err)
{
	struct perry_err *why = NULL;
	int fd = -1;
	uint16_t bound = port;
	if (b->nlisteners == MAX_LISTENERS)
		return perry_fail(err, PERRY_EINPUT, "config.json: bind: at most %d addresses", MAX_LISTENERS - 3);
	if (listen_tcp(addr, port, &fd, &bound, &why) < 0)
		return why->code == PERRY_ECONFLICT ? port_error(err, why, addr, port) : perry_move(err, why);
	b->listeners[b->nlisteners].fd = fd;
	b->listeners[b->nlisteners++].tag = is_tailnet_address(addr) ? LISTENER_TAILNET : LISTENER_TCP;
	return 0;
}

static int add_socket(struct boot *b, struct perry_err **err)
{
	int fd = -1;
	b->socket_path = path_agent_socket(b->a.dir);
	if (listen_unix(b->socket_path, 0600, &fd, err) < 0)
		return -1;
	b->listeners[b->nlisteners].fd = fd;
	b->listeners[b->nlisteners++].tag = LISTENER_SOCKET;
	return 0;
}

/* Before anything else is opened: a port that is taken is said at once, and a client that is early waits instead of
 * being refused. The tailnet's addresses and the serve socket come with tailscaled (tailnet.c). */
static int open_listeners(struct boot *b, struct perry_err **err)
{
	const cJSON *addr;
	cleanup_err struct perry_err *why = NULL;
	struct agent *a = &b->a;
	if (!a->port)
		a->port = (uint16_t)config_int(a->config, "port");
	if (add_tcp(b, "127.0.0.1", a->port, err) < 0)
		return -1;
	/* A machine without IPv6 does without. But whoever else listens there would be who answers at "localhost", and
	 * be handed what is meant for us. */
	if (add_tcp(b, "::1", a->port, &why) < 0) {
		if (why->code == PERRY_ECONFLICT)
			return perry_move(err, take_ptr(why));
		log_info("agent", "not listening on [::1]: %s", perry_msg(why));
	}
	cJSON_ArrayForEach(addr, config_get(a->config, "bind")) {
		if (is_any(addr->valuestring))
			return perry_fail(
				err, PERRY_EINPUT,
				"config.json: bind: %s is every address of this machine; name those that the agent "
				"should listen on",
				addr->valuestring);
		if (strcmp(addr->valuestring, "127.0.0.1") != 0 && strcmp(addr->valuestring, "::1") != 0 &&
		    add_tcp(b, addr->valuestring, a->port, err) < 0)
			return -1;
	}
	return add_socket(b, err);
}

/* --- parts --- */

static void went_quiet(void *ctx)
{
	struct agent *a = ctx;
	if (a->store && !atomic_load(&a->stopping))
		store_copy(a->store, true);
	agent_trim();
}

static void nothing(void *arg)
{
}

static void keep_browsers(void *ctx)
{
	struct agent *a = ctx;
	jobs_run(a->jobs, browsers_keep, a);
}

static int import_legacy(struct agent *a, struct perry_err **err)
{
	cleanup_free char *path = path_join(a->dir, "state.json");
	int n = 0;
	if (store_import_legacy(a->store, path, &n, err) < 0)
		return perry_wrap(
			err,
			"the state of the original, which is taken over once (moved away, this agent starts without "
			"it; perry adopt --from original finds its workspaces by their containers)");
	if (n)
		log_info("agent", "took over %d workspaces from state.json", n);
	return 0;
}

static int open_server(struct boot *b, struct perry_err **err)
{
	struct agent *a = &b->a;
	if (server_new(&a->server, NULL, routes_handle, a, err) < 0)
		return -1;
	server_set_screen(a->server, gate_screen);
	while (b->nlisteners) {
		int i = --b->nlisteners;
		if (server_listen(a->server, b->listeners[i].fd, (int)b->listeners[i].tag, err) < 0)
			return -1;
	}
	return server_start(a->server, err);
}

static int open_parts(struct boot *b, struct perry_err **err)
{
	struct agent *a = &b->a;
	cleanup_free char *db = path_join(a->dir, "state.db");
	if (store_open(&a->store, db, err) < 0 || import_legacy(a, err) < 0 || docker_open(&a->docker, NULL, err) < 0)
		return -1;
	store_copy(a->store, true);
	a->hub = hub_new(a->store);
	a->calls = calls_new();
	a->jobs = jobs_new(MAX_JOBS, went_quiet, a);
	browsers_restore(a);
	auth_on_change(a->auth, keep_browsers, a);
	if (fleet_open(&a->fleet, a->store, a->docker, a->hub, err) < 0)
		return -1;
	fleet_set_render(a->fleet, workspace_view_text);
	a->stats = stats_new(a->fleet, a->docker, a->hub);
	a->decisions = decisions_new(a);
	a->identity = identity_new(a);
	if (agent_open_operations(a, err) < 0)
		return -1;
	agent_rejoin_open(a);
	if (streams_agent_open(a, err) < 0 || agent_open_watchers(a, err) < 0 || idle_agent_open(a, err) < 0)
		return -1;
	return open_server(b, err);
}

static void bring_back(struct agent *a)
{
	cleanup_err struct perry_err *e = NULL, *why = NULL;
	int n = ops_recover(a->ops, &e);
	if (n < 0)
		log_error("agent", "what was under way cannot be taken up: %s", perry_msg(e));
	else if (n)
		log_info("agent", "taking up %d operations that were under way", n);
	if (lua_host_boot(a->lua, a->ops, &why) < 0)
		log_error("agent", "what should run cannot be started: %s", perry_msg(why));
	jobs_run(a->jobs, nothing, NULL); /* the start is a burst, too */
}

/* --- from end to end --- */

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void wait_for_end(struct agent *a, const sigset_t *set)
{
	for (;;) {
		int sig = sigwaitinfo(set, NULL);
		if (sig == SIGHUP) {
			agent_config_reload(a);
		} else if (sig > 0) {
			log_info("agent", "ending (%s)", sig == SIGINT ? "interrupted" : "terminated");
			return;
		}
	}
}

/* Whoever ends the agent does not wait for the engine. What stays undone is in the journal, as after a kill. */
static void *end_anyway(void *arg)
{
	struct timespec left = { END_MS / 1000, END_MS % 1000 * 1000000 };
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
	log_warn("agent", "ended without what is still waiting for an answer; it goes on at the next start");
	_exit(0);
}

static void begin_the_end(void)
{
	pthread_t t;
	/* Without the thread it may take longer. */
	if (pthread_create(&t, NULL, end_anyway, NULL) == 0)
		pthread_detach(t);
}

/* False: something is still running that uses the parts; they must stay. */
static bool close_parts(struct boot *b)
{
	struct agent *a = &b->a;
	int left = 0;
	atomic_store(&a->stopping, true);
	tailnet_stop(a->tailnet); /* nobody new comes from there */
	if (a->calls)
		calls_shutdown(a);
	left += idle_agent_stop(a->idle);
	if (a->lua)
		lua_host_goodbye(a->lua);
	begin_the_end();
	if (a->lua)
		lua_host_tidy_up(a->lua);
	streams_agent_close(a);
	if (a->watchers)
		watchers_stop(a->watchers);
	if (a->ops)
		left += ops_stop(a->ops, OPS_GRACE_MS); /* those still use all that would be freed */
	if (a->server)
		server_stop(a->server, SERVER_GRACE_MS);
	if (a->jobs)
		left += jobs_stop(a->jobs, JOBS_GRACE_MS);
	if (b->socket_path)
		unlink(b->socket_path);
	while (b->nlisteners)
		close(b->listeners[--b->nlisteners].fd);
	if (left || (a->calls && calls_pending(a->calls))) {
		log_warn("agent", "%d calls do not end; leaving them", left);
		return false;
	}
	stats_free(a->stats);
	identity_free(a->identity);
	decisions_free(a->decisions);
	agent_close_operations(a);
	if (a->fleet)
		fleet_close(a->fleet);
	watchers_free(a->watchers);
	idle_agent_free(a->idle);
	jobs_free(a->jobs);
	calls_free(a->calls);
	hub_free(a->hub);
	streams_free(a->streams);
	if (a->docker)
		docker_close(a->docker);
	if (a->store)
		store_close(a->store);
	return true;
}

static void free_agent(struct boot *b)
{
	struct agent *a = &b->a;
	if (a->policy)
		policy_free(a->policy);
	tailnet_free(a->tailnet);
	config_unref(a->config);
	auth_free(a->auth);
	pthread_mutex_destroy(&a->config_lock);
	free(a->dir);
	free(b->socket_path);
	if (b->lock >= 0)
		close(b->lock);
}

static int start(struct boot *b, const struct agent_options *opts, struct perry_err **err)
{
	struct agent *a = &b->a;
	a->dir = opts->config_dir ? xstrdup(opts->config_dir) : path_config_dir();
	a->port = opts->port;
	a->no_host_access = opts->no_host_access;
	a->quiet = opts->quiet;
	a->auth = auth_new();
	if (gethostname(a->hostname, sizeof a->hostname - 1) != 0)
		strcpy(a->hostname, "localhost");
	if (dir_make(a->dir, 0700, err) < 0 || lock_take(a->dir, &b->lock, err) < 0)
		return -1;
	cleanup_free char *log = path_join(a->dir, "agent.log");
	log_set_file(log);
	if (agent_config_init(a, err) < 0 || open_listeners(b, err) < 0 || lock_note(b->lock, a->port, err) < 0)
		return -1;
	a->tailnet = tailnet_open(a); /* looks while the other parts open */
	if (open_parts(b, err) < 0)
		return -1;
	tailnet_announce(a->tailnet, TAILNET_WAIT_MS);
	log_info("agent", "version %s, port %u, %s", PERRY_VERSION, a->port, a->dir);
	return 0;
}

static int set_log_level(const char *given, struct perry_err **err)
{
	const char *variable = getenv("PERRY_LOG");
	if (given)
		return log_set_level_named(given, err) < 0 ? perry_wrap(err, "--log-level") : 0;
	if (!variable || !*variable)
		return 0;
	return log_set_level_named(variable, err) < 0 ? perry_wrap(err, "PERRY_LOG") : 0;
}

int agent_run(const struct agent_options *opts, struct perry_err **err)
{
	struct boot b = { .lock = -1 };
	sigset_t signals;
	if (set_log_level(opts->log_level, err) < 0)
		return -1;
	mallopt(M_ARENA_MAX, 2);
	/* First of all: the zygote must not see configuration, threads or sockets. */
	if (policy_new(&b.a.policy, err) < 0)
		return -1;
	b.a.started_ms = clock_ms();
	pthread_mutex_init(&b.a.config_lock, NULL);
	block_signals(&signals);
	int rc = start(&b, opts, err);
	if (rc == 0) {
		bring_back(&b.a);
		wait_for_end(&b.a, &signals);
	}
	if (!close_parts(&b))
		_exit(rc == 0 ? 0 : 1);
	free_agent(&b);
	return rc;
}
