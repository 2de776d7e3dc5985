#include "agent/idle/idle.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define NEVER INT64_MAX

struct entry {
	struct entry *next;
	char *name;
	/* Under the lock. */
	int64_t due;
	int64_t noted[IDLE_N_KINDS]; /* 0: not since it was looked at last */
	unsigned notes;              /* how many there ever were */
	bool awake;                  /* a hook wants to know */
	/* The thread's. */
	char life[96];
	struct idle_track track;
	int64_t asked;
	bool confirming; /* the last answer was to stop it */
	int64_t ttl, ttl_from, ttl_end;
	bool warned;
	char *complaint; /* of the policy, as logged last */
};

struct idle {
	struct idle_ops ops;
	void *ctx;
	pthread_mutex_t lock; /* of the list too; entries are made by anybody and removed by the thread */
	struct entry *entries;
};

struct idle *idle_new(const struct idle_ops *ops, void *ctx)
{
	struct idle *i = xcalloc(1, sizeof *i);
	i->ops = *ops;
	i->ctx = ctx;
	pthread_mutex_init(&i->lock, NULL);
	return i;
}

static void entry_free(struct entry *e)
{
	idle_track_free(&e->track);
	free(e->complaint);
	free(e->name);
	free(e);
}

void idle_free(struct idle *i)
{
	if (!i)
		return;
	while (i->entries) {
		struct entry *e = i->entries;
		i->entries = e->next;
		entry_free(e);
	}
	pthread_mutex_destroy(&i->lock);
	free(i);
}

/* --- from outside --- */

static struct entry *find(struct idle *i, const char *name)
{
	struct entry *e = i->entries;
	while (e && strcmp(e->name, name) != 0)
		e = e->next;
	return e;
}

/* Under the lock. True: the thread has to know. */
static bool sooner(struct entry *e, int64_t due)
{
	if (due >= e->due)
		return false;
	e->due = due;
	return true;
}

void idle_started(struct idle *i, const char *ws)
{
	int64_t now = i->ops.now(i->ctx);
	pthread_mutex_lock(&i->lock);
	struct entry *e = find(i, ws);
	if (!e) {
		e = xcalloc(1, sizeof *e);
		e->name = xstrdup(ws);
		e->due = NEVER;
		e->next = i->entries;
		i->entries = e;
	}
	bool wake = sooner(e, now + IDLE_SETTLE_MS);
	pthread_mutex_unlock(&i->lock);
	if (wake)
		i->ops.wake(i->ctx);
}

void idle_note(struct idle *i, const char *ws, enum idle_kind kind)
{
	int64_t now = i->ops.now(i->ctx);
	bool wake = false;
	pthread_mutex_lock(&i->lock);
	struct entry *e = find(i, ws);
	if (e) {
		if (kind < IDLE_N_KINDS) {
			e->noted[kind] = now;
			e->notes++;
		}
		int64_t earliest = e->asked + IDLE_CHANGE_GAP_MS, soon = now + IDLE_SETTLE_MS;
		wake = e->awake && sooner(e, soon > earliest ? soon : earliest);
	}
	pthread_mutex_unlock(&i->lock);
	if (wake)
		i->ops.wake(i->ctx);
}

void idle_changed(struct idle *i)
{
	int64_t now = i->ops.now(i->ctx);
	pthread_mutex_lock(&i->lock);
	for (struct entry *e = i->entries; e; e = e->next)
		sooner(e, now);
	pthread_mutex_unlock(&i->lock);
	i->ops.wake(i->ctx);
}

/* --- the thread --- */

static void take_notes(struct idle *i, struct entry *e)
{
	pthread_mutex_lock(&i->lock);
	for (int k = 0; k < IDLE_N_KINDS; k++) {
		if (e->noted[k] > e->track.last[k])
			e->track.last[k] = e->noted[k];
		e->noted[k] = 0;
	}
	pthread_mutex_unlock(&i->lock);
}

/* Another count of the time begins; what the wall clock says counts only here. */
static void take_ttl(struct entry *e, const struct idle_subject *s, int64_t now)
{
	if (e->ttl == s->ttl && e->ttl_from == s->ttl_from)
		return;
	int64_t whole = s->ttl * 1000, left = s->ttl_left_ms;
	e->ttl = s->ttl;
	e->ttl_from = s->ttl_from;
	e->ttl_end = now + (left < 0 ? 0 : left > whole ? whole : left);
	e->warned = false;
}

static int64_t warn_ahead(const struct entry *e)
{
	int64_t half = e->ttl * 1000 / 2;
	return half < IDLE_WARN_MS ? half : IDLE_WARN_MS;
}

/* A stop is said ahead even if the clock jumped, or the agent was away when it was time to say it. */
static void warn(struct idle *i, struct entry *e, int64_t now)
{
	int64_t ahead = warn_ahead(e);
	if (!e->ttl || e->warned || now < e->ttl_end - ahead)
		return;
	e->warned = true;
	if (e->ttl_end < now + ahead)
		e->ttl_end = now + ahead;
	i->ops.warn(i->ctx, e->name, e->ttl, e->ttl_end - now);
}

static int64_t ttl_due(const struct entry *e, int64_t now)
{
	if (!e->ttl)
		return NEVER;
	int64_t due = e->warned ? e->ttl_end : e->ttl_end - warn_ahead(e);
	/* It is over, and a hook lets it run on. */
	return due > now ? due : now + IDLE_EVERY_MS;
}

