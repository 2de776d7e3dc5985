#include "agent/jobs.h"

#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { STACK = 512 * 1024, KEEP_SECONDS = 3 };

struct job {
	struct job *next;
	void (*fn)(void *arg);
	void *arg;
};

struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t work, change;
	struct job *first, **last;
	int max, threads, waiting, queued, running;
	bool stopping;
	void (*idle)(void *ctx);
	void *ctx;
};

struct jobs *jobs_new(int max, void (*idle)(void *ctx), void *ctx)
{
	struct jobs *j = xcalloc(1, sizeof *j);
	pthread_mutex_init(&j->lock, NULL);
	clock_cond_init(&j->work);
	clock_cond_init(&j->change);
	j->last = &j->first;
	j->max = max;
	j->idle = idle;
	j->ctx = ctx;
	return j;
}

/* Under the lock; NULL when there was nothing to do for some seconds. */
static struct job *next_job(struct jobs *j)
{
	struct timespec until = clock_deadline(KEEP_SECONDS * 1000);
	while (!j->first) {
		if (j->stopping)
			return NULL;
		j->waiting++;
		int rc = pthread_cond_timedwait(&j->work, &j->lock, &until);
		j->waiting--;
		if (rc == ETIMEDOUT && !j->first)
			return NULL;
	}
	struct job *job = j->first;
	j->first = job->next;
	if (!j->first)
		j->last = &j->first;
	j->queued--;
	j->running++;
	return job;
}

static void *worker(void *arg)
{
	struct jobs *j = arg;
	struct job *job;
	pthread_mutex_lock(&j->lock);
	while ((job = next_job(j))) {
		pthread_mutex_unlock(&j->lock);
		job->fn(job->arg);
		free(job);
		pthread_mutex_lock(&j->lock);
		j->running--;
		pthread_cond_broadcast(&j->change);
	}
	bool last = j->threads == 1 && !j->stopping;
	if (last && j->idle) {
		pthread_mutex_unlock(&j->lock);
		j->idle(j->ctx);
		pthread_mutex_lock(&j->lock);
	}
	j->threads--;
	/* Work that came while this thread was on its way home, counting on it. */
	bool again = j->first && j->threads == 0;
	if (again)
		j->threads++;
	pthread_cond_broadcast(&j->change);
	pthread_mutex_unlock(&j->lock);
	return again ? worker(arg) : NULL;
}

/* Under the lock. */
static bool add_thread(struct jobs *j)
{
	pthread_attr_t attr;
	pthread_t t;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int rc = pthread_create(&t, &attr, worker, j);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		j->threads++;
	return rc == 0;
}

bool jobs_run(struct jobs *j, void (*fn)(void *arg), void *arg)
{
	struct job *job = xcalloc(1, sizeof *job);
	job->fn = fn;
	job->arg = arg;
	pthread_mutex_lock(&j->lock);
	bool ok = !j->stopping;
	if (ok && j->queued >= j->waiting && j->threads < j->max && !add_thread(j) && j->threads == 0) {
		log_error("agent", "no thread could be started");
		ok = false;
	}
	if (ok) {
		*j->last = job;
		j->last = &job->next;
		j->queued++;
		pthread_cond_signal(&j->work);
	}
	pthread_mutex_unlock(&j->lock);
	if (!ok)
		free(job);
	return ok;
}

int jobs_stop(struct jobs *j, int grace_ms)
{
	struct timespec until = clock_deadline(grace_ms);
	pthread_mutex_lock(&j->lock);
	j->stopping = true;
	pthread_cond_broadcast(&j->work);
	while (j->queued + j->running + j->threads > 0 && pthread_cond_timedwait(&j->change, &j->lock, &until) == 0)
		;
	int left = j->queued + j->running + j->threads;
	pthread_mutex_unlock(&j->lock);
	return left;
}

void jobs_free(struct jobs *j)
{
	if (!j)
		return;
	pthread_cond_destroy(&j->work);
	pthread_cond_destroy(&j->change);
	pthread_mutex_destroy(&j->lock);
	free(j);
}
