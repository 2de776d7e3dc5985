#include "agent/idle_agent.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/idle/facts.h"
#include "agent/internal.h"
#include "agent/stream/sessions.h"
#include "agent/stream/stream.h"
#include "agent/view.h"
#include "agent/watch/watchers.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "lua/lua.h"
#include "ops/fleet.h"
#include "ops/hub.h"
#include "ops/ops.h"
#include "policy/policy.h"

enum { STOP_GRACE_MS = 3000, GATHER_MS = 300 };
#define FILES_MASK \
	(IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | \
	 IN_MOVE_SELF)

/* What is open in a workspace. */
struct use {
	struct use *next;
	char *name;
	int n[3]; /* by enum stream_use */
};

struct idle_agent {
	struct agent *a;
	struct idle *idle;
	struct hub_sub *sub;
	int wake_fd, files_fd; /* files_fd: inotify of the folders that hooks come from, -1: not to be had */
	atomic_bool stop, hooked;
	bool running;
	pthread_t thread;
	pthread_mutex_t lock; /* of the next lines */
	pthread_cond_t changed;
	bool ended; /* the thread */
	struct use *uses;
};

/* --- what the scheduler asks for --- */

static int64_t mono(void *ctx)
{
	return clock_mono_ms();
}

static int64_t wall_s(void *ctx)
{
	return clock_ms() / 1000;
}

/* How many operations are under way on it; ends: one of them ends its life. */
static int operations_of(struct agent *a, const char *ws, bool *ends)
{
	cleanup_json cJSON *running = ops_running(a->ops);
	const cJSON *op;
	int n = 0;
	*ends = false;
	cJSON_ArrayForEach(op, running) {
		if (!str_eq(json_str(op, "workspace"), ws))
			continue;
		*ends |= op_kind_find(json_str(op, "kind"))->cancels;
		n++;
	}
	return n;
}

static bool look(void *ctx, const char *ws, struct idle_subject *out)
{
	struct idle_agent *ia = ctx;
	cleanup_json cJSON *record = NULL;
	bool ends;
	if (fleet_get(ia->a->fleet, ws, &record, NULL) < 0 || !workspace_is_running(record))
		return false;
	/* Should that fail, the end of the operation is news again. */
	operations_of(ia->a, ws, &ends);
	if (ends)
		return false;
	*out = (struct idle_subject){ .ttl = json_int_or(record, "ttl", 0),
				      .ttl_from = json_int_or(record, "ttlFrom", 0) };
	out->ttl_left_ms = out->ttl_from + out->ttl * 1000 - clock_ms();
	/* A ttl counts from the end of the start. */
	if (!out->ttl_from)
		out->ttl = 0;
	snprintf(out->life, sizeof out->life, "%.40s %.40s", json_str_or(record, "container.id", ""),
		 json_str_or(record, "container.started", ""));
	return true;
}

static bool hooked(void *ctx)
{
	struct idle_agent *ia = ctx;
	return atomic_load(&ia->hooked);
}

static cJSON *sample(void *ctx, const char *ws)
{
	struct idle_agent *ia = ctx;
	return watchers_sample(ia->a->watchers, ws);
}

static cJSON *own(void *ctx, const char *ws)
{
	static const char *const keys[] = { "streams", "execs", "terminals" };
	struct idle_agent *ia = ctx;
	cJSON *out = cJSON_CreateObject();
	cleanup_json cJSON *record = NULL;
	bool ends;
	pthread_mutex_lock(&ia->lock);
	for (const struct use *u = ia->uses; u; u = u->next)
		for (size_t k = 0; k < ARRAY_LEN(keys) && strcmp(u->name, ws) == 0; k++)
			json_set_int(out, keys[k], u->n[k]);
	pthread_mutex_unlock(&ia->lock);
	cleanup_json cJSON *list = sessions_look(ia->a->streams, ws);
	const cJSON *one;
	int busy = 0;
	cJSON_ArrayForEach(one, list)
		busy += json_bool_or(one, "busy", false);
	json_set_int(out, "sessions", cJSON_GetArraySize(list));
	json_set_int(out, "busySessions", busy);
	json_set_int(out, "operations", operations_of(ia->a, ws, &ends));
	if (fleet_get(ia->a->fleet, ws, &record, NULL) == 0)
		json_set_int(out, "used", json_int_or(record, "lastUsed", 0));
	return out;
}

static int ask(void *ctx, const char *ws, const cJSON *activity, struct idle_answer *out, struct perry_err **err)
{
	struct idle_agent *ia = ctx;
	cleanup_json cJSON *answer = NULL;
	if (lua_host_idle(ia->a->lua, ws, activity, &answer, err) < 0)
		return -1;
	out->stop = strcmp(json_str_or(answer, "action", ""), "stop") == 0;
	out->reason = xstrdup(json_str(answer, "reason"));
	out->next = json_num_or(answer, "next", -1);
	return 0;
}

