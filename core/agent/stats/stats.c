#include "agent/stats/stats.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/stats/cgroup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/number.h"
#include "docker/docker.h"
#include "ops/fleet.h"
#include "ops/hub.h"

enum {
	PAUSE_MS = 2000,
	ASK_MS = 1500,    /* one question to the engine */
	ROUND_MS = 4000,  /* all of them in a round */
	FILE_MAX = 16384, /* /proc/PID/cgroup */
};

struct row {
	struct row *next;
	char *name, container[65];
	int64_t pid;
	bool seen;          /* in this round */
	bool found, looked; /* its group is known; was looked for */
	struct cgroup group;
	int64_t cpu_us, at_us; /* of the last sample; at_us 0: none yet */
};

struct stats {
	struct fleet *fleet;
	struct docker *docker;
	struct hub *hub;
	pthread_mutex_t lock; /* of the next lines */
	pthread_cond_t changed;
	int watchers;
	bool running, started; /* started: thread is to be joined */
	pthread_t thread;
	struct row *rows; /* the thread's */
};

/* --- one round, on the thread --- */

static struct row *row_of(struct stats *s, const char *name)
{
	for (struct row *r = s->rows; r; r = r->next)
		if (strcmp(r->name, name) == 0)
			return r;
	struct row *r = xcalloc(1, sizeof *r);
	r->name = xstrdup(name);
	r->next = s->rows;
	return s->rows = r;
}

/* Under the fleet's lock. */
static void on_running(void *ctx, const char *name, const cJSON *container)
{
	const char *id = json_str(container, "id");
	if (!id || strlen(id) >= sizeof((struct row *)0)->container)
		return;
	struct row *r = row_of(ctx, name);
	int64_t pid = json_int_or(container, "pid", 0);
	if (strcmp(r->container, id) != 0 || r->pid != pid) {
		strcpy(r->container, id);
		r->pid = pid;
		r->found = r->looked = false;
		r->at_us = 0;
	}
	r->seen = true;
}

static void drop_unseen(struct stats *s)
{
	for (struct row **at = &s->rows; *at;) {
		struct row *r = *at;
		if (r->seen) {
			r->seen = false;
			at = &r->next;
			continue;
		}
		*at = r->next;
		free(r->name);
		free(r);
	}
}

static void look_for_group(struct row *r)
{
	char path[64];
	cleanup_buf struct buf text = { 0 };
	if (r->looked || r->pid <= 0)
		return;
	r->looked = true;
	snprintf(path, sizeof path, "/proc/%lld/cgroup", (long long)r->pid);
	r->found = file_read(path, FILE_MAX, &text, NULL) == 0 && cgroup_find(buf_str(&text), r->container, &r->group);
}

/* Numbers that are too large for JSON's come as text. */
static int64_t big(const cJSON *j, const char *path)
{
	const cJSON *v = json_at(j, path);
	long long n;
	if (cJSON_IsString(v))
		return str_to_int(v->valuestring, 0, INT64_MAX, &n) == 0 ? n : -1;
	return json_int_or(j, path, -1);
}

static bool ask_engine(struct stats *s, const struct row *r, int64_t *cpu_us, int64_t *memory)
{
	char path[128];
	cleanup_json cJSON *answer = NULL;
	snprintf(path, sizeof path, "/containers/%s/stats?stream=false&one-shot=true", r->container);
	if (docker_call(s->docker, "GET", path, NULL, ASK_MS, &answer, NULL) < 0)
		return false;
	int64_t ns = big(answer, "cpu_stats.cpu_usage.total_usage"), used = big(answer, "memory_stats.usage");
	int64_t cache = big(answer, "memory_stats.stats.inactive_file");
	if (cache < 0 || big(answer, "memory_stats.stats.total_inactive_file") >= 0)
		cache = big(answer, "memory_stats.stats.total_inactive_file");
	*cpu_us = ns / 1000;
	*memory = used - (cache > 0 && cache < used ? cache : 0);
	return ns >= 0 && used >= 0;
}

static void tell(struct stats *s, struct row *r, int64_t cpu_us, int64_t memory)
{
	int64_t now = clock_mono_us();
	cJSON *ev = cJSON_CreateObject();
	json_set_str(ev, "kind", "stats");
	json_set_str(ev, "workspace", r->name);
	if (r->at_us && now > r->at_us && cpu_us >= r->cpu_us) {
		double cores = (double)(cpu_us - r->cpu_us) / (double)(now - r->at_us);
		json_set(ev, "cpu", cJSON_CreateNumber(round(cores * 1000) / 1000));
	}
	json_set_int(ev, "memory", memory);
	r->cpu_us = cpu_us;
	r->at_us = now;
	hub_publish(s->hub, ev, 0);
}

static void sample(struct stats *s)
{
	int64_t end = clock_mono_ms() + ROUND_MS;
	fleet_each_running(s->fleet, on_running, s);
	drop_unseen(s);
	for (struct row *r = s->rows; r; r = r->next) {
		int64_t cpu_us, memory;
		look_for_group(r);
		if (r->found ? cgroup_read("/sys/fs/cgroup", &r->group, &cpu_us, &memory)
			     : clock_mono_ms() < end && ask_engine(s, r, &cpu_us, &memory))
			tell(s, r, cpu_us, memory);
	}
}

static void *sampler(void *arg)
{
	struct stats *s = arg;
	pthread_setname_np(pthread_self(), "stats");
	pthread_mutex_lock(&s->lock);
	while (s->watchers) {
		pthread_mutex_unlock(&s->lock);
		sample(s);
		struct timespec next = clock_deadline(PAUSE_MS);
		pthread_mutex_lock(&s->lock);
		while (s->watchers && pthread_cond_timedwait(&s->changed, &s->lock, &next) != ETIMEDOUT)
			;
	}
	drop_unseen(s);
	s->running = false;
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* --- life --- */

struct stats *stats_new(struct fleet *fleet, struct docker *docker, struct hub *hub)
{
	struct stats *s = xcalloc(1, sizeof *s);
	s->fleet = fleet;
	s->docker = docker;
	s->hub = hub;
	pthread_mutex_init(&s->lock, NULL);
	clock_cond_init(&s->changed);
	return s;
}

void stats_watch(struct stats *s)
{
	pthread_mutex_lock(&s->lock);
	s->watchers++;
	if (!s->running) {
		if (s->started)
			pthread_join(s->thread, NULL); /* it has left the lock behind it */
		s->running = s->started = pthread_create(&s->thread, NULL, sampler, s) == 0;
	}
	pthread_mutex_unlock(&s->lock);
}

void stats_unwatch(struct stats *s)
{
	pthread_mutex_lock(&s->lock);
	s->watchers--;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void stats_free(struct stats *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->watchers = 0;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	if (s->started)
		pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
