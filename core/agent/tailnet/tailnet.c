/* Looks at tailscaled whenever it says something, publishes the agent accordingly, and tells. One thread does all of
 * it, so that it cannot race itself; the connection is another thread's (follow.c). */
#include "agent/tailnet/tailnet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "agent/config.h"
#include "agent/internal.h"
#include "agent/tailnet/follow.h"
#include "agent/tailnet/priv.h"
#include "agent/tailnet/publish.h"
#include "agent/tailnet/say.h"
#include "agent/who/auth.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/paths.h"
#include "base/process.h"
#include "net/server.h"
#include "tailscale/local.h"

enum {
	FIRST_RETRY_MS = 250,
	LAST_RETRY_MS = 30000,
	DOUBT_MS = 1000,  /* so long a broken connection is only being made anew */
	AGAIN_MS = 60000, /* is what we published still there? */
};

/* --- what tailscaled says --- */

static bool is_installed(void)
{
	const char *ours = getenv("PATH");
	/* It is mostly in an sbin, which a user's PATH may lack. */
	cleanup_free char *path = xasprintf("%s:/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin", ours ? ours : "");
	cleanup_free char *program = process_find("tailscaled", path);
	return program;
}

static enum reach reach_of(const char *state)
{
	static const struct {
		const char *state;
		enum reach reach;
	} known[] = {
		{ "Running", REACH_RUNNING },           { "NeedsLogin", REACH_LOGGED_OUT },
		{ "Stopped", REACH_STOPPED },           { "NeedsMachineAuth", REACH_NOT_APPROVED },
		{ "InUseOtherUser", REACH_LOGGED_OUT },
	};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(known[i].state, state) == 0)
			return known[i].reach;
	return REACH_UNKNOWN; /* NoState, Starting: it says more in a moment */
}

static void read_status(const cJSON *status, struct tailnet_node *n)
{
	const cJSON *self = json_at(status, "Self"), *ip;
	const cJSON *caps = cJSON_GetObjectItemCaseSensitive(self, "CapMap");
	char user[24];
	snprintf(n->id, sizeof n->id, "%s", json_str_or(self, "ID", ""));
	snprintf(n->name, sizeof n->name, "%s", json_str_or(self, "DNSName", ""));
	if (str_ends(n->name, "."))
		n->name[strlen(n->name) - 1] = 0;
	n->tagged = cJSON_GetArraySize(json_at(self, "Tags")) > 0;
	n->userspace = !json_bool_or(status, "TUN", true);
	/* Neither alone: the tailnet may have certificates without this node, and the other way about. */
	n->https = cJSON_GetObjectItemCaseSensitive(caps, "https") &&
		   json_list_has(json_at(status, "CertDomains"), n->name);
	snprintf(user, sizeof user, "%lld", (long long)json_int_or(self, "UserID", 0));
	const cJSON *profile = cJSON_GetObjectItemCaseSensitive(json_at(status, "User"), user);
	snprintf(n->login, sizeof n->login, "%s", n->tagged ? "" : json_str_or(profile, "LoginName", ""));
	n->nips = 0;
	cJSON_ArrayForEach(ip, json_at(status, "TailscaleIPs"))
		if (cJSON_IsString(ip) && n->nips < (int)ARRAY_LEN(n->ips) &&
		    strlen(ip->valuestring) < sizeof n->ips[0])
			strcpy(n->ips[n->nips++], ip->valuestring);
}

/* One that does not tell stays what it was. */
static void read_control(struct tailnet *t, struct tailnet_node *n)
{
	cleanup_json cJSON *prefs = NULL;
	if (tslocal_prefs(t->local, &prefs, NULL) < 0)
		return;
	const char *url = json_str_or(prefs, "ControlURL", "");
	snprintf(n->control, sizeof n->control, "%s", control_is_tailscales(url) ? "" : url);
}

/* --- publication --- */

/* Our socket, and what an agent without one publishes. */
static bool is_ours(void *ctx, const char *target)
{
	const struct tailnet *t = ctx;
	long long port;
	if (str_starts(target, "unix:"))
		return strcmp(target + 5, t->serve_path) == 0;
	const char *host = str_starts(target, "http://") ? target + 7 : target, *colon = strchr(host, ':');
	if (!str_starts(host, "127.0.0.1:") && !str_starts(host, "localhost:"))
		return false;
	cleanup_free char *text = xstrndup(colon + 1, strcspn(colon + 1, "/"));
	return str_to_int(text, 1, 65535, &port) == 0 && port == t->a->port;
}

