/* Work that nobody waits for: jobs in order, a thread per lane. */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "lua/internal.h"

#define LANES 3

struct job {
	struct job *next;
	int64_t at; /* monotonic ms: not before */
	struct ops *ops;
	const char *module, *function;
	cJSON *arg;
};

struct lane {
	struct background *owner;
	pthread_t thread;
	pthread_cond_t wake;
	struct job *first; /* by time, then as they came */
};

struct background {
	struct lua_host *host;
	pthread_mutex_t lock;
	bool stop;
	struct docker_cancel cancel; /* set with stop, for calls that wait */
	struct lane lanes[LANES];
};

static void job_free(struct job *j)
{
	cJSON_Delete(j->arg);
	free(j);
}

/* Under the lock: waits until the first job's time has come. */
static void wait_due(struct lane *l)
{
	struct background *b = l->owner;
	while (!b->stop && !(l->first && l->first->at <= clock_mono_ms())) {
		if (l->first) {
			struct timespec until = clock_deadline((int)(l->first->at - clock_mono_ms()));
			pthread_cond_timedwait(&l->wake, &b->lock, &until);
		} else {
			pthread_cond_wait(&l->wake, &b->lock);
		}
	}
}

static struct job *next_job(struct lane *l)
{
	struct background *b = l->owner;
	struct job *j = NULL;
	pthread_mutex_lock(&b->lock);
	wait_due(l);
	if (!b->stop) {
		j = l->first;
		l->first = j->next;
	}
	pthread_mutex_unlock(&b->lock);
	return j;
}

static void *work(void *arg)
{
	struct lane *l = arg;
	struct job *j;
	while ((j = next_job(l))) {
		cleanup_err struct perry_err *e = NULL;
		if (run_lua(l->owner->host, NULL, j->ops, j->module, j->function, j->arg, NULL, &e) < 0)
			log_warn("agent", "%s.%s: %s", j->module, j->function, perry_msg(e));
		job_free(j);
	}
	return NULL;
}

struct background *background_new(struct lua_host *h)
{
	struct background *b = xcalloc(1, sizeof *b);
	b->host = h;
	pthread_mutex_init(&b->lock, NULL);
	b->cancel.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (int i = 0; i < LANES; i++) {
		struct lane *l = &b->lanes[i];
		l->owner = b;
		clock_cond_init(&l->wake);
		if (pthread_create(&l->thread, NULL, work, l) != 0)
			abort();
	}
	return b;
}

void background_free(struct background *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	atomic_store(&b->cancel.set, true);
	if (b->cancel.fd >= 0)
		eventfd_write(b->cancel.fd, 1);
	for (int i = 0; i < LANES; i++)
		pthread_cond_signal(&b->lanes[i].wake);
	pthread_mutex_unlock(&b->lock);
	for (int i = 0; i < LANES; i++) {
		struct lane *l = &b->lanes[i];
		pthread_join(l->thread, NULL);
		for (struct job *j = l->first, *next; j; j = next) {
			next = j->next;
			job_free(j);
		}
		pthread_cond_destroy(&l->wake);
	}
	pthread_mutex_destroy(&b->lock);
	if (b->cancel.fd >= 0)
		close(b->cancel.fd);
	free(b);
}

struct docker_cancel *background_cancel(struct background *b)
{
	return &b->cancel;
}

bool background_stopping(struct background *b)
{
	pthread_mutex_lock(&b->lock);
	bool stop = b->stop;
	pthread_mutex_unlock(&b->lock);
	return stop;
}

/* Under the lock. */
static void queue(struct lane *l, struct job *j)
{
	struct job **at = &l->first;
	while (*at && (*at)->at <= j->at)
		at = &(*at)->next;
	j->next = *at;
	*at = j;
	pthread_cond_signal(&l->wake);
}

/* Under the lock: takes a queued job of the same function out. */
static struct job *take_queued(struct lane *l, const char *function)
{
	for (struct job **at = &l->first; *at; at = &(*at)->next) {
		struct job *j = *at;
		if (strcmp(j->function, function) == 0) {
			*at = j->next;
			return j;
		}
	}
	return NULL;
}

static struct job *job_new(struct ops *ops, const char *module, const char *function, const cJSON *arg, int delay_ms)
{
	struct job *j = xcalloc(1, sizeof *j);
	j->at = clock_mono_ms() + delay_ms;
	j->ops = ops;
	j->module = module; /* literals */
	j->function = function;
	j->arg = cJSON_Duplicate(arg, 1);
	return j;
}

void background_add(struct background *b, int lane, struct ops *ops, const char *module, const char *function,
		    const cJSON *arg)
{
	struct job *j = job_new(ops, module, function, arg, 0);
	pthread_mutex_lock(&b->lock);
	if (b->stop)
		job_free(j);
	else
		queue(&b->lanes[lane], j);
	pthread_mutex_unlock(&b->lock);
}

void background_wake(struct background *b, int lane, const char *module, const char *function, int delay_ms)
{
	struct job *j = job_new(NULL, module, function, NULL, delay_ms), *old;
	pthread_mutex_lock(&b->lock);
	old = take_queued(&b->lanes[lane], function);
	if (old && old->at < j->at)
		j->at = old->at;
	if (!b->stop)
		queue(&b->lanes[lane], take_ptr(j));
	pthread_mutex_unlock(&b->lock);
	if (old)
		job_free(old);
	if (j)
		job_free(j);
}