/* Takes the facts and asks. 0, or -1 when there is no answer. */
static int question(struct idle *i, struct entry *e, bool hooked, struct idle_answer *out)
{
	cleanup_err struct perry_err *err = NULL;
	cleanup_json cJSON *sample = hooked ? i->ops.sample(i->ctx, e->name) : NULL, *own = i->ops.own(i->ctx, e->name);
	int64_t now = i->ops.now(i->ctx);
	take_notes(i, e);
	idle_track_take(&e->track, now, sample, own);
	cleanup_json cJSON *activity =
		idle_track_facts(&e->track, now, i->ops.wall_s(i->ctx), e->ttl, e->ttl ? e->ttl_end - now : 0);
	*out = (struct idle_answer){ .next = -1 };
	if (i->ops.ask(i->ctx, e->name, activity, out, &err) == 0)
		return 0;
	if (!str_eq(e->complaint, perry_msg(err)))
		log_warn("idle", "%s: %s", e->name, perry_msg(err));
	free(e->complaint);
	e->complaint = xstrdup(perry_msg(err));
	free(take_ptr(out->reason));
	return -1;
}

static unsigned notes_of(struct idle *i, struct entry *e)
{
	pthread_mutex_lock(&i->lock);
	unsigned n = e->notes;
	pthread_mutex_unlock(&i->lock);
	return n;
}

static int64_t next_due(const struct idle_answer *a, int64_t now)
{
	if (a->next < 0 || a->next * 1000 >= IDLE_EVERY_MS)
		return now + IDLE_EVERY_MS;
	int64_t ms = (int64_t)(a->next * 1000);
	return now + (ms < IDLE_NEXT_MIN_MS ? IDLE_NEXT_MIN_MS : ms);
}

/* Is it still what was asked about, and has nobody come since the facts were taken? */
static bool still(struct idle *i, struct entry *e, unsigned notes)
{
	struct idle_subject s;
	/* Of the end of a ttl whoever comes was told before. */
	bool over = e->ttl && i->ops.now(i->ctx) >= e->ttl_end;
	return i->ops.look(i->ctx, e->name, &s) && strcmp(s.life, e->life) == 0 && s.ttl == e->ttl &&
	       s.ttl_from == e->ttl_from && (over || notes_of(i, e) == notes);
}

/* Asks, and stops it when that is the answer twice. Gives when to ask again. */
static int64_t ask(struct idle *i, struct entry *e, bool hooked, bool over)
{
	cleanup_err struct perry_err *err = NULL;
	struct idle_answer answer;
	unsigned notes = notes_of(i, e);
	bool stop = question(i, e, hooked, &answer) == 0 && answer.stop, sure = over || e->confirming;
	int64_t now = i->ops.now(i->ctx);
	cleanup_free char *reason = answer.reason;
	e->confirming = stop;
	if (!stop)
		return next_due(&answer, now);
	if (!sure)
		return now + IDLE_CONFIRM_MS;
	if (!still(i, e, notes))
		return now + IDLE_NEXT_MIN_MS;
	if (i->ops.stop(i->ctx, e->name, reason ? reason : "the idle hook says so", &err) < 0)
		log_info("idle", "%s is not stopped: %s", e->name, perry_msg(err));
	e->confirming = false;
	return now + IDLE_EVERY_MS;
}

/* Gives when to look at it again; 0: it is gone. */
static int64_t process(struct idle *i, struct entry *e)
{
	struct idle_subject s;
	if (!i->ops.look(i->ctx, e->name, &s))
		return 0;
	bool hooked = i->ops.hooked(i->ctx);
	int64_t now = i->ops.now(i->ctx);
	/* While nobody wanted to know, nobody looked: that counts as activity. */
	if (strcmp(s.life, e->life) != 0 || !e->awake) {
		idle_track_begin(&e->track, now);
		e->confirming = false;
		memcpy(e->life, s.life, sizeof e->life);
	}
	pthread_mutex_lock(&i->lock);
	e->awake = hooked;
	e->asked = now;
	pthread_mutex_unlock(&i->lock);
	take_ttl(e, &s, now);
	warn(i, e, now);
	bool over = e->ttl && now >= e->ttl_end;
	if (!hooked && !over)
		return ttl_due(e, now);
	int64_t due = ask(i, e, hooked, over), end = ttl_due(e, i->ops.now(i->ctx));
	return due < end ? due : end;
}

/* Under the lock. */
static void unlist(struct idle *i, const struct entry *e)
{
	struct entry **at = &i->entries;
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
}

/* The one that is due first. */
static struct entry *first_due(struct idle *i, int64_t *due)
{
	struct entry *first = NULL;
	pthread_mutex_lock(&i->lock);
	for (struct entry *e = i->entries; e; e = e->next)
		if (!first || e->due < first->due)
			first = e;
	*due = first ? first->due : NEVER;
	pthread_mutex_unlock(&i->lock);
	return first;
}

int64_t idle_run(struct idle *i)
{
	for (;;) {
		int64_t due;
		struct entry *e = first_due(i, &due);
		if (due > i->ops.now(i->ctx))
			return due;
		pthread_mutex_lock(&i->lock);
		e->due = NEVER;
		pthread_mutex_unlock(&i->lock);
		int64_t again = process(i, e);
		pthread_mutex_lock(&i->lock);
		bool gone = !again && e->due == NEVER; /* not started again meanwhile */
		if (again)
			sooner(e, again);
		if (gone)
			unlist(i, e);
		pthread_mutex_unlock(&i->lock);
		if (gone)
			entry_free(e);
	}
}