static int open_serve_socket(struct tailnet *t, struct perry_err **err)
{
	int fd = -1;
	if (t->serve_fd >= 0)
		return 0;
	if (listen_unix(t->serve_path, 0600, &fd, err) < 0)
		return -1;
	cleanup_free char *dir = xstrndup(t->serve_path, (size_t)(strrchr(t->serve_path, '/') - t->serve_path));
	struct stat st;
	if (stat(dir, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 077)) {
		close(fd);
		return perry_fail(err, PERRY_EFORBIDDEN, "%s is not ours alone", dir);
	}
	if (server_listen(t->a->server, fd, LISTENER_SERVE, err) < 0)
		return -1;
	t->serve_fd = fd;
	return 0;
}

/* May tailscaled be given our socket? If not, why says it. */
static bool may_use_socket(struct tailnet *t, const struct tailnet_node *n, const char *version, char why[160])
{
	cleanup_err struct perry_err *err = NULL;
	int major = 0, minor = 0;
	if (sscanf(version, "%d.%d", &major, &minor) != 2 || major < 1 || (major == 1 && minor < 94))
		snprintf(why, 160, "tailscaled %.20s cannot use a socket, 1.94 can", version);
	else if (n->daemon_uid != 0 && n->daemon_uid != geteuid())
		snprintf(why, 160, "tailscaled runs as a user that cannot open our socket");
	else if (t->socket_refused)
		snprintf(why, 160, "tailscaled takes a socket from root only");
	else if (open_serve_socket(t, &err) < 0)
		snprintf(why, 160, "%.150s", perry_msg(err));
	else
		return true;
	return false;
}

static void retry(struct tailnet *t)
{
	t->retry_ms = !t->retry_ms ? FIRST_RETRY_MS : t->retry_ms * 2 < LAST_RETRY_MS ? t->retry_ms * 2 : LAST_RETRY_MS;
}

static void withdraw(struct tailnet *t, struct tslocal *local)
{
	cleanup_err struct perry_err *err = NULL;
	if (!t->published)
		return;
	if (publication_withdraw(local, is_ours, t, &err) < 0)
		log_warn("agent", "the publication on the tailnet cannot be taken back: %s", perry_msg(err));
	t->published = false;
}

/* 0, or -1 when what was tried cannot be had; -1 with *refused_socket: but another target may. */
static int publish_to(struct tailnet *t, struct publication *p, struct outcome *o, bool *refused_socket)
{
	cleanup_err struct perry_err *err = NULL;
	bool socket = str_starts(p->target, "unix:");
	*refused_socket = false;
	if (publication_apply(t->local, p, is_ours, t, &o->port, &err) == 0) {
		o->no_port = o->port == 0;
		o->target = o->no_port ? TARGET_NONE : socket ? TARGET_SOCKET : TARGET_LOOPBACK;
		t->published = !o->no_port;
		t->lasting = !p->session;
		return 0;
	}
	if (err->code == PERRY_EFORBIDDEN && err->status == 401 && socket) {
		*refused_socket = true;
	} else if (err->code == PERRY_EFORBIDDEN) {
		o->operator_missing = true;
	} else if (err->code != PERRY_ECANCELLED) {
		snprintf(o->problem, sizeof o->problem, "%.250s", perry_msg(err));
		retry(t);
	}
	return -1;
}

static void publish(struct tailnet *t, const struct tailnet_node *n, const char *version, const char *session,
		    struct outcome *o)
{
	bool refused;
	cleanup_free char *unix_target = xasprintf("unix:%s", t->serve_path),
			  *loopback = xasprintf("http://127.0.0.1:%u", t->a->port);
	struct publication p = {
		.name = n->name, .https = n->https, .session = *session ? session : NULL, .target = unix_target
	};
	if (!*n->name) {
		snprintf(o->problem, sizeof o->problem,
			 "this machine has no name on the tailnet (is MagicDNS enabled?)");
		return;
	}
	if (may_use_socket(t, n, version, o->why_loopback)) {
		if (publish_to(t, &p, o, &refused) == 0 || !refused)
			return;
		t->socket_refused = true;
		may_use_socket(t, n, version, o->why_loopback);
	}
	struct config *c = agent_config(t->a);
	const char *token = config_str(c, "auth.token");
	o->no_token = !token || !*token;
	config_unref(c);
	p.target = loopback;
	if (o->no_token)
		withdraw(t, t->local);
	else
		publish_to(t, &p, o, &refused);
}

