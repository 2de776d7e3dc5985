/* The table of workspaces. Each change goes through entry_change(), which forgets the rendered text and tells of a
 * changed status. */
#include "ops/fleet.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ops/fleet_priv.h"
#include "ops/hub.h"
#include "store/store.h"

static struct entry *find(struct fleet *f, const char *name)
{
	struct entry *e = f->entries;
	while (e && strcmp(e->name, name) != 0)
		e = e->next;
	return e;
}

static void entry_free(struct entry *e)
{
	cJSON_Delete(e->record);
	cJSON_Delete(e->startup);
	cJSON_Delete(e->container);
	free(e->name);
	free(e->gone);
	free(e->text);
	free(e);
}

static const char *container_status(const struct fleet *f, const struct entry *e, const char *none)
{
	static const char *const running[] = { "running", "paused", "restarting" };
	const char *state = json_str(e->container, "state");
	if (!state)
		return f->known ? none : "unknown";
	for (size_t i = 0; i < ARRAY_LEN(running); i++)
		if (strcmp(state, running[i]) == 0)
			return "running";
	return "stopped";
}

static const char *status_of(const struct fleet *f, const struct entry *e)
{
	const char *state = json_str_or(e->record, "state", "ready");
	if (strcmp(state, "creating") == 0)
		return "creating";
	if (strcmp(state, "error") == 0)
		return "error";
	/* One that never had a container of ours (taken over, adopted) misses none. */
	bool had = *json_str_or(e->record, "containerId", "");
	return container_status(f, e, !had || strcmp(state, "deleting") == 0 ? "stopped" : "missing");
}

static cJSON *view(const struct fleet *f, const struct entry *e)
{
	cJSON *out = cJSON_Duplicate(e->record, 1);
	json_set_str(out, "status", status_of(f, e));
	json_set(out, "container", e->container ? cJSON_Duplicate(e->container, 1) : NULL);
	json_set(out, "startup", e->startup ? cJSON_Duplicate(e->startup, 1) : NULL);
	return out;
}

/* Call with the status as it was before. Gives the event to publish once the lock is gone, or NULL. */
static cJSON *entry_changed(const struct fleet *f, struct entry *e, const char *was)
{
	const char *now = status_of(f, e);
	free(take_ptr(e->text));
	if (strcmp(was, now) == 0)
		return NULL;
	cJSON *ev = cJSON_CreateObject();
	json_set_str(ev, "kind", "state");
	json_set_str(ev, "workspace", e->name);
	json_set_str(ev, "status", now);
	json_set_str(ev, "was", was);
	return ev;
}

static void publish(struct fleet *f, cJSON *take_ev)
{
	if (take_ev)
		hub_publish(f->hub, take_ev, 1);
}

/* --- looking --- */

cJSON *fleet_list(struct fleet *f)
{
	cJSON *all = cJSON_CreateArray();
	pthread_mutex_lock(&f->lock);
	for (const struct entry *e = f->entries; e; e = e->next)
		json_push(all, view(f, e));
	pthread_mutex_unlock(&f->lock);
	return all;
}

int fleet_get(struct fleet *f, const char *name, cJSON **out, struct perry_err **err)
{
	pthread_mutex_lock(&f->lock);
	const struct entry *e = find(f, name);
	*out = e ? view(f, e) : NULL;
	pthread_mutex_unlock(&f->lock);
	return *out ? 0 : perry_fail(err, PERRY_ENOTFOUND, "Workspace not found");
}

void fleet_set_render(struct fleet *f, char *(*render)(const cJSON *record))
{
	pthread_mutex_lock(&f->lock);
	f->render = render;
	for (struct entry *e = f->entries; e; e = e->next)
		free(take_ptr(e->text));
	pthread_mutex_unlock(&f->lock);
}

void fleet_set_more(struct fleet *f, char *(*more)(void *ctx, const cJSON *record), void *ctx)
{
	pthread_mutex_lock(&f->lock);
	f->more = more;
	f->more_ctx = ctx;
	pthread_mutex_unlock(&f->lock);
}

