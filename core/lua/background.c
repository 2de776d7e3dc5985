/* Work that nobody waits for: jobs in order, a thread per lane. */
#include "base/log.h"
#include "base/mem.h"
#include "lua/internal.h"

#define LANES 2

struct job {
	struct job *next;
	struct ops *ops;
	const char *module, *function;
	cJSON *arg;
};

struct lane {
	struct background *owner;
	pthread_t thread;
	pthread_cond_t wake;
	struct job *first, **last;
};

struct background {
	struct lua_host *host;
	pthread_mutex_t lock;
	bool stop;
	struct lane lanes[LANES];
};

static void job_free(struct job *j)
{
	cJSON_Delete(j->arg);
	free(j);
}

static struct job *next_job(struct lane *l)
{
	struct background *b = l->owner;
	struct job *j = NULL;
	pthread_mutex_lock(&b->lock);
	while (!b->stop && !l->first)
		pthread_cond_wait(&l->wake, &b->lock);
	if (!b->stop) {
		j = l->first;
		l->first = j->next;
		if (!l->first)
			l->last = &l->first;
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
	for (int i = 0; i < LANES; i++) {
		struct lane *l = &b->lanes[i];
		l->owner = b;
		l->last = &l->first;
		pthread_cond_init(&l->wake, NULL);
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
	free(b);
}

bool background_stopping(struct background *b)
{
	pthread_mutex_lock(&b->lock);
	bool stop = b->stop;
	pthread_mutex_unlock(&b->lock);
	return stop;
}

void background_add(struct background *b, int lane, struct ops *ops, const char *module, const char *function, const cJSON *arg)
{
	struct lane *l = &b->lanes[lane];
	struct job *j = xcalloc(1, sizeof *j);
	j->ops = ops;
	j->module = module; /* literals */
	j->function = function;
	j->arg = cJSON_Duplicate(arg, 1);
	pthread_mutex_lock(&b->lock);
	if (b->stop) {
		job_free(j);
	} else {
		*l->last = j;
		l->last = &j->next;
		pthread_cond_signal(&l->wake);
	}
	pthread_mutex_unlock(&b->lock);
}
