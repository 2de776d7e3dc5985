#include "agent/http/events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/http/reply.h"
#include "agent/internal.h"
#include "agent/jobs.h"
#include "agent/names.h"
#include "agent/stats/stats.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/number.h"
#include "net/server.h"
#include "ops/hub.h"
#include "store/store.h"

enum {
	PAGE = 500,
	MAX_WAITING = 4096,      /* live events that wait for the end of the replay */
	HIGH_WATER = 256 * 1024, /* bytes not read by the client, before the replay pauses */
	PATIENCE_MS = 30000,
};

struct evstream {
	atomic_int refs; /* the open stream's, the replay's */
	struct agent *a;
	struct sse *sse;
	char *workspace;
	bool follow;
	bool stats, other; /* what it wants: samples, everything else */
	int64_t after, since;
	pthread_mutex_t lock;
	struct hub_sub *sub;
	bool live, over;
	cJSON *waiting; /* array, until live */
};

static void stream_unref(struct evstream *es)
{
	if (atomic_fetch_sub(&es->refs, 1) != 1)
		return;
	sse_free(es->sse);
	cJSON_Delete(es->waiting);
	pthread_mutex_destroy(&es->lock);
	free(es->workspace);
	free(es);
}

static int push(struct evstream *es, const cJSON *ev)
{
	char id[24];
	cleanup_free char *text = json_print(ev);
	int64_t n = json_int_or(ev, "id", 0);
	snprintf(id, sizeof id, "%lld", (long long)n);
	return sse_push(es->sse, n ? id : NULL, json_str(ev, "kind"), text);
}

/* Under the hub's lock. */
static void on_event(void *ctx, const cJSON *ev)
{
	struct evstream *es = ctx;
	pthread_mutex_lock(&es->lock);
	bool sample = str_eq(json_str(ev, "kind"), "stats");
	if (es->over || (sample ? !es->stats || !es->live : !es->other))
		;
	else if (es->live)
		push(es, ev);
	else if (cJSON_GetArraySize(es->waiting) < MAX_WAITING)
		json_push(es->waiting, cJSON_Duplicate(ev, 1));
	else
		sse_close(es->sse); /* the client comes again, with the last id it saw */
	pthread_mutex_unlock(&es->lock);
}

static void on_closed(void *ctx, struct sse *s)
{
	struct evstream *es = ctx;
	pthread_mutex_lock(&es->lock);
	es->sse = s;
	es->over = true;
	struct hub_sub *sub = take_ptr(es->sub);
	pthread_mutex_unlock(&es->lock);
	hub_unsubscribe(sub);
	if (es->stats)
		stats_unwatch(es->a->stats);
	stream_unref(es);
}

static bool is_over(struct evstream *es)
{
	pthread_mutex_lock(&es->lock);
	bool over = es->over;
	pthread_mutex_unlock(&es->lock);
	return over;
}

/* Waits for a slow reader; false when it reads nothing for long or is gone. */
static bool let_drain(struct evstream *es)
{
	for (int64_t end = clock_mono_ms() + PATIENCE_MS; sse_backlog(es->sse) > HIGH_WATER;) {
		struct timespec pause = { 0, 10 * 1000000 };
		if (is_over(es) || atomic_load(&es->a->stopping) || clock_mono_ms() > end)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static bool wanted(const struct evstream *es, const cJSON *ev)
{
	return !es->workspace || str_eq(es->workspace, json_str(ev, "workspace"));
}

static bool replay_page(struct evstream *es, bool *more)
{
	cleanup_json cJSON *page = NULL;
	const cJSON *ev;
	if (store_events(es->a->store, es->after, es->since, PAGE, &page, NULL) < 0)
		return false;
	*more = cJSON_GetArraySize(page) == PAGE;
	cJSON_ArrayForEach(ev, page) {
		es->after = json_int_or(ev, "id", es->after);
		if (wanted(es, ev) && push(es, ev) < 0)
			return false;
	}
	return let_drain(es);
}

static void go_live(struct evstream *es)
{
	const cJSON *ev;
	pthread_mutex_lock(&es->lock);
	cJSON_ArrayForEach(ev, es->waiting) {
		int64_t id = json_int_or(ev, "id", 0);
		if (id == 0 || id > es->after)
			push(es, ev);
	}
	cJSON_Delete(take_ptr(es->waiting));
	es->live = true;
	pthread_mutex_unlock(&es->lock);
}

static void replay(void *arg)
{
	struct evstream *es = arg;
	bool more = true, ok = true;
	while (ok && more)
		ok = replay_page(es, &more);
	if (ok && es->follow)
		go_live(es);
	else
		sse_close(es->sse);
	stream_unref(es);
}

/* ?since=: milliseconds since the epoch, a duration or a time. */
static bool read_since(const char *text, int64_t *since)
{
	long long n;
	if (str_to_int(text, 0, INT64_MAX, &n) == 0)
		*since = n;
	else
		*since = clock_since(text);
	return *since >= 0;
}

static bool read_query(struct server_req *r, struct evstream *es, bool *stored)
{
	const char *after = req_header(r, "Last-Event-ID"), *since = req_query(r, "since"),
		   *follow = req_query(r, "follow");
	const char *workspace = req_query(r, "workspace"), *stats = req_query(r, "stats");
	long long n = 0;
	if (!after)
		after = req_query(r, "after");
	if ((after && str_to_int(after, 0, INT64_MAX, &n) < 0) || (since && !read_since(since, &es->since)))
		return false;
	if (workspace && *workspace && name_problem(workspace, false))
		return false;
	if (stats && strcmp(stats, "0") != 0 && strcmp(stats, "1") != 0 && strcmp(stats, "only") != 0)
		return false;
	es->after = n;
	es->workspace = workspace && *workspace ? xstrdup(workspace) : NULL;
	es->follow = !follow || strcmp(follow, "0") != 0;
	es->stats = es->follow && stats && strcmp(stats, "0") != 0;
	es->other = !es->stats || strcmp(stats, "only") != 0;
	*stored = es->other && (after || since || !es->follow);
	return true;
}

void events_handle(struct agent *a, struct server_req *r, const struct caller *c)
{
	struct evstream *es = xcalloc(1, sizeof *es);
	bool stored;
	atomic_init(&es->refs, 2);
	es->a = a;
	pthread_mutex_init(&es->lock, NULL);
	if (!read_query(r, es, &stored)) {
		agent_reply(a, r, 400, "application/json",
			    xstrdup("{\"error\":\"after, since, workspace, follow or stats is malformed\"}"), NULL);
		atomic_store(&es->refs, 1);
		stream_unref(es);
		return;
	}
	es->live = !stored;
	es->waiting = cJSON_CreateArray();
	atomic_fetch_add_explicit(&a->answers[2], 1, memory_order_relaxed);
	if (es->stats)
		stats_watch(a->stats);
	struct sse *sse = req_sse(r, on_closed, es);
	pthread_mutex_lock(&es->lock);
	if (!es->sse)
		es->sse = sse;
	pthread_mutex_unlock(&es->lock);
	if (!sse) { /* on_closed will not be called */
		if (es->stats)
			stats_unwatch(a->stats);
		stream_unref(es);
		stream_unref(es);
		return;
	}
	struct hub_sub *sub = es->follow ? hub_subscribe(a->hub, es->workspace, on_event, es) : NULL;
	pthread_mutex_lock(&es->lock);
	if (!es->over)
		es->sub = take_ptr(sub);
	pthread_mutex_unlock(&es->lock);
	hub_unsubscribe(sub);
	if (!stored || !jobs_run(a->jobs, replay, es))
		stream_unref(es);
}
