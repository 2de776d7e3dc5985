#include "agent/watch/watchers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/jobs.h"
#include "agent/watch/exec.h"
#include "agent/watch/ports.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ops/fleet.h"
#include "ops/hub.h"

enum {
	OPEN_DELAY_MS = 250, /* a workspace that starts has more urgent work for the engine */
	SAMPLE_MS = 2000,
};

/* --- what comes from other threads --- */

/* Something about a workspace, for the loop. */
struct note {
	struct watchers *w;
	char *name;
	cJSON *tailnet; /* that its node was told about, or NULL */
};

static void note_free(struct note *n)
{
	cJSON_Delete(n->tailnet);
	free(n->name);
	free(n);
}

static struct note *note_new(struct watchers *w, const char *name)
{
	struct note *n = xcalloc(1, sizeof *n);
	n->w = w;
	n->name = xstrdup(name);
	return n;
}

static void note_post(struct note *take, void (*fn)(void *arg))
{
	if (!loop_post(take->w->loop, fn, take))
		note_free(take);
}

/* --- samples --- */

static void on_sample_wanted(void *arg)
{
	struct note *n = arg;
	struct entry *e = watch_table_find(&n->w->table, n->name);
	if (e && watcher_is_open(e)) /* whoever waits gives up in time when it cannot be sent */
		buf_adds(&e->out, "{\"activity\":true}\n");
	note_free(n);
}

static void take_sample(struct entry *e, cJSON *take)
{
	pthread_mutex_lock(&e->w->table.lock);
	cJSON_Delete(e->sample);
	e->sample = take;
	e->mute = false; /* it was only slow */
	pthread_cond_broadcast(&e->w->sampled);
	pthread_mutex_unlock(&e->w->table.lock);
}

cJSON *watchers_sample(struct watchers *w, const char *workspace)
{
	struct timespec until = clock_deadline(SAMPLE_MS);
	cJSON *sample = NULL;
	pthread_mutex_lock(&w->table.lock);
	struct entry *e = watch_table_find(&w->table, workspace);
	bool heard = e && e->heard && !e->mute;
	if (heard)
		cJSON_Delete(take_ptr(e->sample)); /* of a question that was given up */
	pthread_mutex_unlock(&w->table.lock);
	if (!heard)
		return NULL;
	note_post(note_new(w, workspace), on_sample_wanted);
	pthread_mutex_lock(&w->table.lock);
	for (int rc = 0;
	     (e = watch_table_find(&w->table, workspace)) && e->heard && !(sample = take_ptr(e->sample)) && !e->mute;) {
		e->mute = rc == ETIMEDOUT;
		if (!e->mute)
			rc = pthread_cond_timedwait(&w->sampled, &w->table.lock, &until);
	}
	pthread_mutex_unlock(&w->table.lock);
	return sample;
}

/* --- what its node says of itself --- */

static void tell_tailnet(struct entry *e);

static void on_told(void *arg)
{
	struct note *n = arg;
	struct entry *e = watch_table_find(&n->w->table, n->name);
	if (e) {
		e->telling = false;
		if (e->tell_again)
			tell_tailnet(e);
	}
	note_free(n);
}

static void tell(void *arg)
{
	struct note *n = arg;
	n->w->setup.tailnet(n->w->setup.ctx, n->name, n->tailnet);
	note_post(n, on_told);
}

static void tell_tailnet(struct entry *e)
{
	const struct watchers_setup *setup = &e->w->setup;
	e->tell_again = e->telling;
	if (e->telling || !setup->tailnet || !e->tailnet)
		return;
	struct note *n = note_new(e->w, e->name);
	n->tailnet = cJSON_Duplicate(e->tailnet, 1);
	e->telling = jobs_run(setup->jobs, tell, n);
	if (!e->telling)
		note_free(n);
}

/* --- what a workspace says --- */

static void take_line(struct entry *e, const char *text, size_t n)
{
	struct watch_line line;
	cleanup_err struct perry_err *err = NULL;
	if (watch_line_parse(text, n, &line, &err) < 0) {
		log_debug("ports", "%s: %s", e->name, perry_msg(err));
		return;
	}
	if (line.kind == WATCH_PORTS) {
		watcher_ports(e, &line);
	} else if (line.kind == WATCH_ACTIVITY) {
		take_sample(e, take_ptr(line.object));
	} else if (line.kind == WATCH_TAILNET || line.kind == WATCH_SERVE) {
		cJSON **place = line.kind == WATCH_TAILNET ? &e->tailnet : &e->serve;
		pthread_mutex_lock(&e->w->table.lock);
		cJSON_Delete(*place);
		*place = take_ptr(line.object);
		pthread_mutex_unlock(&e->w->table.lock);
		if (line.kind == WATCH_TAILNET)
			tell_tailnet(e);
	}
	watch_line_free(&line);
}