void fleet_each_running(struct fleet *f, void (*fn)(void *ctx, const char *name, const cJSON *container), void *ctx)
{
	pthread_mutex_lock(&f->lock);
	for (const struct entry *e = f->entries; e; e = e->next)
		if (strcmp(status_of(f, e), "running") == 0)
			fn(ctx, e->name, e->container);
	pthread_mutex_unlock(&f->lock);
}

/* Under the lock. */
static void add_text(const struct fleet *f, const struct entry *e, struct buf *out)
{
	cleanup_free char *more =
		f->more && strcmp(status_of(f, e), "running") == 0 ? f->more(f->more_ctx, e->record) : NULL;
	size_t n = strlen(e->text);
	if (!more || n < 3 || e->text[n - 1] != '}') {
		buf_adds(out, e->text);
		return;
	}
	buf_add(out, e->text, n - 1);
	buf_addf(out, ",%s}", more);
}

char *fleet_list_text(struct fleet *f)
{
	struct buf out = { 0 };
	buf_addc(&out, '[');
	pthread_mutex_lock(&f->lock);
	for (struct entry *e = f->entries; e; e = e->next) {
		if (!e->text) {
			cleanup_json cJSON *record = view(f, e);
			e->text = f->render ? f->render(record) : json_print(record);
		}
		if (e != f->entries)
			buf_addc(&out, ',');
		add_text(f, e, &out);
	}
	pthread_mutex_unlock(&f->lock);
	buf_addc(&out, ']');
	return buf_take(&out);
}

/* --- records --- */

static struct entry *add(struct fleet *f, const char *name)
{
	struct entry **at = &f->entries;
	while (*at)
		at = &(*at)->next;
	*at = xcalloc(1, sizeof **at);
	(*at)->name = xstrdup(name);
	return *at;
}

static void forget(struct fleet *f, const char *name)
{
	struct entry **at = &f->entries;
	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	struct entry *e = *at;
	if (!e)
		return;
	*at = e->next;
	char **place = &f->deleted[f->ndeleted++ % FLEET_DELETED];
	free(*place);
	*place = xstrdup(json_str_or(e->record, "id", ""));
	entry_free(e);
}

static bool was_deleted(const struct fleet *f, const cJSON *record)
{
	const char *id = json_str(record, "id");
	for (unsigned i = 0; id && *id && i < FLEET_DELETED; i++)
		if (str_eq(f->deleted[i], id))
			return true;
	return false;
}

/* A copy of the same workspace that was read before what we have. */
static bool is_older(const cJSON *record, const cJSON *have)
{
	return have && str_eq(json_str(record, "id"), json_str(have, "id")) &&
	       json_int_or(record, "rev", 0) < json_int_or(have, "rev", 0);
}

void fleet_put(struct fleet *f, const char *name, const cJSON *record)
{
	cJSON *ev = NULL;
	pthread_mutex_lock(&f->lock);
	if (!record) {
		forget(f, name);
	} else if (!was_deleted(f, record)) {
		struct entry *e = find(f, name);
		if (!e)
			e = add(f, name);
		if (!is_older(record, e->record)) {
			const char *was = e->record ? status_of(f, e) : "absent";
			cJSON_Delete(e->record);
			e->record = cJSON_Duplicate(record, 1);
			ev = entry_changed(f, e, was);
		}
	}
	pthread_mutex_unlock(&f->lock);
	publish(f, ev);
}

void fleet_put_startup(struct fleet *f, const char *name, const cJSON *startup)
{
	pthread_mutex_lock(&f->lock);
	struct entry *e = find(f, name);
	if (e) {
		cJSON_Delete(e->startup);
		e->startup = startup ? cJSON_Duplicate(startup, 1) : NULL;
		free(take_ptr(e->text));
	}
	pthread_mutex_unlock(&f->lock);
}

/* --- containers --- */

static void copy(cJSON *out, const char *key, const cJSON *inspect, const char *path)
{
	const cJSON *v = json_at(inspect, path);
	if (v && !cJSON_IsNull(v))
		json_set(out, key, cJSON_Duplicate(v, 1));
}

