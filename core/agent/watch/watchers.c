#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/jobs.h"
#include "agent/watch/priv.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ops/fleet.h"
#include "ops/hub.h"

enum {
	OPEN_DELAY_MS = 250, /* a workspace that starts has more urgent work for the engine */
	SAMPLE_MS = 2000,
};

/* --- news --- */

void watcher_news_free(struct news *n)
{
	docker_stream_free(n->stream);
	cJSON_Delete(n->asked);
	cJSON_Delete(n->answers);
	perry_err_free(n->err);
	free(n->name);
	free(n);
}

struct news *watcher_news(int kind, const char *name)
{
	struct news *n = xcalloc(1, sizeof *n);
	n->kind = kind;
	n->name = xstrdup(name);
	return n;
}

void watcher_post(struct watchers *w, struct news *take)
{
	uint64_t one = 1;
	pthread_mutex_lock(&w->news_lock);
	*w->news_tail = take;
	w->news_tail = &take->next;
	pthread_mutex_unlock(&w->news_lock);
	if (write(w->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		abort(); /* an eventfd does not fail otherwise */
}

/* Under the hub's lock. */
static void on_event(void *ctx, const cJSON *ev)
{
	struct watchers *w = ctx;
	const char *kind = json_str_or(ev, "kind", "");
	if (strcmp(kind, "state") == 0 && json_str(ev, "workspace"))
		watcher_post(w, watcher_news(NEWS_WORKSPACE, json_str(ev, "workspace")));
	else if (strcmp(kind, "engine") == 0)
		watcher_post(w, watcher_news(NEWS_ENGINE, NULL));
}

void watchers_serve_changed(struct watchers *w, const char *workspace)
{
	watcher_post(w, watcher_news(NEWS_SERVE, workspace));
}

/* --- entries --- */

static struct entry *find(const struct watchers *w, const char *name)
{
	struct entry *e = w->entries;
	while (e && strcmp(e->name, name) != 0)
		e = e->next;
	return e;
}

/* What was known of the life of its container that ended. Under the lock. */
static void forget(struct entry *e)
{
	watcher_free_seen(take_ptr(e->seen), e->nseen);
	e->nseen = 0;
	e->more = 0;
	cJSON_Delete(take_ptr(e->tailnet));
	cJSON_Delete(take_ptr(e->serve));
	cJSON_Delete(take_ptr(e->sample));
	e->mute = false;
	free(take_ptr(e->problem));
	e->heard = false;
}

static void entry_free(struct entry *e)
{
	forget(e);
	buf_free(&e->said);
	free(e->name);
	free(e);
}

static void remove_entry(struct watchers *w, struct entry *e)
{
	watcher_close(w, e);
	pthread_mutex_lock(&w->lock);
	struct entry **at = &w->entries;
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	pthread_mutex_unlock(&w->lock);
	entry_free(e);
}

void watcher_problem(struct watchers *w, struct entry *e, const char *text)
{
	pthread_mutex_lock(&w->lock);
	free(e->problem);
	e->problem = xstrdup(text);
	e->heard = false;
	pthread_mutex_unlock(&w->lock);
}

/* Whoever waits for it gives up in time when it cannot be sent. */
static void send_question(struct watchers *w, struct entry *e)
{
	if (!e->stream)
		return;
	buf_adds(&e->out, "{\"activity\":true}\n");
	watcher_flush(w, e);
}

void watcher_sampled(struct watchers *w, struct entry *e, cJSON *take_sample)
{
	pthread_mutex_lock(&w->lock);
	cJSON_Delete(e->sample);
	e->sample = take_sample;
	e->mute = false; /* it was only slow */
	pthread_cond_broadcast(&w->sampled);
	pthread_mutex_unlock(&w->lock);
}

cJSON *watchers_sample(struct watchers *w, const char *workspace)
{
	struct timespec until = clock_deadline(SAMPLE_MS);
	cJSON *sample = NULL;
	pthread_mutex_lock(&w->lock);
	struct entry *e = find(w, workspace);
	bool heard = e && e->heard && !e->mute;
	if (heard)
		cJSON_Delete(take_ptr(e->sample)); /* of a question that was given up */
	pthread_mutex_unlock(&w->lock);
	if (!heard)
		return NULL;
	watcher_post(w, watcher_news(NEWS_SAMPLE, workspace));
	pthread_mutex_lock(&w->lock);
	for (int rc = 0; (e = find(w, workspace)) && e->heard && !(sample = take_ptr(e->sample)) && !e->mute;) {
		e->mute = rc == ETIMEDOUT;
		if (!e->mute)
			rc = pthread_cond_timedwait(&w->sampled, &w->lock, &until);
	}
	pthread_mutex_unlock(&w->lock);
	return sample;
}

static void tell(void *arg)
{
	struct watcher_job *d = arg;
	d->w->setup.tailnet(d->w->setup.ctx, d->news->name, d->news->asked);
	watcher_post(d->w, d->news);
	free(d);
}

void watcher_tell_tailnet(struct watchers *w, struct entry *e)
{
	e->tell_again = e->telling;
	if (e->telling || !w->setup.tailnet || !e->tailnet)
		return;
	struct watcher_job *d = xcalloc(1, sizeof *d);
	d->w = w;
	d->news = watcher_news(NEWS_TOLD, e->name);
	d->news->asked = cJSON_Duplicate(e->tailnet, 1);
	e->telling = jobs_run(w->setup.jobs, tell, d);
	if (!e->telling) {
		watcher_news_free(d->news);
		free(d);
	}
}

/* Is the workspace to be watched, and which container is that? */
static void look_at(struct watchers *w, const cJSON *record, const char *name)
{
	struct entry *e = find(w, name);
	const char *container = json_str(record, "container.id");
	bool runs = container && strcmp(json_str_or(record, "status", ""), "running") == 0;
	if (!runs) {
		if (e && !e->opening && !e->deciding && !e->telling) {
			remove_entry(w, e);
		} else if (e) { /* a job is to come back to it */
			watcher_close(w, e);
			e->container[0] = 0;
			e->open_at = e->decide_at = 0;
			pthread_mutex_lock(&w->lock);
			forget(e);
			pthread_mutex_unlock(&w->lock);
		}
		return;
	}
	if (!e) {
		e = xcalloc(1, sizeof *e);
		e->name = xstrdup(name);
		pthread_mutex_lock(&w->lock);
		e->next = w->entries;
		w->entries = e;
		pthread_mutex_unlock(&w->lock);
	}
	if (strcmp(e->container, container) != 0) {
		watcher_close(w, e);
		snprintf(e->container, sizeof e->container, "%s", container);
		pthread_mutex_lock(&w->lock);
		forget(e);
		pthread_mutex_unlock(&w->lock);
	}
	e->given_up = false;
	e->tries = 0;
	if (!e->stream && !e->opening)
		e->open_at = clock_mono_ms() + OPEN_DELAY_MS;
}

static void look_at_all(struct watchers *w)
{
	cleanup_json cJSON *records = fleet_list(w->setup.fleet);
	const cJSON *record;
	cJSON_ArrayForEach(record, records)
		look_at(w, record, json_str_or(record, "name", ""));
}

static void take_news(struct watchers *w, struct news *n)
{
	struct entry *e = n->name ? find(w, n->name) : NULL;
	cleanup_json cJSON *record = NULL;
	switch (n->kind) {
	case NEWS_WORKSPACE:
		fleet_get(w->setup.fleet, n->name, &record, NULL);
		look_at(w, record, n->name);
		break;
	case NEWS_ENGINE:
		look_at_all(w);
		break;
	case NEWS_SERVE:
		if (e)
			watcher_forwards(w, e);
		break;
	case NEWS_SAMPLE:
		if (e)
			send_question(w, e);
		break;
	case NEWS_OPENED:
		watcher_opened(w, e, n);
		break;
	case NEWS_DECIDED:
		if (e && strcmp(e->container, n->container) == 0)
			watcher_decided(w, e, n);
		else if (e) { /* it was about another container */
			e->deciding = false;
			e->decide_at = clock_mono_ms();
		}
		break;
	case NEWS_TOLD:
		if (e) {
			e->telling = false;
			if (e->tell_again)
				watcher_tell_tailnet(w, e);
		}
		break;
	}
	/* An entry that only waited for its job. */
	if (e && n->kind >= NEWS_OPENED && !e->container[0] && !e->opening && !e->deciding && !e->telling)
		remove_entry(w, e);
	watcher_news_free(n);
}

/* --- the thread --- */

/* Does what is due; gives the milliseconds to the next, -1: nothing is. */
static int due(struct watchers *w)
{
	int64_t now = clock_mono_ms(), next = INT64_MAX;
	for (struct entry *e = w->entries; e; e = e->next) {
		if (e->open_at && e->open_at <= now && w->openings < WATCHER_OPENINGS && !e->given_up)
			watcher_open(w, e);
		if (e->read_at && e->read_at <= now)
			watcher_listen(w, e);
		if (e->decide_at && e->decide_at <= now && !e->deciding)
			watcher_ask(w, e);
		int64_t times[] = { w->openings < WATCHER_OPENINGS && !e->given_up ? e->open_at : 0, e->read_at,
				    e->deciding ? 0 : e->decide_at };
		for (size_t i = 0; i < ARRAY_LEN(times); i++)
			if (times[i] && times[i] < next)
				next = times[i];
	}
	if (next == INT64_MAX)
		return -1;
	return next > now ? (int)(next - now) : 0;
}

static bool take_all_news(struct watchers *w)
{
	uint64_t count;
	if (read(w->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		log_warn("ports", "eventfd: %s", strerror(errno));
	for (;;) {
		pthread_mutex_lock(&w->news_lock);
		bool stopped = w->stopped;
		struct news *n = stopped ? NULL : w->news;
		if (n && !(w->news = n->next))
			w->news_tail = &w->news;
		pthread_mutex_unlock(&w->news_lock);
		if (!n)
			return !stopped;
		take_news(w, n);
	}
}

static void *run(void *arg)
{
	struct watchers *w = arg;
	look_at_all(w);
	for (;;) {
		struct epoll_event events[16];
		int n = epoll_wait(w->epoll_fd, events, (int)ARRAY_LEN(events), due(w));
		bool woken = false;
		for (int i = 0; i < n; i++) {
			struct entry *e = events[i].data.ptr;
			if (!e) {
				woken = true; /* after the streams: news may free an entry that this round still names
					       */
				continue;
			}
			if (events[i].events & EPOLLOUT)
				watcher_flush(w, e);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				watcher_read(w, e);
		}
		if (woken && !take_all_news(w))
			return NULL;
	}
}

int watchers_open(struct watchers **out, const struct watchers_setup *setup, struct perry_err **err)
{
	struct watchers *w = xcalloc(1, sizeof *w);
	w->setup = *setup;
	w->step = xstrdup(setup->step);
	w->news_tail = &w->news;
	pthread_mutex_init(&w->news_lock, NULL);
	pthread_mutex_init(&w->lock, NULL);
	clock_cond_init(&w->sampled);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event ev = { .events = EPOLLIN };
	if (w->epoll_fd < 0 || w->wake_fd < 0 || epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &ev) < 0) {
		perry_fail_errno(err, errno, "watchers");
		watchers_free(w);
		return -1;
	}
	w->sub = hub_subscribe(setup->hub, NULL, on_event, w);
	int rc = pthread_create(&w->thread, NULL, run, w);
	if (rc != 0) {
		perry_fail_errno(err, rc, "watchers: cannot start a thread");
		hub_unsubscribe(take_ptr(w->sub));
		watchers_free(w);
		return -1;
	}
	*out = w;
	return 0;
}

void watchers_stop(struct watchers *w)
{
	if (!w->sub)
		return;
	hub_unsubscribe(take_ptr(w->sub));
	pthread_mutex_lock(&w->news_lock);
	w->stopped = true;
	pthread_mutex_unlock(&w->news_lock);
	uint64_t one = 1;
	if (write(w->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		abort();
	pthread_join(w->thread, NULL);
	for (struct entry *e = w->entries; e; e = e->next)
		watcher_close(w, e);
}

void watchers_free(struct watchers *w)
{
	if (!w)
		return;
	while (w->news) {
		struct news *n = w->news;
		w->news = n->next;
		watcher_news_free(n);
	}
	while (w->entries) {
		struct entry *e = w->entries;
		w->entries = e->next;
		entry_free(e);
	}
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	pthread_mutex_destroy(&w->news_lock);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->sampled);
	free(w->step);
	free(w);
}

cJSON *watchers_look(struct watchers *w, const char *workspace)
{
	cJSON *out = cJSON_CreateObject(), *list = cJSON_CreateArray();
	pthread_mutex_lock(&w->lock);
	const struct entry *e = find(w, workspace);
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
	pthread_mutex_unlock(&w->lock);
	return out;
}