/* --- which are watched --- */

/* Its container is gone. */
static void let_go(struct entry *e)
{
	watcher_close(e);
	loop_timer_stop(&e->decide);
	e->container[0] = 0;
	watch_table_forget(&e->w->table, e);
}

/* Is the workspace to be watched, and which container is that? */
static void look_at(struct watchers *w, const cJSON *record, const char *name)
{
	struct entry *e = watch_table_find(&w->table, name);
	const char *container = json_str(record, "container.id");
	bool runs = container && strcmp(json_str_or(record, "status", ""), "running") == 0;
	if (!runs) {
		if (e)
			let_go(e);
		return;
	}
	if (!e)
		e = watch_table_add(&w->table, w, name);
	if (strcmp(e->container, container) != 0) {
		watcher_close(e);
		e->no_channel = false;
		snprintf(e->container, sizeof e->container, "%s", container);
		watch_table_forget(&w->table, e);
	}
	watcher_open_at(e, clock_mono_ms() + OPEN_DELAY_MS);
}

static void on_workspace(void *arg)
{
	struct note *n = arg;
	cleanup_json cJSON *record = NULL;
	fleet_get(n->w->setup.fleet, n->name, &record, NULL);
	look_at(n->w, record, n->name);
	note_free(n);
}

static void on_engine(void *arg)
{
	struct watchers *w = arg;
	cleanup_json cJSON *records = fleet_list(w->setup.fleet);
	const cJSON *record;
	cJSON_ArrayForEach(record, records)
		look_at(w, record, json_str_or(record, "name", ""));
}

/* Under the hub's lock. */
static void on_event(void *ctx, const cJSON *ev)
{
	struct watchers *w = ctx;
	const char *kind = json_str_or(ev, "kind", "");
	if (strcmp(kind, "state") == 0 && json_str(ev, "workspace"))
		note_post(note_new(w, json_str(ev, "workspace")), on_workspace);
	else if (strcmp(kind, "engine") == 0)
		loop_post(w->loop, on_engine, w);
}

static void on_serve(void *arg)
{
	struct note *n = arg;
	struct entry *e = watch_table_find(&n->w->table, n->name);
	if (e)
		watcher_forwards(e);
	note_free(n);
}

void watchers_serve_changed(struct watchers *w, const char *workspace)
{
	note_post(note_new(w, workspace), on_serve);
}

/* --- life --- */

static bool settle(void *ctx, bool stopping)
{
	struct watchers *w = ctx;
	for (struct entry *e = w->table.entries, *next; e; e = next) {
		next = e->next;
		if (stopping)
			watcher_close(e);
		else if (!e->container[0] && !e->opening && !e->deciding && !e->telling)
			watch_table_remove(&w->table, e);
		else
			watcher_settle(e);
	}
	return true;
}

int watchers_open(struct watchers **out, const struct watchers_setup *setup, struct perry_err **err)
{
	struct watchers *w = xcalloc(1, sizeof *w);
	w->setup = *setup;
	w->take_line = take_line;
	watch_table_init(&w->table);
	clock_cond_init(&w->sampled);
	if (loop_open(&w->loop, settle, w, err) < 0) {
		watchers_free(w);
		return perry_wrap(err, "cannot start the watchers");
	}
	w->sub = hub_subscribe(setup->hub, NULL, on_event, w);
	loop_post(w->loop, on_engine, w);
	*out = w;
	return 0;
}

void watchers_stop(struct watchers *w)
{
	if (!w->sub)
		return;
	hub_unsubscribe(take_ptr(w->sub));
	loop_stop(w->loop);
}

void watchers_free(struct watchers *w)
{
	if (!w)
		return;
	watch_table_destroy(&w->table);
	loop_free(w->loop);
	pthread_cond_destroy(&w->sampled);
	free(w);
}

cJSON *watchers_look(struct watchers *w, const char *workspace)
{
	cJSON *out = cJSON_CreateObject(), *list = cJSON_CreateArray();
	pthread_mutex_lock(&w->table.lock);
	const struct entry *e = watch_table_find(&w->table, workspace);
	json_set_bool(out, "watching", e && e->heard);
	for (size_t i = 0; e && i < e->nseen; i++)
		json_push(list, watcher_listener(&e->seen[i]));
	json_set(out, "listeners", list);
	if (e) {
		json_set_int(out, "more", e->more);
		json_set_str(out, "problem", e->heard ? NULL : e->problem);
		json_set(out, "tailnet", e->tailnet ? cJSON_Duplicate(e->tailnet, 1) : NULL);
		json_set(out, "serve", e->serve ? cJSON_Duplicate(e->serve, 1) : NULL);
	}
	pthread_mutex_unlock(&w->table.lock);
	return out;
}