/* --- the tailnet's addresses, where there is no HTTPS --- */

static void close_listener(struct tailnet *t, int i)
{
	server_unlisten(t->a->server, t->listeners[i].fd);
	t->listeners[i] = t->listeners[--t->nlisteners];
}

static bool wanted(const struct tailnet_node *n, const char *ip)
{
	for (int i = 0; i < n->nips; i++)
		if (strcmp(n->ips[i], ip) == 0)
			return true;
	return false;
}

static void listen_on(struct tailnet *t, const char *ip)
{
	cleanup_err struct perry_err *err = NULL;
	int fd = -1;
	uint16_t bound;
	for (int i = 0; i < t->nlisteners; i++)
		if (strcmp(t->listeners[i].ip, ip) == 0)
			return;
	if (t->nlisteners == (int)ARRAY_LEN(t->listeners))
		return;
	if (listen_tcp(ip, t->a->port, &fd, &bound, &err) < 0 ||
	    server_listen(t->a->server, fd, LISTENER_TAILNET, &err) < 0) {
		/* The address comes a moment after the word of it; a port that "bind" has already answers there. */
		if (err->code != PERRY_ECONFLICT)
			retry(t);
		return;
	}
	strcpy(t->listeners[t->nlisteners].ip, ip);
	t->listeners[t->nlisteners++].fd = fd;
}

/* n NULL: on none. */
static void listen_there(struct tailnet *t, const struct tailnet_node *n)
{
	for (int i = t->nlisteners; i-- > 0;)
		if (!n || !wanted(n, t->listeners[i].ip))
			close_listener(t, i);
	for (int i = 0; n && i < n->nips; i++)
		listen_on(t, n->ips[i]);
}

/* --- telling --- */

static void say(const char *lines)
{
	cleanup_free char *copy = xstrdup(lines);
	char *save = NULL;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		log_say("agent", "%s", line);
}

/* Under the lock. Only what is new: running says that it has come back, not that it never left. */
static void tell(struct tailnet *t, bool start)
{
	cleanup_buf struct buf before = { 0 }, after = { 0 };
	outcome_lines(&t->node, &t->outcome, t->a->port, &before, &after);
	cleanup_free char *all = xasprintf("%s%s", buf_str(&before), buf_str(&after));
	bool news = *all && !str_eq(all, t->said);
	if (news) {
		free(t->said);
		t->said = xstrdup(all);
	}
	if (t->a->quiet)
		return;
	if (news)
		say(buf_str(&before));
	if (start)
		log_say("agent", "Agent running at http://localhost:%u", t->a->port);
	if (news)
		say(buf_str(&after));
}

/* --- the worker --- */

static void tell_auth(struct tailnet *t, const struct tailnet_node *n)
{
	cleanup_json cJSON *names = cJSON_CreateArray();
	cleanup_free char *label = xstrndup(n->name, strcspn(n->name, "."));
	json_push_str(names, n->name);
	json_push_str(names, label);
	for (int i = 0; i < n->nips; i++) {
		cleanup_free char *ip = xasprintf(strchr(n->ips[i], ':') ? "[%s]" : "%s", n->ips[i]);
		json_push_str(names, ip);
	}
	auth_set_tailnet_names(t->a->auth, names);
}

/* There is no connection: why? Under the lock. */
static void look_at_loss(struct tailnet *t, struct outcome *o)
{
	const char *why = perry_msg(t->lost);
	if (str_starts(why, "tailscaled does not answer")) {
		bool there = access(tslocal_socket(t->local), F_OK) == 0 || is_installed();
		o->reach = there ? REACH_NOT_RUNNING : REACH_NOT_INSTALLED;
		if (!str_ends(why, strerror(ENOENT)) && !str_ends(why, strerror(ECONNREFUSED)))
			snprintf(o->problem, sizeof o->problem, "%.250s", why);
	} else if (clock_mono_ms() - t->lost_at < DOUBT_MS) {
		t->retry_ms = DOUBT_MS;
	} else {
		o->reach = REACH_NOT_RUNNING;
		snprintf(o->problem, sizeof o->problem, "%.250s", why);
	}
}