static void publish(struct idle_agent *ia, const char *ws, const char *state, const char *key, const char *text)
{
	cJSON *ev = cJSON_CreateObject();
	json_set_str(ev, "kind", "idle");
	json_set_str(ev, "workspace", ws);
	json_set_str(ev, "state", state);
	json_set_str(ev, key, text);
	hub_publish(ia->a->hub, ev, 1);
}

static int stop(void *ctx, const char *ws, const char *reason, struct perry_err **err)
{
	struct idle_agent *ia = ctx;
	cleanup_json cJSON *input = cJSON_CreateObject(), *caller = cJSON_CreateObject();
	struct op *op = NULL;
	if (atomic_load(&ia->stop))
		return perry_fail(err, PERRY_EUNAVAILABLE, "the agent is stopping");
	json_set_str(input, "reason", reason);
	json_set_str(caller, "kind", "policy");
	if (ops_submit(ia->a->ops, "stop", ws, input, caller, &op, err) < 0)
		return -1;
	op_unref(op);
	log_info("idle", "stopping %s: %s", ws, reason);
	publish(ia, ws, "stopping", "reason", reason);
	streams_close_workspace(ia->a->streams, ws, 1001, "Workspace stopped");
	return 0;
}

static void warn(void *ctx, const char *ws, int64_t ttl, int64_t left_ms)
{
	struct idle_agent *ia = ctx;
	char left[32], whole[32];
	clock_age(left_ms, left);
	clock_age(ttl * 1000, whole);
	cleanup_free char *text = xasprintf(
		"its time of %s is over in %s; perry start %s --ttl gives it more, --ttl 0 keeps it", whole, left, ws);
	publish(ia, ws, "warning", "message", text);
}

static void wake(void *ctx)
{
	struct idle_agent *ia = ctx;
	uint64_t one = 1;
	if (write(ia->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		abort(); /* an eventfd does not fail otherwise */
}

/* --- news --- */

void idle_agent_open_in(struct idle_agent *ia, const char *ws, enum stream_use use, int change)
{
	static const enum idle_kind kinds[] = { IDLE_STREAM, IDLE_EXEC, IDLE_TERMINAL };
	if (!ia || strcmp(ws, STREAM_HOST) == 0)
		return;
	pthread_mutex_lock(&ia->lock);
	struct use **at = &ia->uses;
	while (*at && strcmp((*at)->name, ws) != 0)
		at = &(*at)->next;
	if (!*at) {
		*at = xcalloc(1, sizeof **at);
		(*at)->name = xstrdup(ws);
	}
	struct use *u = *at;
	u->n[use] += change;
	if (!u->n[0] && !u->n[1] && !u->n[2]) {
		*at = u->next;
		free(u->name);
		free(u);
	}
	pthread_mutex_unlock(&ia->lock);
	idle_note(ia->idle, ws, kinds[use]);
}

/* Under the hub's lock. */
static void on_event(void *ctx, const cJSON *ev)
{
	struct idle_agent *ia = ctx;
	const char *kind = json_str_or(ev, "kind", ""), *ws = json_str(ev, "workspace"),
		   *caller = json_str_or(ev, "caller.kind", "");
	if (!ws)
		return;
	if (strcmp(kind, "state") == 0) {
		idle_started(ia->idle, ws);
	} else if (strcmp(kind, "port") == 0) {
		idle_note(ia->idle, ws, IDLE_N_KINDS);
	} else if (strcmp(kind, "operation") == 0) {
		/* A start that changed the ttl of one that runs changes no status. */
		idle_started(ia->idle, ws);
		if (strcmp(caller, "agent") != 0 && strcmp(caller, "policy") != 0)
			idle_note(ia->idle, ws, IDLE_OPERATION);
	}
}

/* --- is there a hook? --- */

/* The folder, or what there is of the way to it: then its making is seen. */
static void follow(struct idle_agent *ia, const char *dir)
{
	char path[PATH_MAX];
	if (ia->files_fd < 0 || !dir || (size_t)snprintf(path, sizeof path, "%s", dir) >= sizeof path)
		return;
	while (inotify_add_watch(ia->files_fd, path, FILES_MASK | IN_ONLYDIR) < 0 &&
	       (errno == ENOENT || errno == ENOTDIR)) {
		char *slash = strrchr(path, '/');
		if (!slash || slash == path)
			return;
		*slash = 0;
	}
}

/* Reads which hooks there are. What changes from now on wakes the thread again. */
static void read_hooks(struct idle_agent *ia)
{
	if (ia->files_fd >= 0)
		close(ia->files_fd);
	ia->files_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	follow(ia, ia->a->dir); /* config.json names the packs */
	struct lua_hooks *s = lua_hooks_open(ia->a->lua);
	const struct policy_setup *setup = lua_hooks_setup(s);
	for (size_t i = 0; i < setup->nlayers; i++)
		follow(ia, setup->layers[i].dir);
	cleanup_json cJSON *inventory = lua_hooks_inventory(s);
	lua_hooks_close(s);
	bool before = atomic_exchange(&ia->hooked, policy_others_have(inventory, "idle"));
	if (before || atomic_load(&ia->hooked))
		idle_changed(ia->idle);
}

/* In the agent's own folder the database and its like come and go; nobody is to wake for those. */
static bool is_ours(const char *name)
{
	static const char *const known[] = { "config.json", "hooks.lock", "hooks", "packs" };
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(name, known[i]) == 0)
			return true;
	return str_ends(name, ".lua") || !strchr(name, '.');
}

/* True: some file that may matter has changed. */
static bool files_changed(struct idle_agent *ia)
{
	char bytes[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool changed = false;
	ssize_t n;
	while ((n = read(ia->files_fd, bytes, sizeof bytes)) > 0) {
		const struct inotify_event *ev;
		for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof *ev + ev->len)) {
			ev = (const void *)(bytes + at);
			changed |= !ev->len || is_ours(ev->name);
		}
	}
	return changed;
}