cJSON *fleet_container_of(const cJSON *inspect)
{
	cJSON *c = cJSON_CreateObject();
	copy(c, "id", inspect, "Id");
	copy(c, "state", inspect, "State.Status");
	copy(c, "pid", inspect, "State.Pid");
	copy(c, "started", inspect, "State.StartedAt");
	copy(c, "finished", inspect, "State.FinishedAt");
	copy(c, "exitCode", inspect, "State.ExitCode");
	copy(c, "oomKilled", inspect, "State.OOMKilled");
	copy(c, "health", inspect, "State.Health.Status");
	return c;
}

static const char *newest(const cJSON *container)
{
	const char *a = json_str_or(container, "started", ""), *b = json_str_or(container, "finished", "");
	return strcmp(a, b) > 0 ? a : b;
}

/* Two who inspect the same container may bring their answers in the wrong order. */
static bool is_stale(const struct entry *e, const cJSON *container)
{
	const char *id = json_str(container, "id");
	if (str_eq(e->gone, id))
		return true;
	return e->container && str_eq(json_str(e->container, "id"), id) && json_str(container, "started") &&
	       strcmp(newest(container), newest(e->container)) < 0;
}

/* Takes container. Under the lock. */
static cJSON *set_container(const struct fleet *f, struct entry *e, cJSON *container)
{
	const char *was = status_of(f, e);
	if (!container && e->container) {
		free(e->gone);
		e->gone = xstrdup(json_str(e->container, "id"));
	}
	cJSON_Delete(e->container);
	e->container = container;
	return entry_changed(f, e, was);
}

void fleet_put_container(struct fleet *f, const char *name, const cJSON *inspect)
{
	cJSON *ev = NULL, *container = inspect ? fleet_container_of(inspect) : NULL;
	pthread_mutex_lock(&f->lock);
	struct entry *e = find(f, name);
	if (e && !(container && is_stale(e, container)))
		ev = set_container(f, e, take_ptr(container));
	pthread_mutex_unlock(&f->lock);
	cJSON_Delete(container);
	publish(f, ev);
}

/* While a container is made anew there are two of one workspace: the record says which, before that the name does. */
static bool is_the_one(const struct entry *e, const char *name, const cJSON *container)
{
	const char *want = json_str_or(e->record, "containerId", "");
	if (!*want || str_eq(json_str(container, "id"), want))
		return true;
	cleanup_free char *usual = xasprintf("workspace-%s", e->name);
	bool have_wanted = e->container && str_eq(json_str(e->container, "id"), want);
	return !have_wanted && name && strcmp(name[0] == '/' ? name + 1 : name, usual) == 0;
}

void fleet_news(struct fleet *f, const char *workspace, const char *name, cJSON *container)
{
	cJSON *ev = NULL;
	pthread_mutex_lock(&f->lock);
	struct entry *e = find(f, workspace);
	if (e && is_the_one(e, name, container) && !is_stale(e, container))
		ev = set_container(f, e, take_ptr(container));
	pthread_mutex_unlock(&f->lock);
	cJSON_Delete(container);
	publish(f, ev);
}

void fleet_gone(struct fleet *f, const char *id)
{
	cJSON *ev = NULL;
	pthread_mutex_lock(&f->lock);
	for (struct entry *e = f->entries; e && !ev; e = e->next)
		if (e->container && str_eq(json_str(e->container, "id"), id))
			ev = set_container(f, e, NULL);
	pthread_mutex_unlock(&f->lock);
	publish(f, ev);
}

/* One that ends leaves its network as well, but is known to have ended by then. */
void fleet_off_network(struct fleet *f, const char *id, const char *network)
{
	cJSON *ev = NULL;
	pthread_mutex_lock(&f->lock);
	for (struct entry *e = f->entries; e && !ev; e = e->next) {
		if (!str_eq(json_str(e->container, "id"), id) || !str_eq(json_str(e->record, "network"), network) ||
		    strcmp(container_status(f, e, "missing"), "running") != 0)
			continue;
		ev = cJSON_CreateObject();
		json_set_str(ev, "kind", "network");
		json_set_str(ev, "workspace", e->name);
		json_set_str(ev, "state", "disconnected");
	}
	pthread_mutex_unlock(&f->lock);
	publish(f, ev);
}