static void look_at_status(struct tailnet *t, const char *session, bool serving, struct tailnet_node *n,
			   struct outcome *o)
{
	cleanup_json cJSON *status = NULL;
	cleanup_err struct perry_err *err = NULL;
	struct config *c = agent_config(t->a);
	o->off = !config_bool(c, "tailscale.serve");
	config_unref(c);
	if (tslocal_uid(t->local, &n->daemon_uid, &err) < 0 || tslocal_status(t->local, false, &status, &err) < 0) {
		if (err->code == PERRY_ECANCELLED)
			return;
		o->reach = REACH_NOT_RUNNING;
		snprintf(o->problem, sizeof o->problem, "%.250s", perry_msg(err));
		retry(t);
		return;
	}
	o->reach = reach_of(json_str_or(status, "BackendState", ""));
	read_status(status, n);
	read_control(t, n);
	n->running = o->reach == REACH_RUNNING;
	tell_auth(t, n);
	if (!n->running || !serving)
		return;
	if (o->off)
		withdraw(t, t->local);
	else
		publish(t, n, json_str_or(status, "Version", ""), session, o);
	listen_there(t, o->off || n->https || n->userspace ? NULL : n);
	o->listening = t->nlisteners > 0;
}

static void look(struct tailnet *t)
{
	struct tailnet_node n;
	struct outcome o = { 0 };
	char session[64];
	int retried = t->retry_ms;
	pthread_mutex_lock(&t->lock);
	bool connected = t->connected, serving = t->serving, new_session = strcmp(t->session, t->seen_session) != 0;
	snprintf(session, sizeof session, "%s", t->session);
	n = t->node;
	if (!connected && t->lost)
		look_at_loss(t, &o);
	pthread_mutex_unlock(&t->lock);
	if (new_session) {
		strcpy(t->seen_session, session);
		t->socket_refused = false;
		retried = t->retry_ms = 0;
	}
	if (connected)
		look_at_status(t, session, serving, &n, &o);
	if (o.reach != REACH_RUNNING)
		n.running = false;
	if (o.reach != REACH_RUNNING && o.reach != REACH_UNKNOWN && serving)
		listen_there(t, NULL);
	if (t->retry_ms == retried)
		t->retry_ms = 0; /* nothing asked for another try */
	pthread_mutex_lock(&t->lock);
	n.epoch = t->node.epoch + 1;
	t->node = n;
	t->outcome = o;
	t->settled = o.reach != REACH_UNKNOWN && (o.reach != REACH_RUNNING || serving);
	if (t->settled && t->announced)
		tell(t, false);
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

static void *worker_main(void *arg)
{
	struct tailnet *t = arg;
	pthread_mutex_lock(&t->lock);
	while (!atomic_load(&t->stop)) {
		if (!t->dirty) {
			int ms = t->retry_ms ? t->retry_ms : t->published ? AGAIN_MS : 0;
			struct timespec until = clock_deadline(ms);
			if (!ms)
				pthread_cond_wait(&t->changed, &t->lock);
			else if (pthread_cond_timedwait(&t->changed, &t->lock, &until) == ETIMEDOUT)
				t->dirty = true;
			continue;
		}
		t->dirty = false;
		pthread_mutex_unlock(&t->lock);
		look(t);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* --- for the rest of the agent --- */

static void config_changed(void *tailnet, const struct config *before, const struct config *now)
{
	struct tailnet *t = tailnet;
	pthread_mutex_lock(&t->lock);
	t->dirty = true;
	t->node.epoch++;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

struct tailnet *tailnet_open(struct agent *a)
{
	struct tailnet *t = xcalloc(1, sizeof *t);
	cleanup_err struct perry_err *err = NULL;
	cleanup_free char *agent_socket = path_agent_socket(a->dir);
	const char *env = getenv("PERRY_TAILSCALED_SOCKET");
	struct config *c = agent_config(a);
	t->a = a;
	t->serve_fd = -1;
	t->serve_path =
		xasprintf("%.*s/serve/agent.sock", (int)(strrchr(agent_socket, '/') - agent_socket), agent_socket);
	t->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	atomic_init(&t->stop, false);
	pthread_mutex_init(&t->lock, NULL);
	clock_cond_init(&t->changed);
	agent_config_on_change(a, config_changed, t);
	if (tslocal_open(&t->local, env && *env ? env : config_str(c, "tailscale.socket"), &err) < 0)
		log_error("agent", "Tailscale: %s", perry_msg(err));
	config_unref(c);
	if (!t->local)
		return t;
	tslocal_stop_by(t->local, &t->stop, t->stop_fd);
	t->running = pthread_create(&t->worker, NULL, worker_main, t) == 0;
	if (t->running && pthread_create(&t->watcher, NULL, tailnet_follow_main, t) != 0)
		tailnet_stop(t);
	return t;
}

void tailnet_announce(struct tailnet *t, int wait_ms)
{
	struct timespec until = clock_deadline(wait_ms);
	pthread_mutex_lock(&t->lock);
	t->serving = t->dirty = true;
	t->settled = t->settled && t->outcome.reach != REACH_RUNNING;
	pthread_cond_broadcast(&t->changed);
	while (!t->settled && t->running && pthread_cond_timedwait(&t->changed, &t->lock, &until) == 0)
		;
	t->announced = true;
	if (!t->settled)
		t->outcome.reach = REACH_UNKNOWN; /* said when it is known */
	tell(t, true);
	pthread_mutex_unlock(&t->lock);
}

void tailnet_node(struct tailnet *t, struct tailnet_node *out)
{
	pthread_mutex_lock(&t->lock);
	*out = t->node;
	pthread_mutex_unlock(&t->lock);
}

struct tslocal *tailnet_local(struct tailnet *t)
{
	return t->local;
}

void tailnet_stop(struct tailnet *t)
{
	if (!t || !t->running)
		return;
	pthread_mutex_lock(&t->lock);
	atomic_store(&t->stop, true);
	eventfd_write(t->stop_fd, 1);
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	if (t->watcher)
		pthread_join(t->watcher, NULL); /* its session, and what is bound to it, ends */
	pthread_join(t->worker, NULL);
	t->running = false;
	struct tslocal *last = NULL;
	if (t->published && t->lasting && tslocal_open(&last, tslocal_socket(t->local), NULL) == 0)
		withdraw(t, last);
	tslocal_close(last);
	unlink(t->serve_path);
	*strrchr(t->serve_path, '/') = 0;
	rmdir(t->serve_path);
}

void tailnet_free(struct tailnet *t)
{
	if (!t)
		return;
	tslocal_close(t->local);
	perry_err_free(t->lost);
	free(t->serve_path);
	free(t->said);
	if (t->stop_fd >= 0)
		close(t->stop_fd);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

cJSON *tailnet_info(struct tailnet *t)
{
	static const char *const states[] = {
		[REACH_UNKNOWN] = "starting",        [REACH_NOT_INSTALLED] = "not installed",
		[REACH_NOT_RUNNING] = "not running", [REACH_LOGGED_OUT] = "logged out",
		[REACH_STOPPED] = "stopped",         [REACH_NOT_APPROVED] = "not approved",
		[REACH_RUNNING] = "running"
	};
	cJSON *j = cJSON_CreateObject();
	char url[300];
	const char *mend, *problem;
	pthread_mutex_lock(&t->lock);
	const struct tailnet_node *n = &t->node;
	const struct outcome *o = &t->outcome;
	bool up = o->reach == REACH_RUNNING;
	json_set_bool(j, "running", up);
	json_set_str(j, "state", states[o->reach]);
	if (up) {
		json_set_str(j, "dnsName", n->name);
		json_set_str(j, "user", n->tagged ? "tagged device" : n->login);
		json_set_bool(j, "https", n->https);
	}
	json_set_bool(j, "serveActive", o->target != TARGET_NONE);
	outcome_url(n, o, url);
	if (up && *url)
		json_set_str(j, n->https ? "httpsUrl" : "url", url);
	else if (up && o->listening) {
		snprintf(url, sizeof url, "http://%s:%u", n->name, t->a->port);
		json_set_str(j, "url", url);
	}
	if (o->target != TARGET_NONE)
		json_set_str(j, "signIn", o->target == TARGET_SOCKET ? "identity" : "token");
	json_set_bool(j, "userspace", n->userspace);
	problem = outcome_problem(n, o, &mend);
	json_set_str(j, "problem", problem);
	json_set_str(j, "mend", mend);
	pthread_mutex_unlock(&t->lock);
	return j;
}
