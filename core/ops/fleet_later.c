/* Containers that the engine hangs over: a thread of their own asks for them until it is told, so that the states of
 * the others go on. It sleeps while there are none. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "ops/fleet_priv.h"

/* Under the lock: its place, or the end. */
static struct late **place_of(struct fleet *f, const char *id)
{
	struct late **at = &f->late;
	while (*at && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

bool fleet_is_late(struct fleet *f, const char *id)
{
	pthread_mutex_lock(&f->lock);
	bool late = *place_of(f, id) || (f->looking && strcmp(f->looking, id) == 0);
	pthread_mutex_unlock(&f->lock);
	return late;
}

void fleet_later(struct fleet *f, const char *id)
{
	pthread_mutex_lock(&f->lock);
	struct late **at = place_of(f, id);
	if (!*at) {
		*at = xcalloc(1, sizeof **at);
		(*at)->id = xstrdup(id);
	}
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

/* The next to look at, which is then f->looking; NULL when the fleet is closing. */
static char *next(struct fleet *f)
{
	char *id = NULL;
	pthread_mutex_lock(&f->lock);
	while (!f->late && !f->closing)
		pthread_cond_wait(&f->changed, &f->lock);
	struct late *l = f->late;
	if (l && !f->closing) {
		f->late = l->next;
		id = f->looking = l->id;
		free(l);
	}
	pthread_mutex_unlock(&f->lock);
	return id;
}

static void *look_later(void *arg)
{
	struct fleet *f = arg;
	char *id;
	while ((id = next(f))) {
		if (!fleet_look(f, id, 0, &f->end)) {
			log_warn("fleet", "the Docker Engine does not tell the state of container %.12s", id);
			fleet_later(f, id);
		}
		pthread_mutex_lock(&f->lock);
		f->looking = NULL;
		pthread_mutex_unlock(&f->lock);
		free(id);
	}
	return NULL;
}

int fleet_later_open(struct fleet *f, struct perry_err **err)
{
	atomic_init(&f->end.set, false);
	f->end.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->end.fd < 0)
		return perry_fail_errno(err, errno, "fleet");
	int rc = pthread_create(&f->later, NULL, look_later, f);
	if (rc == 0)
		return 0;
	close(f->end.fd);
	return perry_fail_errno(err, rc, "fleet: cannot start a thread");
}

void fleet_later_close(struct fleet *f)
{
	pthread_mutex_lock(&f->lock);
	f->closing = true;
	atomic_store(&f->end.set, true);
	eventfd_write(f->end.fd, 1);
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->later, NULL);
	close(f->end.fd);
	for (struct late *l = f->late, *n; l; l = n) {
		n = l->next;
		free(l->id);
		free(l);
	}
	f->late = NULL;
}