/* --- the thread --- */

static void *run(void *arg)
{
	struct idle_agent *ia = arg;
	read_hooks(ia);
	while (!atomic_load(&ia->stop)) {
		int64_t due = idle_run(ia->idle), left = due - clock_mono_ms();
		int wait = due == INT64_MAX ? -1 : left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
		struct pollfd fds[] = { { .fd = ia->wake_fd, .events = POLLIN },
					{ .fd = ia->files_fd, .events = POLLIN } };
		uint64_t count;
		if (poll(fds, 2, wait) <= 0)
			continue;
		if (fds[0].revents && read(ia->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
			abort();
		if (fds[1].revents && files_changed(ia)) {
			poll(fds, 1, GATHER_MS); /* an editor and a git checkout do more than one thing */
			read_hooks(ia);
		}
	}
	pthread_mutex_lock(&ia->lock);
	ia->ended = true;
	pthread_cond_signal(&ia->changed);
	pthread_mutex_unlock(&ia->lock);
	return NULL;
}

static void look_at_all(struct idle_agent *ia)
{
	cleanup_json cJSON *records = fleet_list(ia->a->fleet);
	const cJSON *record;
	cJSON_ArrayForEach(record, records)
		idle_started(ia->idle, json_str_or(record, "name", ""));
}

int idle_agent_open(struct agent *a, struct perry_err **err)
{
	static const struct idle_ops ops = { mono, wall_s, look, hooked, sample, own, ask, stop, warn, wake };
	struct idle_agent *ia = xcalloc(1, sizeof *ia);
	ia->a = a;
	ia->files_fd = -1;
	pthread_mutex_init(&ia->lock, NULL);
	clock_cond_init(&ia->changed);
	ia->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ia->idle = idle_new(&ops, ia);
	int rc = ia->wake_fd < 0 ? errno : 0;
	if (!rc) {
		ia->sub = hub_subscribe(a->hub, NULL, on_event, ia);
		look_at_all(ia);
		rc = pthread_create(&ia->thread, NULL, run, ia);
	}
	ia->running = !rc;
	if (rc) {
		idle_agent_stop(ia);
		idle_agent_free(ia);
		return perry_fail_errno(err, rc, "cannot start the thread of the idle hook");
	}
	a->idle = ia;
	return 0;
}

int idle_agent_stop(struct idle_agent *ia)
{
	if (!ia)
		return 0;
	atomic_store(&ia->stop, true);
	hub_unsubscribe(take_ptr(ia->sub));
	if (!ia->running)
		return 0;
	wake(ia);
	struct timespec until = clock_deadline(STOP_GRACE_MS);
	pthread_mutex_lock(&ia->lock);
	while (!ia->ended && pthread_cond_timedwait(&ia->changed, &ia->lock, &until) != ETIMEDOUT)
		;
	bool ended = ia->ended;
	pthread_mutex_unlock(&ia->lock);
	if (!ended)
		return 1;
	pthread_join(ia->thread, NULL);
	ia->running = false;
	return 0;
}

void idle_agent_free(struct idle_agent *ia)
{
	if (!ia)
		return;
	idle_free(ia->idle);
	while (ia->uses) {
		struct use *u = ia->uses;
		ia->uses = u->next;
		free(u->name);
		free(u);
	}
	if (ia->wake_fd >= 0)
		close(ia->wake_fd);
	if (ia->files_fd >= 0)
		close(ia->files_fd);
	pthread_mutex_destroy(&ia->lock);
	pthread_cond_destroy(&ia->changed);
	free(ia);
}