static const cJSON *listed(const struct entry *e, const cJSON *containers)
{
	const cJSON *row, *found = NULL;
	cJSON_ArrayForEach(row, containers) {
		const cJSON *c = json_at(row, "container");
		if (!str_eq(json_str(row, "workspace"), e->name) || !is_the_one(e, json_str(row, "name"), c))
			continue;
		found = c;
		if (str_eq(json_str(c, "id"), json_str(e->record, "containerId")))
			break;
	}
	return found;
}

void fleet_all_news(struct fleet *f, const cJSON *containers)
{
	cleanup_json cJSON *events = cJSON_CreateArray();
	cJSON *ev;
	pthread_mutex_lock(&f->lock);
	bool first = !f->known;
	f->known = true;
	for (struct entry *e = f->entries; e; e = e->next) {
		const cJSON *c = listed(e, containers);
		ev = set_container(f, e, c ? cJSON_Duplicate(c, 1) : NULL);
		/* What the first list says is no change. */
		if (first)
			cJSON_Delete(ev);
		else if (ev)
			json_push(events, ev);
	}
	pthread_mutex_unlock(&f->lock);
	while ((ev = cJSON_DetachItemFromArray(events, 0)))
		publish(f, ev);
}

/* --- the engine --- */

void fleet_engine(struct fleet *f, bool up, const char *error)
{
	pthread_mutex_lock(&f->lock);
	bool changed = f->up != up || (!up && !f->error);
	f->up = up;
	free(f->error);
	f->error = up ? NULL : xstrdup(error);
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	if (!changed)
		return;
	cJSON *ev = cJSON_CreateObject();
	json_set_str(ev, "kind", "engine");
	json_set_str(ev, "state", up ? "up" : "down");
	json_set_str(ev, "error", up ? NULL : error);
	publish(f, ev);
}

bool fleet_engine_up(struct fleet *f, char **error_out)
{
	pthread_mutex_lock(&f->lock);
	bool up = f->up;
	if (error_out)
		*error_out = up ? NULL : xstrdup(f->error);
	pthread_mutex_unlock(&f->lock);
	return up;
}

bool fleet_wait_ready(struct fleet *f, int timeout_ms)
{
	struct timespec until = clock_deadline(timeout_ms);
	pthread_mutex_lock(&f->lock);
	while (!f->up && pthread_cond_timedwait(&f->changed, &f->lock, &until) != ETIMEDOUT)
		;
	bool up = f->up;
	pthread_mutex_unlock(&f->lock);
	return up;
}

static void fleet_free(struct fleet *f)
{
	while (f->entries) {
		struct entry *e = f->entries;
		f->entries = e->next;
		entry_free(e);
	}
	for (unsigned i = 0; i < FLEET_DELETED; i++)
		free(f->deleted[i]);
	free(f->error);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

int fleet_open(struct fleet **out, struct store *store, struct docker *docker, struct hub *hub, struct perry_err **err)
{
	cleanup_json cJSON *records = NULL;
	cJSON *record;
	if (store_ws_list(store, &records, err))
		return -1;
	struct fleet *f = xcalloc(1, sizeof *f);
	f->store = store;
	f->docker = docker;
	f->hub = hub;
	pthread_mutex_init(&f->lock, NULL);
	clock_cond_init(&f->changed);
	struct entry **at = &f->entries;
	while ((record = cJSON_DetachItemFromArray(records, 0))) {
		*at = xcalloc(1, sizeof **at);
		(*at)->name = xstrdup(json_str_or(record, "name", ""));
		(*at)->record = record;
		at = &(*at)->next;
	}
	if (fleet_follow(f, err)) {
		fleet_free(f);
		return -1;
	}
	*out = f;
	return 0;
}

void fleet_close(struct fleet *f)
{
	if (!f)
		return;
	fleet_unfollow(f);
	fleet_free(f);
}
